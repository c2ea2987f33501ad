"""Whole runs on a real cluster with Argo Workflows, as their user starts them.

The cluster's registry holds the images `loadtest-api:1` and `loadtest-attacker:1`.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
import yaml

from attacker.exits import Exit
from tests.cluster.runs import (
    MISSING,
    NAMESPACE,
    REGISTRY,
    RESULTS,
    SMALL,
    attackers,
    bucket_of_results,
    created,
    delete_run,
    end_of,
    eventually,
    files_of,
    following,
    is_attacking,
    kubectl,
    left_of_the_api,
    nodes_of,
    objects,
    report_of,
    submitted,
    watching_pods,
    workflow,
)
from tests.cluster.test_manifests_on_cluster import config_with_the_emulator, overlay
from tests.workflows.submit_process import Told
from workflows.published_template import defaults_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.argo,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.skipif(not os.environ.get("CLUSTER_ARGO"), reason="Argo Workflows is not there: CLUSTER_ARGO missing"),
    pytest.mark.timeout(300),
]

SERVER = os.environ.get("CLUSTER_ARGO_SERVER", "")
SHARDS = ("get-health", "get-metadata", "post-add_users")
LONG = ("--duration", "90s")
"""No test waits for the end of such an attack."""
REPORT = {
    *("loadtest.json", "report.json", "report.html", "report.md", "junit.xml"),
    *("api/before.json", "api/after.json"),
}
"""Of a run for which the API was deployed."""


def shard_files(*shards: str) -> set[str]:
    return {f"shards/{shard}/{name}" for shard in shards for name in ("results.parquet", "shard.json")}


def what_is_kept(run: str, *, results: str = RESULTS) -> set[str]:
    """The run folder without what the attackers met at, and what Argo keeps of its pods."""
    return {name for name in files_of(run, results=results) if not name.startswith(("barrier/", "argo/"))}


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster with all that runs need; it is told where its storage is."""
    patch = {"patch": json.dumps(config_with_the_emulator())}
    kubectl("apply", "-k", str(overlay(tmp_path_factory.mktemp("prepared"), "overlays/any", patches=[patch])))
    storage = {
        name: os.environ[name] for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT") if name in os.environ
    }
    before = [one for one in objects("configmaps") if one["metadata"]["name"] == "loadtest-env"]
    set_environment(storage)
    assert left_of_the_api() == []
    yield
    kubectl("delete", "configmap/loadtest-env", f"--namespace={NAMESPACE}")
    if before:
        set_environment(before[0]["data"])


