"""What the command line does on a cluster: publish the template, run it, schedule it, list, stop."""

import json
import zoneinfo
from dataclasses import dataclass

from attacker.bucket import Bucket
from attacker.command_line import say
from attacker.exits import Exit, InvalidLoadTestError
from attacker.stopping import stopped_by_signals
from workflows.engines import argo
from workflows.engines.argo_api import Manifest, argo_api
from workflows.image_building import Building, with_images
from workflows.loadtest import LoadTest
from workflows.parameters import values_of
from workflows.pipeline import CRON_NAME, cron_workflow
from workflows.progress import Event, State
from workflows.render import template_manifest
from workflows.telling import telling

__all__ = ["ClusterOptions", "Schedule", "run_on_cluster", "runs_in_words", "schedule_on_cluster", "stop_on_cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """How a run on a cluster is started and followed."""

    namespace: str
    context: str | None
    wait: bool
    detach: bool
    """An interruption only ends the watching."""
    as_json: bool
    building: Building


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the template runs by itself."""

    cron: str
    timezone: str


def run_on_cluster(loadtest: LoadTest, options: ClusterOptions, *, given: frozenset[str]) -> Exit:
    """Publish the template, submit a run, follow it and print what it comes to.

    Args:
        loadtest: the load test.
        options: where and how.
        given: the fields that the user named: the others are the template's own.

    Returns:
        The exit code.
    """
    interrupted = stopped_by_signals()
    api = argo_api(options.namespace, context=options.context)
    with telling(as_json=options.as_json) as tell:
        loadtest = with_images(loadtest, options.building, context=options.context, tell=tell, stop=interrupted)
        is_new = argo.publish(api, "workflowtemplates", _template(loadtest, options.namespace))
        run = argo.submit(api, _arguments(loadtest, given))
        tell(Event(step="run", state=State.NOTE, text=run))
        if not options.wait:
            say(run)
            return Exit.PASS
        watch = argo.Watch(
            tell=tell,
            lasts_s=loadtest.warmup.s + loadtest.duration.s,
            interrupted=interrupted,
            detach=options.detach,
        )
        ended = argo.follow(api, run, watch)
        if is_new and ended is not None and ended.knew_no_template:
            # The controller hears of a new template a little later than the API server.
            run = argo.submit(api, _arguments(loadtest, given))
            tell(Event(step="run", state=State.NOTE, text=f"{run}, for {ended.run} came before its template"))
            ended = argo.follow(api, run, watch)
    if ended is None:
        say(f"run {run} goes on: 'submit.py stop {run}' ends it", to_stderr=True)
        return Exit.INTERRUPTED
    if options.as_json:
        say(_report_json(ended, loadtest))
    else:
        _tell_end(ended)
    return Exit.INTERRUPTED if interrupted.is_set() else ended.exit


def schedule_on_cluster(
    loadtest: LoadTest,
    schedule: Schedule,
    *,
    namespace: str,
    context: str | None,
    building: Building,
    given: frozenset[str],
) -> str:
    """Publish template and schedule; says what was done."""
    cron, timezone = schedule.cron, schedule.timezone
    if timezone not in zoneinfo.available_timezones():
        raise InvalidLoadTestError(f"--timezone is {timezone!r}: give a zone such as Europe/Berlin or Etc/UTC")
    loadtest = with_images(loadtest, building, context=context, tell=lambda _: None, stop=stopped_by_signals())
    api = argo_api(namespace, context=context)
    argo.publish(api, "workflowtemplates", _template(loadtest, namespace))
    made = cron_workflow(namespace=namespace, schedule=cron, timezone=timezone, values=_arguments(loadtest, given))
    argo.publish(api, "cronworkflows", made.to_dict())
    return f"schedule {CRON_NAME}: {cron} ({timezone})"


def stop_on_cluster(run: str, *, namespace: str, context: str | None) -> str:
    """Stop a run; says what was done."""
    if argo.stop(argo_api(namespace, context=context), run):
        return f"{run}: it had not begun, and is deleted"
    return f"{run}: it is being stopped; its report follows"


def runs_in_words(*, namespace: str, context: str | None) -> str:
    """List runs, a line each: name, phase, when it was made, verdict."""
    rows = argo.runs(argo_api(namespace, context=context))
    return "\n".join(f"{one.run:<20} {one.phase:<10} {one.created:<21} {one.verdict}" for one in rows) or "no runs"


def _template(loadtest: LoadTest, namespace: str) -> Manifest:
    """Make the template with the project's own defaults, but for what this cluster needs: a run has its own values."""
    kept = {name: getattr(loadtest, name) for name in ("api_image", "attacker_image")}
    if loadtest.bucket is not None:
        kept["results"] = loadtest.results
    return template_manifest(LoadTest().model_copy(update=kept), namespace=namespace)


def _arguments(loadtest: LoadTest, given: frozenset[str]) -> dict[str, str]:
    """Give every field but targets that nobody named: those come from the cluster's ConfigMap."""
    return {name: value for name, value in values_of(loadtest).items() if name != "targets" or name in given}


def _report_json(ended: argo.Ended, loadtest: LoadTest) -> str:
    """Give report.json, which lies in the bucket; where this machine knows none, only what the run came to."""
    if loadtest.bucket is not None and ended.verdict is not None:
        found = Bucket.connect(*loadtest.bucket).read(f"runs/{ended.run}/report.json")
        if found is not None:
            return found.decode().rstrip()
    return json.dumps({"run": ended.run, "verdict": ended.verdict, "exit": ended.exit, "reason": ended.reason})


def _tell_end(ended: argo.Ended) -> None:
    if ended.summary:
        say(ended.summary.rstrip())
        say(f"\nRun: {ended.run}")
    if ended.verdict is None:
        say(f"submit: run {ended.run}: {ended.reason}", to_stderr=True)
