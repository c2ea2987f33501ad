"""What the command line does on a cluster: publish the template, run it, schedule it, list, stop."""

import json
import os
import threading
import time
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attacker.bucket import Bucket, parse_address
from attacker.command_line import say
from attacker.exits import Exit, InvalidLoadTestError, LoadTestError
from attacker.plan import AUTO
from attacker.report.faces.text import render_text
from attacker.report.figures import Report
from attacker.report.verdict import EXIT_OF
from attacker.stopping import stopped_by_signals
from workflows.attacker_memory import check_attacker_memory
from workflows.build_settings import read_settings
from workflows.engines import argo
from workflows.engines.argo_api import ArgoApi, argo_api
from workflows.engines.argo_run import Ended, results_of
from workflows.engines.following import Watch, follow
from workflows.image_building import IMAGE_FIELDS, missing_images, with_built_images
from workflows.loadtest import LoadTest, Order
from workflows.loadtest_file import parse_loadtest
from workflows.parameters import fields_of_values, values_of
from workflows.pipeline import CRON_NAME, TEMPLATE_NAME, cron_workflow
from workflows.progress import Event, State, Tell
from workflows.published_template import defaults_of, read_targets, renewed
from workflows.readers import check_readers
from workflows.render import template_manifest
from workflows.steps.cluster import connect
from workflows.steps.plan import plan
from workflows.telling import telling

__all__ = [
    "Attendance",
    "ClusterOptions",
    "Schedule",
    "report_of_run",
    "run_on_cluster",
    "runs_in_words",
    "schedule_on_cluster",
    "stop_on_cluster",
]

Fields = Mapping[str, object]
"""Fields of a load test by name, as a file or options give them."""