def set_environment(values: dict[str, str]) -> None:
    metadata = {"name": "loadtest-env", "namespace": NAMESPACE}
    kubectl(
        "apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": values}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A run of the targets that the cluster has, which came to its end."""

    run: str
    told: Told
    pods: dict[str, Any]
    """All that were there, by name."""
    left: list[str]


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passed]:
    options = ("--api-replicas", "2", "--warmup", "1s")
    with following(*options, cwd=tmp_path_factory.mktemp("passed")) as followed:
        with watching_pods() as pods:
            told = followed.ended()
        yield Passed(run=followed.run, told=told, pods=dict(pods), left=left_of_the_api())


def test_a_run_of_the_clusters_targets_passes_and_is_told_step_by_step(passed: Passed) -> None:
    assert passed.told.code == Exit.PASS, passed.told.err
    assert passed.told.out.splitlines()[-1] == f"Report: {RESULTS}/runs/{passed.run}/report.html"
    assert "PASS" in passed.told.out
    told = [line.split()[0] for line in passed.told.err.splitlines() if " done after " in line]
    assert told[:3] == ["deploy", "ready", "attack"]
    assert sorted(told[3:]) == ["report", "teardown"]  # they go side by side


def test_its_report_is_in_the_bucket_with_every_shards_rows(passed: Passed, tmp_path: Path) -> None:
    assert what_is_kept(passed.run) == REPORT | shard_files(*SHARDS)
    report = report_of(passed.run)
    assert (report.verdict.result, report.run.engine) == ("PASS", "argo")
    assert [(one.name, one.requests, one.expected) for one in report.targets] == [(name, 80, 80) for name in SHARDS]
    assert report.overall.status_codes == {"200": 240}
    assert bucket_of_results().download(f"runs/{passed.run}/shards", tmp_path) == ()
    assert [len(pl.read_parquet(tmp_path / name / "results.parquet")) for name in SHARDS] == [100] * 3


def test_argo_keeps_the_log_of_each_pod_and_the_page_of_the_report_there(passed: Passed) -> None:
    logs = {name.split("/")[1] for name in files_of(passed.run) if name.startswith("argo/")}
    nodes = workflow(passed.run)["status"]["nodes"].values()
    kept = {node["displayName"]: node.get("outputs", {}).get("artifacts", ()) for node in nodes}

    assert logs == {name for name in passed.pods if name.startswith(passed.run)}
    assert [one["gcs"]["key"] for one in kept["report"] if one["name"] == "report"] == [
        f"runs/{passed.run}/report.html"
    ]


def test_its_attackers_started_together(passed: Passed) -> None:
    skews_ns = [one.attack.start_skew_ns for one in (*report_of(passed.run).targets, report_of(passed.run).overall)]

    assert all(skew_ns is not None and skew_ns < 500_000_000 for skew_ns in skews_ns), skews_ns


def test_what_its_attackers_and_its_api_left_as_evidence_breaks_no_rule_of_validity(passed: Passed) -> None:
    table = {rule.rule: rule for rule in report_of(passed.run).validity}

    assert [rule.rule for rule in table.values() if rule.outcome == "invalid"] == []
    assert [table[name].measured for name in ("api_pods", "clocks", "dns", "attacker_errors")] == [0] * 4


def test_it_has_no_reader_of_its_own_but_its_report(passed: Passed) -> None:
    nodes = nodes_of(passed.run)

    assert [(name, phase.partition(":")[0]) for name, phase in nodes.items() if name.startswith("read(")] == []
    assert nodes["read"].startswith("Skipped")


def test_its_api_is_gone(passed: Passed) -> None:
    assert passed.left == []


def test_its_report_is_shown_and_fetched_and_it_is_listed(passed: Passed, tmp_path: Path) -> None:
    shown = submitted("report", passed.run, "--into", str(tmp_path))
    listed = submitted("list")

    assert shown.code == Exit.PASS
    # Only where long sentences are broken into lines do they differ.
    assert " ".join(shown.out.split()) in " ".join(passed.told.out.split())
    assert submitted("report", passed.run, "--results", RESULTS).out == shown.out
    assert (tmp_path / "runs" / passed.run / "report.html").read_text().startswith("<!doctype html>")
    assert [line.split()[1::2] for line in listed.out.splitlines() if line.startswith(passed.run)] == [
        ["Succeeded", "PASS"]
    ]


def test_all_of_its_pods_are_admitted_under_restricted(passed: Passed) -> None:
    namespace = json.loads(kubectl("get", "namespace", NAMESPACE, "-o", "json"))
    steps = [name.removeprefix(f"{passed.run}-").rpartition("-")[0] for name in passed.pods if passed.run in name]
    apis = [name for name in passed.pods if name.startswith("loadtest-api-")]

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert sorted(steps) == ["attack", "attack", "attack", "deploy", "ready", "report", "teardown"]
    assert len(apis) == 2


def test_its_attackers_have_what_they_may_use_to_themselves(passed: Passed) -> None:
    attack_pods = [pod for name, pod in passed.pods.items() if name.startswith(f"{passed.run}-attack-")]
    containers = [one for pod in attack_pods for one in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])]
    main = [one["resources"]["limits"] for one in containers if one["name"] == "main"]

    assert [pod["status"]["qosClass"] for pod in attack_pods] == ["Guaranteed"] * 3
    assert all(one["resources"]["requests"] == one["resources"]["limits"] for one in containers)
    assert main == [{"cpu": "350m", "memory": "256Mi"}] * 3


def running_reader(run: str) -> str | None:
    pods = [one for one in objects("pods") if one["metadata"]["name"].startswith(f"{run}-read-")]
    return next((one["metadata"]["name"] for one in pods if one["status"]["phase"] == "Running"), None)


def test_two_readers_share_out_what_was_measured(tmp_path: Path) -> None:
    with following("--readers", "2", cwd=tmp_path) as followed:
        told = followed.ended()
        nodes = nodes_of(followed.run)
        logs = [name for name in files_of(followed.run) if name.startswith(f"argo/{followed.run}-read-")]

        assert told.code == Exit.PASS, (told.err, nodes)
        assert {name: phase for name, phase in nodes.items() if name.startswith("read(")} == {
            "read(0:1)": "Succeeded",
            "read(1:2)": "Succeeded",
        }
        assert what_is_kept(followed.run) == REPORT | shard_files(*SHARDS)
        assert len(logs) == 2
        report = report_of(followed.run)
        assert [(one.name, one.requests, one.expected) for one in report.targets] == [(name, 80, 80) for name in SHARDS]
        assert report.overall.status_codes == {"200": 240}
        assert left_of_the_api() == []


KILL_ALL = (
    "import os; [os.kill(int(n), 9) for n in os.listdir('/proc') if n.isdigit() and int(n) not in (1, os.getpid())]"
)


def processes_killed(pod: str) -> tuple[str, ...]:
    return ("exec", pod, "--container=main", "--", "python", "-c", KILL_ALL)


READERS_DEATHS: dict[str, tuple[Callable[[str], tuple[str, ...]], str]] = {
    "its pod is deleted": (
        lambda pod: ("delete", "pod", pod, "--wait=false"),
        "was told to stop before the report was made: see what became of its pod, and run again",
    ),
    "its processes are killed": (processes_killed, " ended before the report was made: see its log; run again; "),
}


@pytest.mark.parametrize("way", READERS_DEATHS)
def test_a_reader_that_dies_breaks_the_report_and_not_what_was_measured(tmp_path: Path, way: str) -> None:
    death, reason = READERS_DEATHS[way]

    with following("--readers", "2", cwd=tmp_path) as followed:
        dead = eventually(lambda: running_reader(followed.run), timeout_s=90)
        kubectl(f"--namespace={NAMESPACE}", *death(dead))
        told = followed.ended()

        assert told.code == Exit.BROKEN, told.err
        assert reason in told.err
        assert what_is_kept(followed.run) == {
            name for name in REPORT if "report" not in name and name != "junit.xml"
        } | (shard_files(*SHARDS))
        assert left_of_the_api() == []


def test_an_api_whose_pod_somebody_deletes_during_the_attack_is_another_one(tmp_path: Path) -> None:
    with following("--duration", "20s", cwd=tmp_path) as followed:
        is_attacking(followed.run)
        [pod] = [one["metadata"]["name"] for one in objects("pods", "--selector=app.kubernetes.io/name=loadtest-api")]
        kubectl(f"--namespace={NAMESPACE}", "delete", "pod", pod, "--wait=false")
        told = followed.ended()

        assert told.code == Exit.INVALID, told.err
        [changed] = [rule for rule in report_of(followed.run).validity if rule.rule == "api_pods"]
        assert changed.measured == 2
        assert any(f"pod {pod} on " in one.text and one.text.endswith(" is gone") for one in changed.findings)


def test_a_missed_objective_fails_the_workflow_with_a_whole_report(tmp_path: Path) -> None:
    body = {"id": 7, "name": 'it\'s "quoted" $(touch /tmp/x) `x` {{x}}\n- line: 2 \u2028 é', "age": "100"}
    file = tmp_path / "load-test.yaml"
    targets = [
        {"name": "--help", "url": "/health"},
        {"name": "add", "method": "POST", "url": "/add_users/", "json": body},
    ]
    file.write_text(yaml.safe_dump({"targets": targets, "objectives": ["add: p50 < 1us"]}))

    results = f"{RESULTS}/a/prefix"

    with following(str(file), "--results", results, cwd=tmp_path) as followed:
        told = followed.ended()

        assert told.code == Exit.FAIL, told.err
        assert workflow(followed.run)["status"]["phase"] == "Failed"
        assert what_is_kept(followed.run, results=results) == REPORT | shard_files("--help", "add")
        report = report_of(followed.run, results=results)
        assert [(one.name, one.requests) for one in report.targets] == [("--help", 80), ("add", 80)]
        assert report.run.loadtest["targets"][1]["json"] == body  # type: ignore[index,call-overload]
        junit = bucket_of_results(results).read(f"runs/{followed.run}/junit.xml") or b""
        assert len(ET.fromstring(junit).findall(".//failure")) == 1  # noqa: S314  (our own file)
        assert left_of_the_api() == []
        [template] = objects("workflowtemplates")
        assert "results" not in defaults_of(template), "one run's bucket has become that of all"


DEATHS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "its pod is deleted": lambda pod: ("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false"),
    "its processes are killed": processes_killed,
}


@pytest.mark.parametrize("way", DEATHS)
def test_what_the_others_measured_is_reported_where_an_attacker_dies(tmp_path: Path, way: str) -> None:
    with following("--duration", "12s", cwd=tmp_path) as followed:
        is_attacking(followed.run)
        kubectl(f"--namespace={NAMESPACE}", *DEATHS[way](attackers(followed.run)["get-metadata"]))
        told = followed.ended()

        assert told.code == Exit.INVALID, told.err
        report = report_of(followed.run)
        assert {one.name: one.requests for one in report.targets if one.name != "get-metadata"} == {
            "get-health": 240,
            "post-add_users": 240,
        }
        of_others = [reason for reason in report.verdict.reasons if "get-metadata" not in reason]
        assert all(reason.startswith("the run did not come to its end: ") for reason in of_others), of_others
        assert "get-metadata" in told.out
        assert what_is_kept(followed.run) >= REPORT | shard_files("get-health", "post-add_users")
        assert left_of_the_api() == []


@pytest.mark.parametrize(
    "cpus", [pytest.param("64", id="none of them"), pytest.param("700m", id="one of them, on two processors")]
)
def test_nobody_attacks_where_an_attacker_cannot_be_scheduled(tmp_path: Path, cpus: str) -> None:
    options = ("--attacker-cpu", cpus, "--start-timeout", "25s")

    with following(*options, cwd=tmp_path) as followed:
        told = followed.ended()

        assert told.code == Exit.INVALID, told.err
        report = report_of(followed.run)
        assert report.overall.requests == 0
        assert any("Insufficient cpu" in reason for reason in report.verdict.reasons), report.verdict.reasons
        assert "Insufficient cpu" in " ".join(told.out.split())
        assert what_is_kept(followed.run) >= REPORT
        assert left_of_the_api() == []
        attack_s = [float(line.split()[-2]) for line in told.err.splitlines() if line.startswith("attack    failed")]
        assert attack_s[0] < 200  # what fits nowhere goes by its timeout


def partial_report(run: str) -> None:
    """What a run leaves that was ended in the middle of its attack."""
    report = report_of(run)
    assert report.verdict.result == "INVALID"
    assert any("did not come to its end" in reason for reason in report.verdict.reasons), report.verdict.reasons
    assert all(0 < one.requests < (one.expected or 0) for one in report.targets), report.targets
    assert what_is_kept(run) == REPORT | shard_files(*SHARDS)
    assert left_of_the_api() == []


def test_ctrl_c_stops_the_attack_and_waits_for_its_partial_report(tmp_path: Path) -> None:
    with following(*LONG, cwd=tmp_path) as followed:
        is_attacking(followed.run)
        followed.process.send_signal(signal.SIGINT)
        told = followed.ended(within_s=100)

        assert told.code == Exit.INTERRUPTED, told.err
        assert "INVALID" in told.out
        partial_report(followed.run)


def test_who_only_stops_watching_leaves_a_run_that_can_be_stopped(tmp_path: Path) -> None:
    with following(*LONG, "--on-interrupt", "detach", cwd=tmp_path) as followed:
        is_attacking(followed.run)
        followed.process.send_signal(signal.SIGTERM)
        told = followed.ended(within_s=20)

        assert (told.code, f"run {followed.run} goes on" in told.err) == (Exit.INTERRUPTED, True)
        assert workflow(followed.run)["status"]["phase"] == "Running"

        stopped = submitted("stop", followed.run)
        assert (stopped.code, stopped.out) == (0, f"{followed.run}: it is being stopped; its report follows\n")
        assert end_of(followed.run)["status"]["phase"] == "Failed"
        partial_report(followed.run)
        assert submitted("report", followed.run).code == Exit.INVALID


def test_a_kept_api_stays_until_its_run_is_deleted(tmp_path: Path) -> None:
    with following("--keep", cwd=tmp_path) as followed:
        told = followed.ended()

        assert told.code == Exit.PASS, told.err
        [deployment] = objects("deployments")
        assert (deployment["metadata"]["name"], deployment["status"]["availableReplicas"]) == ("loadtest-api", 1)
        assert {name.split()[0] for name in left_of_the_api()} == {"Deployment", "ReplicaSet", "Pod", "Service"}
        delete_run(followed.run)
        assert left_of_the_api() == []


BROKEN = {
    "its API crashes": (
        ("--api-image", f"{REGISTRY}/library/debian:bookworm-slim"),
        "ready: loadtest-api: pod loadtest-api-",
        "crashes: container api ended with exit code",
    ),
    "its API's image does not exist": (
        ("--api-image", f"{REGISTRY}/no-such-image:1"),
        f"ready: loadtest-api: image {REGISTRY}/no-such-image:1 cannot be pulled: ",
        "name an image that the registry has",
    ),
    "its attackers' image does not exist": (
        ("--attacker-image", f"{REGISTRY}/no-such-image:1"),
        "deploy: ",
        "name an attacker_image that can be pulled",
    ),
    "its bucket does not exist": (
        ("--results", "gs://no-such-bucket"),
        "deploy: gs://no-such-bucket: there is no such bucket",
        "create it, or name another",
    ),
    "a target is not there": (
        ("--target", "GET /nothing"),
        "ready: get-nothing: GET http://loadtest-api.loadtest.svc:5000/nothing answered 404",
        "mend the target or the API",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_run_that_cannot_attack_is_broken_for_a_reason_in_one_line(tmp_path: Path, what: str) -> None:
    options, beginning, words = BROKEN[what]

    with following(*options, cwd=tmp_path) as followed:
        told = followed.ended()

        assert told.code == Exit.BROKEN, told.err
        assert told.error.startswith(f"submit: run {followed.run}: {beginning}")
        assert words in told.error
        assert "\n" not in told.error
        assert left_of_the_api() == []
        assert what_is_kept(followed.run) <= {"loadtest.json"}


@pytest.fixture
def no_targets() -> Iterator[None]:
    [targets] = [one for one in objects("configmaps") if one["metadata"]["name"] == "loadtest-targets"]
    kubectl("delete", "configmap/loadtest-targets", f"--namespace={NAMESPACE}")
    yield
    kept = {key: targets["metadata"][key] for key in ("name", "namespace", "labels")}
    kubectl("apply", "-f", "-", manifest={**targets, "metadata": kept})


@pytest.mark.usefixtures("no_targets")
def test_a_run_whose_targets_are_nowhere_says_so(tmp_path: Path) -> None:
    with following(cwd=tmp_path) as followed:
        told = followed.ended()

    assert told.code == Exit.BROKEN, told.err
    assert "ConfigMap 'loadtest-targets' does not exist" in told.error
    assert "\n" not in told.error
    assert left_of_the_api() == []


def a_thousand_targets(folder: Path) -> str:
    targets = [{"name": f"t{n}", "method": "POST", "url": f"/{n}", "json": {"name": f"user{n}"}} for n in range(1000)]
    file = folder / "thousand.yaml"
    file.write_text(json.dumps({"targets": targets}))
    return str(file)


def test_a_thousand_targets_are_carried_to_the_pods(tmp_path: Path) -> None:
    with following(a_thousand_targets(tmp_path), "--results", "gs://no-such-bucket", cwd=tmp_path) as followed:
        told = followed.ended()

    assert told.code == Exit.BROKEN, told.err
    assert "deploy: gs://no-such-bucket: there is no such bucket" in told.error  # its load test was read by then


def test_attackers_are_not_started_any_more_for_an_api_that_does_not_answer(tmp_path: Path) -> None:
    nowhere = ("--api-url", "http://127.0.0.1:9", "--ready-timeout", "1s", "--shards", "8")

    with following(*nowhere, cwd=tmp_path) as followed:
        told = followed.ended()

    assert told.code == Exit.BROKEN, told.err
    assert "ready: get-health: GET http://127.0.0.1:9/health was not ready within 1 s" in told.error


@pytest.mark.skipif(not SERVER, reason="Argo's server is not there: CLUSTER_ARGO_SERVER missing")
def test_a_run_through_an_argo_server_is_the_same(tmp_path: Path) -> None:
    nowhere = {"KUBECONFIG": str(tmp_path / "no-kubeconfig"), "ARGO_SERVER": SERVER}

    with following(cwd=tmp_path, **nowhere) as followed:
        told = followed.ended()

        assert told.code == Exit.PASS, told.err
        assert [(one.name, one.requests) for one in report_of(followed.run).targets] == [(name, 80) for name in SHARDS]
        assert what_is_kept(followed.run) == REPORT | shard_files(*SHARDS)
        assert left_of_the_api() == []


@pytest.fixture
def applied() -> None:
    """The template as kubectl applies what submit.py renders; its defaults are a small run's."""
    rendered = submitted("render", *SMALL)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", manifest=rendered.out)


