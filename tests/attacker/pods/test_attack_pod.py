"""An attack pod's process from its start to its exit code, with the real vegeta, a real API and a storage emulator."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from attacker.bucket import Bucket
from attacker.exits import Exit
from attacker.plan_file import Plan
from attacker.report.assemble import FoundShard, assemble
from attacker.report.figures import Run, VerdictResult
from attacker.report.objectives import parse_objective
from attacker.report.validity.shards import doubts_on_shard
from attacker.run_folder import find_shard
from attacker.sending import Sending
from tests.attacker.attack_pods import a_bucket, ended, found_in, plan_in, start_pod
from tests.attacker.building import a_shard, a_target, measured_of
from tests.attacker.loopback import Loopback, loopback
from tests.certificates import CLIENT, certificates
from tests.loopback import wait_until

bucket = a_bucket

SECRET = "s3cret"  # noqa: S105  (a test's)
WITH_A_SECRET: dict[str, object] = {"name": "get-a", "url": "/a", "headers": {"Authorization": f"Bearer {SECRET}"}}


def the_verdict(found: list[FoundShard], plan: Plan, *objectives: str) -> tuple[VerdictResult, tuple[str, ...]]:
    run = Run(id=plan.run, started="", ended="", engine="argo", loadtest={}, environment={})
    report, _ = assemble(run, found, [parse_objective(text) for text in objectives], simultaneous=True)
    return report.verdict.result, report.verdict.reasons


def requests_of(found: FoundShard) -> int:
    return measured_of([found.measured]).requests


def told(pod: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end; returns the exit code and what was printed."""
    _, err = pod.communicate(timeout=60)
    return pod.returncode, err


