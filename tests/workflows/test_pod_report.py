"""The report of a run on a cluster, from what its attackers left in the bucket."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from attacker.api_pods import ApiPod, Snapshot, render_snapshot, snapshot_path
from attacker.bucket import Bucket
from attacker.exits import Exit, RunBrokenError
from attacker.plan_file import Plan, plan_path, render_plan
from attacker.pods.gate import open_gate, shut_gate
from attacker.pods.reading_desk import reading_path
from attacker.report.figures import Outcome, Report
from tests.attacker.attack_pods import a_bucket, ended, plan_in, start_pod
from tests.attacker.building import START_NS
from tests.attacker.loopback import Loopback, loopback
from tests.attacker.reader_pods import reader_pods
from tests.workflows.steps.a_cluster import StandIn, a_pod, kubeconfig
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest
from workflows.pod_report import Finished, reported

bucket = a_bucket

PODS = "/api/v1/namespaces/loadtest/pods"
TWO_TARGETS = ("GET /a", "GET /b")


@pytest.fixture
def loopback_api() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


@pytest.fixture
def loadtest() -> LoadTest:
    return parse_loadtest({"targets": list(TWO_TARGETS), "rate": 20, "duration": "1s", "timeout": "5s"})


@pytest.fixture
def in_a_cluster(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", stand_in.url)))
    return stand_in


def finished(plan: Plan, *, status: str = "Succeeded") -> Finished:
    return Finished(run=plan.run, started="2026-01-01T00:00:00Z", status=status, namespace="loadtest")


def attacked(plan: Plan, *shards: str) -> list[int]:
    return ended([start_pod(shard, plan.run) for shard in shards])


def test_what_all_measured_is_reported_and_uploaded(bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    assert attacked(plan, "get-a", "get-b") == [0, 0]

    made = reported(loadtest, finished(plan), bucket)

    assert made is not None
    assert (made.exit, made.report.overall.requests, "PASS" in made.summary) == (Exit.PASS, 40, True)
    assert (made.report.run.started[-1], made.report.run.ended[-1]) == ("Z", "Z")
    stored = {name.rpartition("/")[2]: bucket.read(name) for name in bucket.names(f"runs/{plan.run}/report.")}
    assert set(stored) == {"report.html", "report.json", "report.md"}
    assert stored["report.html"] == made.html.encode()
    assert Report.model_validate_json(stored["report.json"] or b"") == made.report
    assert bucket.read(f"runs/{plan.run}/junit.xml") is not None


def test_what_readers_share_out_is_reported_as_by_one_and_nothing_of_theirs_is_left(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    assert attacked(plan, "get-a", "get-b") == [0, 0]

    with reader_pods(2, plan.run) as readers:
        made = reported(loadtest.model_copy(update={"readers": 2}), finished(plan), bucket)
        codes = ended(readers)

    assert made is not None
    assert (made.exit, made.report.overall.requests, codes) == (Exit.PASS, 40, [0, 0])
    assert bucket.names(f"{reading_path(plan.run)}/") == ()
    bucket.write(plan_path(plan.run), render_plan(plan))
    alone = reported(loadtest, finished(plan), bucket)
    assert alone is not None
    assert alone.report.model_copy(update={"run": made.report.run}) == made.report


def test_readers_of_a_run_of_which_there_is_nothing_to_report_end(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    shut_gate(plan.run, bucket, reason="no API")

    with reader_pods(2, plan.run) as readers:
        reported(loadtest.model_copy(update={"readers": 2}), finished(plan, status="Failed"), bucket)
        assert ended(readers) == [0, 0]


def test_the_plan_which_may_hold_credentials_is_removed(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    shut_gate(plan.run, bucket, reason="no API")

    reported(loadtest, finished(plan, status="Failed"), bucket)

    assert bucket.read(plan_path(plan.run)) is None


@pytest.mark.parametrize("gate", ["shut", "never opened"])
def test_there_is_nothing_to_report_where_the_api_was_not_ready(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest, gate: str
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    {"shut": lambda: shut_gate(plan.run, bucket, reason="no API"), "never opened": lambda: None}[gate]()

    assert reported(loadtest, finished(plan, status="Failed"), bucket) is None
    assert bucket.names(f"runs/{plan.run}/report") == ()


def test_there_is_nothing_to_report_where_nothing_was_planned(bucket: Bucket, loadtest: LoadTest) -> None:
    run = Finished(run="unplanned", started="", status="Failed", namespace="loadtest")

    assert reported(loadtest, run, bucket) is None


def test_a_run_that_was_stopped_is_invalid_even_where_all_was_measured(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    attacked(plan, "get-a", "get-b")

    made = reported(loadtest, finished(plan, status="Failed"), bucket)

    assert made is not None
    assert made.exit == Exit.INVALID
    assert made.report.verdict.reasons == ("the run did not come to its end: Argo calls it Failed",)


def test_an_attacker_that_is_gone_is_not_waited_for_and_the_scheduler_may_say_why(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest, in_a_cluster: StandIn
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    in_a_cluster.objects["/api/v1/namespaces/loadtest/events/1"] = {
        "metadata": {"name": "1"},
        "involvedObject": {"kind": "Pod", "name": f"{plan.run}-attack-2"},
        "reason": "FailedScheduling",
        "message": "Insufficient cpu",
    }

    made = reported(loadtest, finished(plan, status="Failed"), bucket)

    assert made is not None
    assert made.exit == Exit.INVALID
    assert made.report.verdict.reasons[0] == f"pod {plan.run}-attack-2 was not started: Insufficient cpu"
    assert "shard get-a is missing: it left no evidence" in made.report.verdict.reasons


def test_an_attacker_that_lives_is_waited_for_until_it_has_uploaded(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest, in_a_cluster: StandIn
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a",))
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    in_a_cluster.objects[f"{PODS}/1"] = a_pod(f"{plan.run}-attack-1", phase="Running")
    in_a_cluster.reactions["GET", PODS] = lambda: attacked(plan, "get-a")
    one_target = loadtest.model_copy(update={"targets": loadtest.targets[:1]})

    made = reported(one_target, finished(plan, status="Failed"), bucket)

    assert made is not None
    assert made.report.overall.requests == 20
    assert json.loads(bucket.read(f"runs/{plan.run}/report.json") or b"")["overall"]["requests"] == 20


def snapshot_in(bucket: Bucket, run: str, moment: str, *, node: str = "node-1", restarts: int = 0) -> None:
    pod = ApiPod(name="api-1", uid=f"on-{node}", node=node, restarts=restarts, is_ready=True)
    bucket.write(snapshot_path(run, moment), render_snapshot(Snapshot(pods=(pod,))))


@pytest.mark.parametrize(
    ("after", "exit_code"),
    [
        pytest.param({}, Exit.PASS, id="as it was"),
        pytest.param({"restarts": 1}, Exit.PASS, id="after a crash, which is its own doing"),
        pytest.param({"node": "node-2"}, Exit.INVALID, id="on another node"),
    ],
)
def test_an_api_that_somebody_moved_is_another_one(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest, after: dict[str, Any], exit_code: Exit
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    attacked(plan, "get-a", "get-b")
    snapshot_in(bucket, plan.run, "before")
    # Whoever removes the API is a little later than whoever reports.
    late = Timer(1.5, snapshot_in, (bucket, plan.run, "after"), after)
    late.start()

    made = reported(loadtest, finished(plan), bucket)
    late.join()

    assert made is not None
    assert (made.exit, made.report.validity[-1].measured is None) == (exit_code, False)


def test_of_an_api_that_runs_already_nobody_is_waited_for(
    bucket: Bucket, loopback_api: Loopback, loadtest: LoadTest
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=TWO_TARGETS)
    open_gate(plan.run, bucket, deadline_ns=START_NS)
    attacked(plan, "get-a", "get-b")
    snapshot_in(bucket, plan.run, "before")

    made = reported(loadtest.model_copy(update={"api_url": loopback_api.url}), finished(plan), bucket)

    assert made is not None
    assert made.report.validity[-1].outcome is Outcome.UNKNOWN


def test_no_plan_is_left_where_the_report_breaks(bucket: Bucket, loadtest: LoadTest) -> None:
    plan = plan_in(bucket, "http://127.0.0.1:9", targets=TWO_TARGETS)
    bucket.write(f"runs/{plan.run}/barrier/gate", b"soon")

    with pytest.raises(RunBrokenError, match="which is no gate"):
        reported(loadtest, finished(plan), bucket)

    assert bucket.read(plan_path(plan.run)) is None