_HEARD_S = 2.0
"""Argo's controller hears of a changed template a little later than it is changed, and nothing tells when."""
_BETWEEN_WAVES_S = 4.0
"""Attackers agree on an instant two seconds ahead, and hear of each other's end within a second or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Which cluster, and what its images are built with."""

    namespace: str
    context: str | None
    registry: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)

    def argo(self) -> ArgoApi:
        """Connect to Argo there; raises RunBrokenError where nothing answers."""
        return argo_api(self.namespace, context=self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """How a run is followed."""

    wait: bool
    detach: bool
    """An interruption only ends the watching."""
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the template runs by itself."""

    cron: str
    timezone: str


def run_on_cluster(given: Fields, options: ClusterOptions, attendance: Attendance) -> Exit:
    """Publish the template, submit a run, follow it and print what it comes to.

    Args:
        given: the fields that the user named: the others are the template's own.
        options: where.
        attendance: how it is followed.

    Returns:
        The exit code.
    """
    insisted = threading.Event()
    interrupted = stopped_by_signals(insisted=insisted)
    _check(given)
    api = options.argo()
    with telling(as_json=attendance.as_json) as tell:
        loadtest = _published(given, options, api, tell=tell, stop=interrupted)
        run = argo.submit(api, _arguments(loadtest, given))
        tell(Event(step="run", state=State.NOTE, text=run))
        if not attendance.wait:
            say(run)
            return Exit.PASS
        watch = Watch(
            tell=tell,
            lasts_s=loadtest.warmup.s + loadtest.duration.s + _BETWEEN_WAVES_S,
            waits_s=loadtest.start_timeout.s,
            wave=loadtest.load.shard_count if loadtest.order is Order.SEQUENTIAL else None,
            interrupted=threading.Event() if attendance.detach else interrupted,
            abandoned=interrupted if attendance.detach else insisted,
        )
        ended = follow(api, run, watch)
    if ended is None:
        say(f"run {run} goes on: 'submit.py stop {run}' ends it", to_stderr=True)
        return Exit.INTERRUPTED
    if attendance.as_json:
        say(_report_json(ended))
    else:
        _tell_end(ended)
    return Exit.INTERRUPTED if interrupted.is_set() else ended.exit


def schedule_on_cluster(given: Fields, schedule: Schedule, options: ClusterOptions) -> str:
    """Publish template and schedule; says what was done. The fields that are not given are the template's own."""
    cron, timezone = schedule.cron, schedule.timezone
    if timezone not in zoneinfo.available_timezones():
        raise InvalidLoadTestError(f"--timezone is {timezone!r}: give a zone such as Europe/Berlin or Etc/UTC")
    _check(given)
    api, stop = options.argo(), stopped_by_signals()
    loadtest = _published(given, options, api, tell=lambda _: None, stop=stop)
    made = cron_workflow(
        namespace=options.namespace, schedule=cron, timezone=timezone, values=_arguments(loadtest, given)
    )
    argo.publish(api, "cronworkflows", made.to_dict())
    return f"schedule {CRON_NAME}: {cron} ({timezone})"


def stop_on_cluster(run: str, options: ClusterOptions) -> str:
    """Stop a run; says what was done."""
    if argo.stop(options.argo(), run):
        return f"{run}: it had not begun, and is deleted"
    return f"{run}: it is being stopped; its report follows"


def runs_in_words(options: ClusterOptions) -> str:
    """List runs, a line each: name, phase, when it was made, verdict."""
    rows = argo.runs(options.argo())
    return "\n".join(f"{one.run:<20} {one.phase:<10} {one.created:<21} {one.verdict}" for one in rows) or "no runs"


def report_of_run(run: str, options: ClusterOptions, *, results: str | None, into: Path | None, as_json: bool) -> Exit:
    """Print a finished run's report, and fetch its folder.

    Args:
        run: its name.
        options: the cluster that may know where its results are.
        results: where they are, if nobody needs to be asked.
        into: the folder to fetch into.
        as_json: print report.json instead.

    Returns:
        The exit code of its verdict.

    Raises:
        LoadTestError: there is no report, or it cannot be read.
    """
    place = results or results_of(argo.read_run(options.argo(), run))
    if not place:
        raise LoadTestError(f"run {run} has no report: it did not get so far as to measure anything")
    try:
        bucket = Bucket.connect(*parse_address(place))
    except ValueError as error:
        raise InvalidLoadTestError(f"--results is {place!r}: {error}") from error
    found = bucket.read(f"runs/{run}/report.json")
    if found is None:
        raise LoadTestError(f"{bucket.address(f'runs/{run}/report.json')} is not there: the run has no report yet")
    made = Report.model_validate_json(found)
    say(found.decode() if as_json else render_text(made, width=None, colour=False))
    if into is not None:
        for trouble in bucket.download(f"runs/{run}", into / "runs" / run):
            say(trouble, to_stderr=True)
        say(f"Fetched into {into / 'runs' / run}", to_stderr=True)
    return EXIT_OF[made.verdict.result]


def _check(given: Fields) -> None:
    """Refuse what is wrong whatever the cluster's own settings are: for that, no cluster needs to answer."""
    fields = dict(given)
    # Whom an objective is for may only be known there, and so may the rate, and what an attacker carries of it.
    if "targets" not in given:
        fields.pop("objectives", None)
    if "shard_rate" not in given and str(given.get("shards")).strip().lower() == AUTO:
        del fields["shards"]
    if "shard_rate" in given and not {"rate", "shards"} <= given.keys():
        fields["shards"] = AUTO
    parse_loadtest(fields)


def _published(given: Fields, options: ClusterOptions, api: ArgoApi, *, tell: Tell, stop: threading.Event) -> LoadTest:
    """Have template and images there; returns the load test that results, with its images.

    Images are built for a registry that is known here or to the cluster; where none is, the template's are taken.
    """
    # An Argo Server knows no ConfigMaps.
    cluster = None if os.environ.get("ARGO_SERVER") else connect(options.namespace, context=options.context)
    found = api.read("workflowtemplates", TEMPLATE_NAME)
    known = {} if found is None else defaults_of(found)
    images = {name: known.pop(name) for name in IMAGE_FIELDS if name in known}
    loadtest = parse_loadtest(fields_of_values(known), read_targets(cluster), given)
    check_attacker_memory(loadtest)
    check_readers(loadtest, plan(loadtest, base_url=""))
    built: frozenset[str] = frozenset()
    if missing := missing_images(loadtest):
        settings = read_settings(cluster, registry=options.registry)
        if settings.registry is None:
            loadtest = loadtest.model_copy(update={name: images[name] for name in missing if name in images})
        built = frozenset(missing_images(loadtest))
        loadtest = with_built_images(
            loadtest, settings, build_args=options.build_args, context=options.context, tell=tell, stop=stop
        )
    images_of_this_run = {name: getattr(loadtest, name) for name in IMAGE_FIELDS}
    # What else a run is given is its own: the next one, started by somebody else, is not to inherit it.
    made = template_manifest(LoadTest().model_copy(update=images_of_this_run), namespace=api.namespace)
    if argo.publish(api, "workflowtemplates", renewed(found, made, fresh=built)):
        time.sleep(_HEARD_S)
    return loadtest


def _arguments(loadtest: LoadTest, given: Fields) -> dict[str, str]:
    """Give what somebody named, and the images: they may be newer than the template's."""
    values = values_of(loadtest)
    return {name: value for name, value in values.items() if name in given or (name in IMAGE_FIELDS and value)}


def _report_json(ended: Ended) -> str:
    """Give report.json, which lies in the bucket; of a run that has none, only what it came to."""
    if ended.verdict is not None and ended.results:
        found = Bucket.connect(*parse_address(ended.results)).read(f"runs/{ended.run}/report.json")
        if found is not None:
            return found.decode().rstrip()
    return json.dumps({"run": ended.run, "verdict": ended.verdict, "exit": ended.exit, "reason": ended.reason})


def _tell_end(ended: Ended) -> None:
    if ended.summary:
        say(ended.summary.rstrip())
        say(f"\nReport: {ended.results}/runs/{ended.run}/report.html")
    if ended.verdict is None:
        say(f"submit: run {ended.run}: {ended.reason}", to_stderr=True)
