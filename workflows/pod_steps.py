"""The steps as the workflow's pods run them: Hera calls each with its typed input and keeps its typed output.

Each is a thin edge around the step of its name. The load test arrives as the workflow's parameters; what is measured
lies in the bucket. What a failing step has to say is its output `reason`, for Argo's own message is only an exit code.
"""

import gc
import json
import math
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

from hera.workflows import GCSArtifact, NoneArchiveStrategy, Parameter
from hera.workflows.io import Input, Output

from attacker.api_pods import snapshot_path
from attacker.bucket import Bucket, parse_address
from attacker.command_line import say
from attacker.duration import Duration
from attacker.exits import Exit, InvalidLoadTestError, LoadTestError, RunBrokenError
from attacker.plan_file import Plan, plan_path, render_plan
from attacker.pods.gate import open_gate, read_gate, shut_gate
from attacker.repository import repository_of_this_pod
from workflows.attacker_memory import check_attacker_memory
from workflows.loadtest import LoadTest, Order
from workflows.loadtest_file import parse_loadtest
from workflows.parameters import fields_of
from workflows.readers import check_readers
from workflows.steps.plan import plan

if TYPE_CHECKING:
    from workflows.steps.cluster import Cluster

__all__ = ["IN_BUCKET", "IN_RUNS", "deploy", "ready", "report", "teardown"]

IN_BUCKET = '{{=get(split(workflow.parameters.results, "/"), 2) ?? ""}}'
"""For Argo, the bucket of `results`; where it is empty, Argo takes its own repository."""
IN_RUNS = (
    '{{=join(split((workflow.parameters.results == "" ? "gs://-" : trim(workflow.parameters.results, "/"))'
    ' + "/runs", "/")[3:], "/")}}'
)
"""For Argo, `PREFIX/runs`: the folder of all runs in that bucket."""

_MARGIN_NS = 2_000_000_000
_SHARDS_PER_MARGIN = 100
"""So many shards look at the bucket for the common start without crowding it; more of them look less often."""
_POLL_S = 0.5
_DEPLOYING_S = 300.0
"""How long the step `ready` waits for the step `deploy`, which may have to wait for what the run before left."""
_STARTING_S = 60.0
"""What the step `ready` may take beside waiting for the API."""
_AFTERWARDS_S = 90.0
"""What an attack pod may take beside: starting, stragglers, recording, uploading."""
_RECORDING_S = 30
"""What recording and uploading may take of an attack pod's time to end."""

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
    """Who attacks the API, and how long that may take."""

    shards: Annotated[tuple[str, ...], Parameter(name="shards")] = ()
    attack_timeout: Annotated[str, Parameter(name="attack_timeout")] = "1m"
    attack_grace_s: Annotated[int, Parameter(name="attack_grace_s")] = 0
    """From SIGTERM to SIGKILL: answers under way, recording, uploading."""
    results: Annotated[str, Parameter(name="results")] = ""
    """Where everything goes, be it the load test's choice or Argo's artifact repository."""
    reason: Annotated[str, Parameter(name="reason")] = ""


class ReadyOutput(Output):
    """That the API is ready, or why it is not."""

    reason: Annotated[str, Parameter(name="reason")] = ""


class ReportInput(StepInput):
    """What report is told besides."""

    started: Annotated[str, Parameter(name="started")]
    """When the workflow was created, ISO 8601."""
    status: Annotated[str, Parameter(name="status")]
    """The workflow's, before its exit handler."""


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
            dumps=lambda html: html,  # of None, no file is made
        ),
    ] = None


class TeardownOutput(Output):
    """That the API is gone, or why it is not."""

    reason: Annotated[str, Parameter(name="reason")] = ""


# Each pod imports no more than its own step needs: half a second here is half a second of every run.


