"""The steps as the workflow's pods run them: Hera calls each with its typed input and keeps its typed output.

Each is a thin edge around the step of its name. The load test arrives as the workflow's parameters; what is measured
lies in the bucket. What a failing step has to say is its output `reason`, for Argo's own message is only an exit code.
"""

import json
import math
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

from hera.workflows import GCSArtifact, NoneArchiveStrategy, Parameter
from hera.workflows.io import Input, Output

from attacker.bucket import Bucket, parse_address
from attacker.command_line import say
from attacker.duration import Duration
from attacker.exits import Exit, InvalidLoadTestError, LoadTestError
from attacker.plan_file import Plan, parse_plan, plan_path, render_plan
from attacker.report.figures import Report, Run
from attacker.report.text import render_text
from attacker.report.verdict import EXIT_OF
from workflows.loadtest import LoadTest, Order
from workflows.loadtest_file import parse_loadtest
from workflows.parameters import fields_of
from workflows.steps.address import in_cluster_url
from workflows.steps.aggregate import aggregate
from workflows.steps.cluster import connect
from workflows.steps.deploy import ApiSpec, Owner
from workflows.steps.deploy import deploy as deploy_api
from workflows.steps.plan import plan
from workflows.steps.ready import ready as answered
from workflows.steps.repository import repository_of_this_pod
from workflows.steps.rollout import wait_for_rollout
from workflows.steps.scheduling import why_unscheduled
from workflows.steps.teardown import teardown as remove_api

__all__ = ["deploy", "ready", "report", "teardown"]

IN_BUCKET = '{{=get(split(workflow.parameters.results, "/"), 2) ?? ""}}'
"""For Argo, the bucket of `results`; where it is empty, Argo takes its own repository."""
IN_RUNS = (
    '{{=join(split((workflow.parameters.results == "" ? "gs://-" : trim(workflow.parameters.results, "/"))'
    ' + "/runs", "/")[3:], "/")}}'
)
"""For Argo, `PREFIX/runs`: the folder of all runs in that bucket."""

_MARGIN = Duration.of_seconds(2)
_AFTERWARDS = Duration.of_seconds(90)
"""What an attack pod may take beside: starting, stragglers, recording, uploading."""
_RECORDING_S = 30
"""What recording and uploading may take of an attack pod's time to end."""
_LAST_SHARDS_S = 45.0
"""How long the exit handler waits for what attackers that were stopped still upload."""


Told = TypeVar("Told", bound=Output)


class StepInput(Input):
    """What every step is told."""

    run: Annotated[str, Parameter(name="run")]
    """The run's id: the workflow's name."""
    parameters: Annotated[list[dict[str, object]], Parameter(name="parameters")]
    """The workflow's parameters: the load test."""
    targets: Annotated[str, Parameter(name="targets")]
    """The parameter of this name: where its value comes from a ConfigMap, the list above has only that it does."""


class DeployInput(StepInput):
    """What deploy is told besides."""

    uid: Annotated[str, Parameter(name="uid")]
    """The workflow's: what is deployed is removed with it."""


class DeployOutput(Output):
    """Where the API is."""

    url: Annotated[str, Parameter(name="url")] = ""
    reason: Annotated[str, Parameter(name="reason")] = ""


class ReadyInput(StepInput):
    """What ready is told besides."""

    url: Annotated[str, Parameter(name="url")]


class ReadyOutput(Output):
    """Who attacks, and how long that may take."""

    shards: Annotated[tuple[str, ...], Parameter(name="shards")] = ()
    attack_timeout: Annotated[str, Parameter(name="attack_timeout")] = "1m"
    attack_grace_s: Annotated[int, Parameter(name="attack_grace_s")] = 0
    """From SIGTERM to SIGKILL: answers under way, recording, uploading."""
    results: Annotated[str, Parameter(name="results")] = ""
    """Where everything goes, be it the load test's choice or the cluster's."""
    reason: Annotated[str, Parameter(name="reason")] = ""


class ReportInput(StepInput):
    """What report is told besides."""

    started: Annotated[str, Parameter(name="started")]
    """When the workflow was created, ISO 8601."""