@pytest.mark.usefixtures("applied")
def test_a_run_that_kubectl_creates_is_the_same() -> None:
    with created() as run:
        assert end_of(run)["status"]["phase"] == "Succeeded", nodes_of(run)
        assert what_is_kept(run) == REPORT | shard_files(*SHARDS)
        assert [(one.name, one.requests) for one in report_of(run).targets] == [(name, 80) for name in SHARDS]
        assert left_of_the_api() == []


@pytest.mark.usefixtures("applied")
def test_the_deadline_ends_an_attack_with_a_partial_report() -> None:
    long = {"parameters": [{"name": "duration", "value": "120s"}]}

    with created(arguments=long, activeDeadlineSeconds=45) as run:
        assert end_of(run)["status"]["phase"] == "Failed", nodes_of(run)
        partial_report(run)


@pytest.mark.usefixtures("applied")
def test_a_number_of_readers_that_is_none_is_refused_and_nothing_waits_for_them() -> None:
    none = {"parameters": [{"name": "readers", "value": "several"}]}

    with created(arguments=none) as run:
        assert end_of(run)["status"]["phase"] == "Failed"
        nodes = nodes_of(run)
        assert nodes["read"].startswith("Skipped")
        assert nodes["deploy"].startswith("Failed")
        assert left_of_the_api() == []