def deploy(told: DeployInput) -> DeployOutput:
    """Apply the API's manifests, unless the load test attacks one that runs already, and plan the attack."""
    from workflows.steps.cluster import connect  # noqa: PLC0415
    from workflows.steps.deploy import ApiSpec, Owner  # noqa: PLC0415
    from workflows.steps.deploy import deploy as deploy_api  # noqa: PLC0415

    def step() -> DeployOutput:
        loadtest = _loadtest(told)
        bucket = _bucket(loadtest)
        bucket.probe(f"runs/{told.run}/loadtest.json", _as_json(loadtest))
        with _gate_shut_where_it_fails(told.run, bucket):
            if loadtest.api_url is None:
                if loadtest.api_image is None:
                    raise InvalidLoadTestError(
                        "api_image is empty: name the API's image, or give api_url for one that runs"
                    )
                owner = Owner(name=told.run, uid=told.uid)
                spec = ApiSpec.of(loadtest, image=loadtest.api_image, run=told.run, owner=owner)
                deploy_api(spec, connect(_namespace()))
            return _planned(loadtest, told.run, bucket)

    return _ending(step, DeployOutput)


def ready(told: StepInput) -> ReadyOutput:
    """Wait until the API is rolled out and every target answers as expected; then let the attackers in."""
    from workflows.steps.api_pods import leave_snapshot  # noqa: PLC0415
    from workflows.steps.cluster import connect  # noqa: PLC0415
    from workflows.steps.ready import ready as answered  # noqa: PLC0415
    from workflows.steps.rollout import wait_for_rollout  # noqa: PLC0415

    def step() -> ReadyOutput:
        loadtest, stop = _loadtest(told), threading.Event()
        bucket, cluster = _bucket(loadtest), None if loadtest.api_url else connect(_namespace())
        if not _is_deployed(told.run, bucket):
            return ReadyOutput(exit_code=Exit.BROKEN)  # its own step says why
        until = time.monotonic() + loadtest.ready_timeout.s
        with _gate_shut_where_it_fails(told.run, bucket):
            if cluster is not None:
                wait_for_rollout(cluster, timeout_s=loadtest.ready_timeout.s, stop=stop)
            answered(
                [target.at(_url(loadtest)) for target in loadtest.targets],
                timeout_s=until - time.monotonic(),
                answer_timeout_s=loadtest.timeout.s,
                sending=loadtest.sending,
                stop=stop,
            )
            if cluster is not None:
                leave_snapshot(told.run, "before", bucket, cluster)
        open_gate(told.run, bucket, deadline_ns=time.time_ns() + loadtest.start_timeout.ns)
        return ReadyOutput()

    return _ending(step, ReadyOutput)


def report(told: ReportInput) -> ReportOutput:
    """Merge what the attackers uploaded, report on it, and judge: the exit code is the verdict's."""
    from workflows.pod_report import Finished, reported  # noqa: PLC0415

    def step() -> ReportOutput:
        loadtest = _loadtest(told)
        finished = Finished(run=told.run, started=told.started, status=told.status, namespace=_namespace())
        made = reported(loadtest, finished, _bucket(loadtest))
        if made is None:
            return ReportOutput(reason="nothing was measured")
        say(made.summary)
        return ReportOutput(
            exit_code=made.exit,
            verdict=made.report.verdict.result,
            summary=made.summary,
            reason="; ".join(made.report.verdict.reasons),
            html=made.html,
        )

    return _ending(step, ReportOutput)


def teardown(told: StepInput) -> TeardownOutput:
    """Write down what became of the API's pods, and remove the API unless it is to be kept."""
    from workflows.steps.cluster import connect  # noqa: PLC0415
    from workflows.steps.teardown import teardown as remove_api  # noqa: PLC0415

    def step() -> TeardownOutput:
        loadtest = _loadtest(told)
        if loadtest.api_url is None:
            cluster = connect(_namespace())
            _leave_last_snapshot(loadtest, told.run, cluster)
            if not loadtest.keep:
                remove_api(cluster)
        return TeardownOutput()

    return _ending(step, TeardownOutput)