class ReportOutput(Output):
    """What the run comes to."""

    verdict: Annotated[str, Parameter(name="verdict")] = ""
    summary: Annotated[str, Parameter(name="summary")] = ""
    """The tables of the terminal."""
    reason: Annotated[str, Parameter(name="reason")] = ""
    html: Annotated[
        str | None,
        GCSArtifact(
            name="report",
            bucket=IN_BUCKET,
            key=f"{IN_RUNS}/{{{{workflow.name}}}}/report.html",  # Argo's pages show a file that ends so
            archive=NoneArchiveStrategy(),
            optional=True,
            dumps=lambda html: html,  # of None, no file is made: it would take the place of the other step's
        ),
    ] = None


class TeardownInput(ReportInput):
    """What teardown is told besides."""

    status: Annotated[str, Parameter(name="status")]
    """The workflow's, before its exit handler."""


def deploy(told: DeployInput) -> DeployOutput:
    """Apply the API's manifests, unless the load test attacks one that runs already."""

    def step() -> DeployOutput:
        loadtest = _loadtest(told)
        _bucket(loadtest).probe(f"runs/{told.run}/loadtest.json", _as_json(loadtest))
        if loadtest.api_url is not None:
            return DeployOutput(url=in_cluster_url(loadtest.api_url, loadtest, namespace=_namespace()))
        if loadtest.api_image is None:
            raise InvalidLoadTestError("api_image is empty: name the API's image, or give api_url for one that runs")
        owner = Owner(name=told.run, uid=told.uid)
        spec = ApiSpec.of(loadtest, image=loadtest.api_image, run=told.run, owner=owner)
        return DeployOutput(url=deploy_api(spec, connect(_namespace())))

    return _ending(step, DeployOutput)


def ready(told: ReadyInput) -> ReadyOutput:
    """Wait until the API is rolled out and every target answers as expected; then plan the attack."""

    def step() -> ReadyOutput:
        loadtest, stop = _loadtest(told), threading.Event()
        if loadtest.api_url is None:
            wait_for_rollout(connect(_namespace()), timeout_s=loadtest.ready_timeout.s, stop=stop)
        answered(
            [target.at(told.url) for target in loadtest.targets],
            timeout_s=loadtest.ready_timeout.s,
            answer_timeout_s=loadtest.timeout.s,
            stop=stop,
        )
        planned = _planned(loadtest, told)
        _bucket(loadtest).write(plan_path(told.run), render_plan(planned))
        return ReadyOutput(
            shards=tuple(shard.name for shard in planned.shards),
            attack_timeout=f"{_attack_timeout_s(loadtest, planned):.0f}s",
            attack_grace_s=math.ceil(loadtest.timeout.s) + _RECORDING_S,
            results=loadtest.results,
        )

    return _ending(step, ReadyOutput)


def report(told: ReportInput) -> ReportOutput:
    """Merge what the attackers uploaded, report on it, and judge: the exit code is the verdict's."""
    return _ending(lambda: _reported(_loadtest(told), told, doubts=()), ReportOutput)


def teardown(told: TeardownInput) -> ReportOutput:
    """Report on what was measured, where the step report could not; then remove the API, unless it is to be kept."""
    output = _ending(lambda: _report_if_missing(_loadtest(told), told), ReportOutput)

    def step() -> ReportOutput:
        loadtest = _loadtest(told)
        if loadtest.api_url is None and not loadtest.keep:
            remove_api(connect(_namespace()))
        return output

    return _ending(step, ReportOutput)


def _ending(step: Callable[[], Told], output: Callable[..., Told]) -> Told:
    """Run a step; where it fails, print the reason last and plainly, and give it on with the exit code."""
    try:
        return step()
    except LoadTestError as error:
        reason, code = str(error), error.exit
    except Exception as error:  # noqa: BLE001  (a reason is due for these, too)
        traceback.print_exc()
        reason, code = f"this is a defect of the program: {error!r}", Exit.BROKEN
    say(reason, to_stderr=True)
    return output(exit_code=code, reason=reason)


def _report_if_missing(loadtest: LoadTest, told: TeardownInput) -> ReportOutput:
    bucket = _bucket(loadtest)
    if bucket.read(f"runs/{told.run}/report.json") is not None:
        return ReportOutput()
    found = bucket.read(plan_path(told.run))
    if found is None:
        return ReportOutput(reason="nothing was measured")
    _wait_for_last_shards(bucket, parse_plan(found))
    output = _reported(loadtest, told, doubts=(f"the run did not come to its end: it was {told.status.lower()}",))
    return output.model_copy(update={"exit_code": Exit.PASS})  # the workflow has failed already