@pytest.mark.usefixtures("applied")
def test_readers_of_a_run_that_was_never_planned_end_by_themselves() -> None:
    too_many = {"parameters": [{"name": "readers", "value": "2"}, {"name": "rate", "value": "1000000000"}]}

    with created(arguments=too_many) as run:
        assert end_of(run)["status"]["phase"] == "Failed"
        nodes = nodes_of(run)
        assert [nodes[name] for name in ("read(0:1)", "read(1:2)")] == ["Succeeded"] * 2
        assert nodes["deploy"].startswith("Failed")


@pytest.fixture
def every_minute() -> Iterator[str]:
    schedule = submitted("schedule", "--cron", "* * * * *", "--timezone", "Etc/UTC", *SMALL)
    assert schedule.code == 0, schedule.err
    yield schedule.out
    kubectl("delete", "cronworkflow/load-test", f"--namespace={NAMESPACE}", "--cascade=foreground")


def test_a_run_that_the_schedule_starts_is_the_same(every_minute: str) -> None:
    by_cron = ("workflows", "--selector=workflows.argoproj.io/cron-workflow=load-test")
    [started] = eventually(lambda: objects(*by_cron), timeout_s=90)
    run = started["metadata"]["name"]
    suspended = ("--type=merge", '--patch={"spec": {"suspend": true}}')
    kubectl("patch", "cronworkflow/load-test", f"--namespace={NAMESPACE}", *suspended)

    assert every_minute == "schedule load-test: * * * * * (Etc/UTC)\n"
    assert end_of(run)["status"]["phase"] == "Succeeded", nodes_of(run)
    assert what_is_kept(run) == REPORT | shard_files(*SHARDS)
    assert report_of(run).verdict.result == "PASS"
    assert left_of_the_api() == []


def test_of_runs_at_once_one_waits_for_the_other(tmp_path: Path) -> None:
    with following(cwd=tmp_path) as first, following("--order", "sequential", cwd=tmp_path) as second:
        eventually(lambda: "lock" in workflow(second.run).get("status", {}).get("message", ""), timeout_s=20)
        with following(cwd=tmp_path) as third:
            third.process.send_signal(signal.SIGINT)
            gave_up = third.ended(within_s=20)
            assert (gave_up.code, "it was still waiting: it is deleted" in gave_up.err) == (Exit.INTERRUPTED, True)

        assert (first_told := first.ended()).code == Exit.PASS, first_told.err
        assert (second_told := second.ended()).code == Exit.PASS, second_told.err
        assert "Mutex/load-test lock" in second_told.err
        assert workflow(second.run)["status"]["startedAt"] >= workflow(first.run)["status"]["finishedAt"]
        assert {one.requests for one in report_of(second.run).targets} == {80}
        assert what_is_kept(second.run) == REPORT | shard_files(*SHARDS)