def _leave_last_snapshot(loadtest: LoadTest, run: str, cluster: "Cluster") -> None:
    """Write down what the API's pods are, where there was an attack; that they are removed does not depend on it."""
    from workflows.steps.api_pods import leave_snapshot  # noqa: PLC0415

    try:
        bucket = _bucket(loadtest)
        if bucket.read(snapshot_path(run, "before")) is not None:
            leave_snapshot(run, "after", bucket, cluster)
    except LoadTestError as error:
        say(f"nobody will know what became of the API's pods: {error}", to_stderr=True)


def _ending(step: Callable[[], Told], output: Callable[..., Told]) -> Told:
    """Run a step; where it fails, print the reason last and plainly, and give it on with the exit code."""
    try:
        return step()
    except LoadTestError as error:
        reason, code = str(error), error.exit
    except Exception as error:  # noqa: BLE001  (a reason is due for these, too)
        traceback.print_exc()
        reason, code = f"this is a defect of the program: {error!r}", Exit.BROKEN
    finally:
        gc.freeze()  # at the end of its process, Python would look for garbage in all that it imported
    say(reason, to_stderr=True)
    return output(exit_code=code, reason=reason)


@contextmanager
def _gate_shut_where_it_fails(run: str, bucket: Bucket) -> Iterator[None]:
    """Let nobody wait for an API that does not come."""
    try:
        yield
    except LoadTestError as error:
        shut_gate(run, bucket, reason=str(error))
        raise


def _is_deployed(run: str, bucket: Bucket) -> bool:
    """Wait until the step `deploy` has left the plan, which is the last that it does; false where it has failed.

    Raises:
        RunBrokenError: nothing is heard of it.
    """
    until = time.monotonic() + _DEPLOYING_S
    while bucket.read(plan_path(run)) is None:
        if read_gate(run, bucket) is not None:
            return False
        if time.monotonic() > until:
            raise RunBrokenError(f"the step deploy said nothing within {_DEPLOYING_S:g} s: see what became of its pod")
        time.sleep(_POLL_S)
    return True


def _planned(loadtest: LoadTest, run: str, bucket: Bucket) -> DeployOutput:
    """Plan the attack, and leave the plan where the attackers find it."""
    check_attacker_memory(loadtest)
    shards = plan(loadtest, base_url=_url(loadtest))
    check_readers(loadtest, shards)
    waiting_s = loadtest.ready_timeout.s + _STARTING_S
    planned = Plan(
        run=run,
        shards=shards,
        deadline_ns=time.time_ns() + int(waiting_s * 1e9),
        margin=Duration(_MARGIN_NS * max(1, len(shards) // _SHARDS_PER_MARGIN)),
        sequential=loadtest.order is Order.SEQUENTIAL,
        gated=True,
    )
    bucket.write(plan_path(run), render_plan(planned))
    return DeployOutput(
        shards=tuple(shard.name for shard in shards),
        attack_timeout=f"{waiting_s + loadtest.start_timeout.s + _attacks_s(planned):.0f}s",
        attack_grace_s=math.ceil(loadtest.timeout.s) + _RECORDING_S,
        results=loadtest.results,
    )


def _url(loadtest: LoadTest) -> str:
    """Give the address that pods reach the API by, be it deployed for this run or not."""
    from workflows.steps.address import in_cluster_url  # noqa: PLC0415
    from workflows.steps.deploy import API_NAME  # noqa: PLC0415

    return in_cluster_url(loadtest.api_url or f"service/{API_NAME}", loadtest, namespace=_namespace())


def _attacks_s(planned: Plan) -> float:
    """Bound how long the attackers take, from their common start to having uploaded."""
    return sum(max(shard.duration.s + shard.timeout.s for shard in wave) + _AFTERWARDS_S for wave in planned.waves)


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