def test_what_the_pods_upload_makes_a_report_that_passes(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /b"), shards=2)
    (tmp_path / "scratch").mkdir()
    environment = {"TMPDIR": str(tmp_path / "scratch"), "NODE_NAME": "node-7", "ATTACKER_IMAGE_DIGEST": "sha256:abc"}

    codes = ended([start_pod(shard.name, plan.run, **environment) for shard in plan.shards])

    found = found_in(bucket, plan, tmp_path)
    assert codes == [Exit.PASS] * 4
    assert [requests_of(one) for one in found] == [10, 10, 10, 10]
    assert the_verdict(found, plan, "success >= 100%") == (VerdictResult.PASS, ())
    assert [(e.node, e.image_digest, e.exit_code) for one in found if (e := one.state.evidence)] == [
        ("node-7", "sha256:abc", 0)
    ] * 4
    clocks = [one.state.evidence.clock for one in found if one.state.evidence]
    assert all(clock and abs(clock.offset_ns) <= clock.uncertainty_ns for clock in clocks), clocks
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_plan_says_how_the_pods_send_and_where_their_certificates_are(bucket: Bucket, tmp_path: Path) -> None:
    issued = certificates(tmp_path)
    sending = Sending(root_certs=("root.pem",), cert="cert.pem", key="key.pem", max_workers=1, http2=False)
    with loopback(tls=issued.checking) as server:
        plan = plan_in(bucket, server.url, sending=sending)
        codes = ended([start_pod("get-a", plan.run, LOADTEST_CERTS=str(tmp_path))])

    [found] = found_in(bucket, plan, tmp_path)
    assert (codes, the_verdict([found], plan, "success >= 100%")) == ([Exit.PASS], (VerdictResult.PASS, ()))
    assert {(one.client, one.protocol) for one in server.seen} == {(CLIENT, "HTTP/1.1")}
    assert found.state.evidence is not None
    assert f"-key={tmp_path}/key.pem" in found.state.evidence.command


def test_a_pod_without_its_certificate_does_not_come_to_the_barrier_and_says_why(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(bucket, loopback_api.url, sending=Sending(cert="/nowhere/cert.pem"))

    code, err = told(start_pod("get-a", plan.run))

    reason = "cert is '/nowhere/cert.pem': No such file or directory: give a PEM file that whoever attacks can read"
    assert (code, err) == (Exit.USAGE, f"attacker: {reason}\n")
    assert bucket.names(f"runs/{plan.run}/barrier/") == ()
    assert found_in(bucket, plan, tmp_path)[0].state.trouble == reason


def test_a_shards_evidence_is_the_last_that_is_uploaded(bucket: Bucket, loopback_api: Loopback) -> None:
    plan = plan_in(bucket, loopback_api.url)

    ended([start_pod("get-a", plan.run)])

    stored = httpx.get(f"{os.environ['STORAGE_EMULATOR_HOST']}/storage/v1/b/results/o").json()["items"]
    in_time = [one["name"].rpartition("/")[2] for one in sorted(stored, key=lambda one: one["generation"])]
    assert in_time == ["plan.json", "get-a", "go", "results.parquet", "shard.json"]


def test_progress_is_told_a_line_each_and_holds_no_secret(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=(WITH_A_SECRET,))

    code, err = told(start_pod("get-a", plan.run))

    assert code == Exit.PASS
    assert re.fullmatch(
        rf"get-a: at the barrier of run {plan.run}, 1 shards in all\n"
        r"get-a: the attack starts at \d\d:\d\d:\d\d\.\d{6} UTC\n"
        r"get-a: the attack ended: 20 requests\n"
        rf"get-a: uploaded to gs://results/load-tests/runs/{plan.run}/shards/get-a in \d+\.\d s\n",
        err,
    )
    assert {one.headers["Authorization"] for one in loopback_api.seen} == {f"Bearer {SECRET}"}
    found_in(bucket, plan, tmp_path)
    uploaded = [file.read_bytes() for file in (tmp_path / plan.run).rglob("*") if file.is_file()]
    assert len(uploaded) == 2
    assert not any(SECRET.encode() in content for content in uploaded)


def test_a_pod_that_is_stopped_uploads_what_it_measured(bucket: Bucket, loopback_api: Loopback, tmp_path: Path) -> None:
    plan = plan_in(bucket, loopback_api.url, duration="60s")
    pod = start_pod("get-a", plan.run)
    wait_until(lambda: len(loopback_api.seen) >= 20, timeout_s=40)

    pod.send_signal(signal.SIGTERM)
    code, err = told(pod)

    [found] = found_in(bucket, plan, tmp_path)
    result, reasons = the_verdict([found], plan)
    assert (code, found.state.evidence and found.state.evidence.interrupted) == (Exit.PASS, True)
    assert requests_of(found) == len(loopback_api.seen)
    assert f"get-a: the attack was stopped: {requests_of(found)} requests\n" in err
    assert result is VerdictResult.INVALID
    assert any("were sent" in reason for reason in reasons)


def test_answers_that_do_not_come_do_not_delay_the_upload(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(
        bucket,
        loopback_api.url,
        targets=({"name": "quick", "url": "/"}, {"name": "hanging", "url": "/?wait_s=60"}),
        duration="60s",
    )
    pods = [start_pod(shard.name, plan.run) for shard in plan.shards]
    wait_until(lambda: len(loopback_api.seen) >= 40, timeout_s=40)

    signalled_s = time.monotonic()
    for pod in pods:
        pod.send_signal(signal.SIGTERM)
    codes = ended(pods)

    assert time.monotonic() - signalled_s < 25
    quick, hanging = found_in(bucket, plan, tmp_path)
    assert codes == [Exit.PASS, Exit.PASS]
    assert requests_of(quick) >= 10
    assert "shard hanging: vegeta did not end by itself" in doubts_on_shard(hanging.state)


def test_a_pod_that_is_stopped_at_the_barrier_leaves_it(bucket: Bucket, loopback_api: Loopback, tmp_path: Path) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /never-comes"), deadline_s=600)
    pod = start_pod("get-a", plan.run)
    wait_until(lambda: bucket.names(f"runs/{plan.run}/barrier/ready/get-a"), timeout_s=40)

    pod.send_signal(signal.SIGTERM)

    assert told(pod)[0] == Exit.INTERRUPTED
    assert bucket.names(f"runs/{plan.run}/barrier/") == ()
    assert doubts_on_shard(found_in(bucket, plan, tmp_path)[0].state) == (
        "shard get-a is missing: it was told to stop before the attack",
    )


def test_a_pod_that_is_stopped_between_barrier_and_start_sends_nothing(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(bucket, loopback_api.url)
    pod = start_pod("get-a", plan.run)
    wait_until(lambda: bucket.names(f"runs/{plan.run}/barrier/go"), timeout_s=40)

    pod.send_signal(signal.SIGTERM)

    assert told(pod)[0] == Exit.INTERRUPTED
    assert loopback_api.seen == []
    assert found_in(bucket, plan, tmp_path)[0].state.trouble == "it was told to stop before the attack"


def test_a_run_that_was_not_planned_is_said_not_to_be(bucket: Bucket, tmp_path: Path) -> None:
    reason = "gs://results/load-tests/runs/unknown/plan.json is not there: --run 'unknown' was not planned"

    assert told(start_pod("get-a", "unknown")) == (Exit.BROKEN, f"attacker: {reason}\n")
    bucket.download("runs/unknown", tmp_path / "unknown")
    assert doubts_on_shard(find_shard(tmp_path / "unknown", a_shard(name="get-a"), run="unknown").state) == (
        f"shard get-a is missing: {reason}",
    )


def test_a_shard_that_was_not_planned_is_said_not_to_be(bucket: Bucket, loopback_api: Loopback) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /b"))

    assert told(start_pod("get-c", plan.run)) == (
        Exit.BROKEN,
        f"attacker: shard 'get-c' is not in the plan of run {plan.run}: it has get-a, get-b\n",
    )


def test_a_plan_of_another_run_is_not_taken_for_ones_own(bucket: Bucket, loopback_api: Loopback) -> None:
    plan = plan_in(bucket, loopback_api.url)
    bucket.write("runs/copied/plan.json", bucket.read(f"runs/{plan.run}/plan.json") or b"")

    code, err = told(start_pod("get-a", "copied"))

    assert (code, f"is the plan of run {plan.run!r}: plan 'copied' anew\n" in err) == (Exit.BROKEN, True)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_breaks_the_run() -> None:
    assert told(start_pod("get-a", "run-1", "--results", "gs://elsewhere/x")) == (
        Exit.BROKEN,
        "attacker: gs://elsewhere: there is no such bucket: create it, or name another\n",
    )


def test_a_scratch_folder_without_room_breaks_the_run(bucket: Bucket, loopback_api: Loopback, tmp_path: Path) -> None:
    plan = plan_in(bucket, loopback_api.url)

    code, err = told(start_pod("get-a", plan.run, before=("sh", "-c", 'ulimit -f 1; exec "$@"', "sh")))

    assert (code, err.count("\n")) == (Exit.BROKEN, 1)
    assert re.fullmatch(r"attacker: shard get-a: .*File too large.*: give it a TMPDIR with more room\n", err)
    assert err == f"attacker: {found_in(bucket, plan, tmp_path)[0].state.trouble}\n"


def test_every_option_can_be_given_by_its_variable(bucket: Bucket, loopback_api: Loopback) -> None:
    plan = plan_in(bucket, loopback_api.url)
    variables = {"LOADTEST_RUN": plan.run, "LOADTEST_RESULTS": "gs://results/load-tests", "ATTACKER_CPUS": "1"}

    pod = subprocess.run(
        [sys.executable, "-m", "attacker", "attack", "get-a"],
        env=os.environ | variables,
        cwd=Path(__file__).parents[3],
        timeout=60,
        check=False,
    )

    assert pod.returncode == Exit.PASS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["get-a", "--run", "r", "--cpus", "1"], "Missing option '--results'"),
        (["get-a", "--run", "r", "--cpus", "1", "--results", "here"], "--results is 'here': give a bucket and perhaps"),
        (["get-a", "--run", "r", "--cpus", "0", "--results", "gs://results"], "Invalid value for '--cpus'"),
        (["--run", "r", "--cpus", "1", "--results", "gs://results"], "Missing argument 'SHARD'"),
    ],
    ids=["no results", "results in a folder", "no cpu", "no shard"],
)
def test_wrong_use_starts_nothing(options: list[str], said: str) -> None:
    pod = subprocess.run(
        [sys.executable, "-m", "attacker", "attack", *options],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (pod.returncode, said in pod.stderr) == (Exit.USAGE, True)


def test_a_reason_that_cannot_be_read_is_said_to_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "shards" / "get-health"
    folder.mkdir(parents=True)
    (folder / "absent.json").write_text("late")

    [doubt] = doubts_on_shard(find_shard(tmp_path, a_shard(target=a_target()), run="the-run").state)

    assert doubt.startswith("shard get-health is missing: absent.json cannot be read: ")


def test_a_process_that_does_not_end_in_time_is_ended() -> None:
    program = (
        "import threading\n"
        "from attacker.stopping import stopped_by_signals\n"
        "stop = stopped_by_signals(end_within_s=0.3)\n"
        "print('ready', flush=True)\n"
        "stop.wait()\n"
        "threading.Event().wait()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)

    assert told(process) == (
        Exit.BROKEN,
        "not done 0.3 s after the signal to stop: what is not uploaded is lost\n",
    )