def _reported(loadtest: LoadTest, told: ReportInput, *, doubts: tuple[str, ...]) -> ReportOutput:
    bucket = _bucket(loadtest)
    data = bucket.read(plan_path(told.run))
    if data is None:
        raise InvalidLoadTestError(f"{bucket.address(plan_path(told.run))} is not there: nothing was planned")
    planned = parse_plan(data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        troubles = bucket.download(f"runs/{told.run}/shards", folder / "shards")
        unscheduled = why_unscheduled(connect(_namespace()), pods=f"{told.run}-attack-")
        run = Run(
            id=told.run,
            started=told.started,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            engine="argo",
            loadtest=loadtest.as_run(),
            environment={"namespace": _namespace(), "attacker_image": loadtest.attacker_image},
        )
        made = aggregate(loadtest, planned.shards, run, folder, doubts=(*doubts, *unscheduled, *troubles))
        _upload_report(bucket, folder, f"runs/{told.run}")
        html = (folder / "report.html").read_text(encoding="utf-8")
    bucket.delete(plan_path(told.run))  # it may hold credentials
    return _judged(made, html)


def _judged(made: Report, html: str) -> ReportOutput:
    summary = render_text(made, width=100, colour=False)
    say(summary)
    return ReportOutput(
        exit_code=EXIT_OF[made.verdict.result],
        verdict=made.verdict.result,
        summary=summary,
        reason="; ".join(made.verdict.reasons),
        html=html,
    )


def _upload_report(bucket: Bucket, folder: Path, path: str) -> None:
    with _only(folder, "report.html", "report.md", "junit.xml", "report.json") as faces:
        bucket.upload(faces, path)


@contextmanager
def _only(folder: Path, *names: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            (Path(scratch) / name).write_bytes((folder / name).read_bytes())
        yield Path(scratch)


def _wait_for_last_shards(bucket: Bucket, planned: Plan) -> None:
    """Wait until every shard has said its last, or until that is taking too long."""
    until = time.monotonic() + _LAST_SHARDS_S
    while time.monotonic() < until:
        names = bucket.names(f"runs/{planned.run}/shards/")
        ended = {name.split("/")[3] for name in names if name.endswith(("/shard.json", "/absent.json"))}
        if ended >= {shard.name for shard in planned.shards}:
            return
        time.sleep(1)


def _planned(loadtest: LoadTest, told: ReadyInput) -> Plan:
    return Plan(
        run=told.run,
        shards=plan(loadtest, base_url=told.url),
        deadline_ns=time.time_ns() + loadtest.start_timeout.ns,
        margin=_MARGIN,
        sequential=loadtest.order is Order.SEQUENTIAL,
    )


def _attack_timeout_s(loadtest: LoadTest, planned: Plan) -> float:
    """Bound an attack pod's life, from being created to having uploaded."""
    attacks_s = sum(max(shard.duration.s + shard.timeout.s for shard in wave) + _AFTERWARDS.s for wave in planned.waves)
    return loadtest.start_timeout.s + attacks_s


def _loadtest(told: StepInput) -> LoadTest:
    fields = fields_of([*told.parameters, {"name": "targets", "value": told.targets}])
    place = repository_of_this_pod()
    return parse_loadtest({"results": place} if place else {}, fields)


def _bucket(loadtest: LoadTest) -> Bucket:
    if loadtest.results == LoadTest.model_fields["results"].default:
        raise InvalidLoadTestError(
            "results is empty, and Argo's artifact repository is no bucket of Google Cloud Storage: "
            "give gs://BUCKET/PREFIX, or set artifactRepository as k8s/argo does"
        )
    try:
        return Bucket.connect(*parse_address(loadtest.results), patience_s=20)
    except ValueError as error:
        raise InvalidLoadTestError(f"results is {loadtest.results!r}: {error}") from error


def _namespace() -> str:
    return os.environ.get("LOADTEST_NAMESPACE", "loadtest")


def _as_json(loadtest: LoadTest) -> bytes:
    return (json.dumps(loadtest.as_run(), indent=2, ensure_ascii=False) + "\n").encode()
