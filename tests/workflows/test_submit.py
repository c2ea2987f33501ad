"""The command line, from its start to its exit code, with the real API, the real vegeta and a real storage emulator."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from attacker.exits import Exit
from attacker.report.figures import Report
from tests.attacker.loopback import loopback
from tests.certificates import CLIENT, certificates
from tests.loopback import a_free_port, answering, refuses, storage_emulator, wait_until
from tests.stalling import stalling_server
from tests.workflows.submit_process import REPOSITORY, SUBMIT, start_submit, submit

SHORT = ("--local", "--duration", "1s", "--rate", "50")
QUICK_API = ("--api-workers", "2")


@pytest.fixture
def port() -> str:
    return str(a_free_port())


@pytest.fixture
def slow_api() -> Iterator[str]:
    def answer(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        time.sleep(0.08)
        return 200, b"{}"

    with answering(answer) as url:
        yield url


def the_run(folder: Path) -> Path:
    [run] = (folder / "runs").iterdir()
    return run


def the_report(folder: Path) -> Report:
    return Report.model_validate_json((the_run(folder) / "report.json").read_bytes())


def processes_of(folder: Path) -> list[str]:
    """List the command lines of processes that work in a test's folder or for it."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [line.replace(b"\0", b" ").decode() for line in lines if str(folder).encode() in line]


def test_a_passing_run_ends_in_0_with_every_face_of_the_report(tmp_path: Path, port: str) -> None:
    told = submit(*SHORT, *QUICK_API, "--warmup", "200ms", "--api-port", port, cwd=tmp_path)

    assert told.code == Exit.PASS, told.err
    report, run = the_report(tmp_path), the_run(tmp_path)
    assert [(target.name, target.requests, target.expected) for target in report.targets] == [
        ("get-health", 50, 50),
        ("get-metadata", 50, 50),
        ("post-add_users", 50, 50),
    ]
    assert report.overall.status_codes == {"200": 150}
    assert "PASS" in told.out
    assert f"{run}/report.html" in told.out
    assert {path.name for path in run.iterdir()} == {
        "api.log",
        "junit.xml",
        "loadtest.json",
        "report.html",
        "report.json",
        "report.md",
        "shards",
    }
    assert {path.name for path in (run / "shards" / "get-health").iterdir()} == {"results.parquet", "shard.json"}
    assert refuses(int(port))
    assert processes_of(tmp_path) == []


def test_a_missed_objective_ends_in_1(tmp_path: Path, slow_api: str) -> None:
    told = submit(
        *SHORT,
        "--target",
        "GET /",
        "--api-url",
        slow_api,
        "--objective",
        "p99 < 50ms",
        "--duration",
        "1s",
        cwd=tmp_path,
    )

    assert told.code == Exit.FAIL, told.err
    [judged] = the_report(tmp_path).targets[0].objectives
    assert (judged.met, judged.measured is not None and judged.measured > 80e6) == (False, True)
    failures = ET.parse(the_run(tmp_path) / "junit.xml").findall(".//failure")  # noqa: S314  (our own file)
    assert len(failures) == 1


def test_errors_of_the_api_are_its_fault_and_not_the_measurements(tmp_path: Path) -> None:
    broken_after_the_first: Iterator[int] = iter([200])
    with answering(lambda *_: (next(broken_after_the_first, 500), b"")) as url:
        told = submit(*SHORT, "--target", "GET /", "--api-url", url, cwd=tmp_path)

    assert told.code == Exit.FAIL, told.err
    [target] = the_report(tmp_path).targets
    assert (target.success, target.status_codes) == (0.0, {"500": 50})
    assert [(e.class_, e.count, e.example) for e in target.errors] == [("http_5xx", 50, "500 Internal Server Error")]


def test_an_attacker_that_cannot_keep_up_makes_the_run_invalid(tmp_path: Path, port: str) -> None:
    told = submit(
        "--local", "--duration", "1s", "--rate", "200000", "--target", "GET /health", "--api-port", port, cwd=tmp_path
    )

    assert told.code == Exit.INVALID, told.err
    report = the_report(tmp_path)
    assert "fewer than 99%: the attacker could not keep up" in report.verdict.reasons[0]
    assert "INVALID" in told.out


def test_a_shard_that_is_lost_makes_the_run_invalid(tmp_path: Path, slow_api: str) -> None:
    process = start_submit(
        *SHORT, "--shards", "2", "--duration", "3s", "--target", "GET /", "--api-url", slow_api, cwd=tmp_path
    )
    wait_until(lambda: any("attack" in line and "-name=get-root-1" in line for line in processes_of(tmp_path)))
    victims = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists() and b"-name=get-root-1" in path.read_bytes() and str(tmp_path).encode() in path.read_bytes()
    ]
    os.kill(victims[0], signal.SIGKILL)
    process.communicate(timeout=60)

    assert process.returncode == Exit.INVALID
    reasons = the_report(tmp_path).verdict.reasons
    assert any("get-root-1: somebody ended vegeta with signal 9" in reason for reason in reasons)
    assert the_report(tmp_path).targets[0].attack.shards == 2


def test_sequential_targets_do_not_overlap(tmp_path: Path, slow_api: str) -> None:
    told = submit(
        *SHORT, "--order", "sequential", "--target", "GET /a", "--target", "GET /b", "--api-url", slow_api, cwd=tmp_path
    )

    assert told.code == Exit.PASS, told.err
    first, second = (
        json.loads((the_run(tmp_path) / "shards" / name / "shard.json").read_text()) for name in ("get-a", "get-b")
    )
    assert first["ended_ns"] < second["started_ns"]


def test_a_rate_is_shared_by_as_many_attackers_as_it_takes(tmp_path: Path, slow_api: str) -> None:
    shards = ("--shards", "auto", "--shard-rate", "20")

    told = submit(*SHORT, *shards, "--target", "GET /", "--api-url", slow_api, cwd=tmp_path)

    assert told.code == Exit.PASS, told.err
    assert {path.name for path in (the_run(tmp_path) / "shards").iterdir()} == {f"get-root-{one}" for one in range(3)}
    assert the_report(tmp_path).targets[0].requests == 50


def test_on_one_machine_readers_are_processes_and_nothing_is_left_of_them(tmp_path: Path, slow_api: str) -> None:
    told = submit(
        *SHORT,
        *("--target", "GET /a", "--target", "GET /b", "--api-url", slow_api, "--shards", "2", "--readers", "3"),
        cwd=tmp_path,
    )

    assert told.code == Exit.PASS, told.err
    report = the_report(tmp_path)
    assert [(one.name, one.requests, one.attack.shards) for one in report.targets] == [
        ("get-a", 50, 2),
        ("get-b", 50, 2),
    ]
    assert not (the_run(tmp_path) / "plan.json").exists()
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("options", [("--shards", "auto"), ("--shard-rate", "1"), ("--shard-rate", "1", "--rate", "9")])
def test_what_only_the_clusters_own_template_knows_is_not_refused_before_it_is_asked(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    told = submit(*options, cwd=tmp_path, KUBECONFIG=str(tmp_path / "none"), KUBERNETES_SERVICE_HOST="")

    assert "shard" not in told.error
    assert told.code == Exit.BROKEN


def test_a_yaml_file_is_taken_and_an_option_beats_it(tmp_path: Path, slow_api: str) -> None:
    (tmp_path / "loadtest.yaml").write_text("rate: 7\nduration: 1s\ntargets:\n  root: GET /\n")

    told = submit("loadtest.yaml", "--local", "--rate", "20", "--api-url", slow_api, cwd=tmp_path)

    assert told.code == Exit.PASS, told.err
    loadtest = json.loads((the_run(tmp_path) / "loadtest.json").read_text())
    assert (loadtest["rate"], loadtest["duration"], loadtest["targets"][0]["name"]) == ("20/s", "1s", "root")


def test_a_stall_that_the_attackers_wait_out_is_in_every_face_of_the_report(tmp_path: Path) -> None:
    objectives = ("--objective", "p99 < 50ms", "--objective", "raw.p99 < 450ms")
    with stalling_server(tmp_path, at=500, stall_s=1) as server:
        told = submit(
            *("--local", "--rate", "500", "--duration", "5s", "--max-workers", "10", *objectives),
            *("--target", "GET /", "--api-url", server.url),
            cwd=tmp_path,
        )

    assert told.code == Exit.FAIL, told.err
    [target] = the_report(tmp_path).targets
    assert [judged.met for judged in target.objectives] == [False, True]
    assert str(target.omission).startswith("Corrected p99 is ")
    assert " because all 10 workers (max_workers) waited for answers and requests were sent up to " in str(
        target.omission
    )
    faces = [
        (the_run(tmp_path) / name).read_text() for name in ("report.json", "report.html", "report.md", "junit.xml")
    ]
    assert ["(max_workers) waited" in face.replace("\\_", "_") for face in [told.out, *faces]] == [True] * 5


def test_a_changed_rule_of_validity_is_in_every_face_of_the_report(tmp_path: Path, slow_api: str) -> None:
    changed = ("--validity", "sent_ratio >= 95%", "--validity", "lag.p99 <= 5s")

    told = submit(*SHORT, *changed, "--target", "GET /", "--api-url", slow_api, cwd=tmp_path)

    assert told.code == Exit.PASS, told.err
    assert [(rule.threshold, rule.default) for rule in the_report(tmp_path).validity if rule.changed] == [
        ("sent_ratio >= 95%", "sent_ratio >= 99%"),
        ("lag.p99 <= 5s", "lag.p99 <= 100ms"),
    ]
    faces = [(the_run(tmp_path) / name).read_text() for name in ("report.html", "report.md", "junit.xml")]
    shown = [unescape(face).replace("\\", "") for face in (told.out, *faces)]
    assert ["changed for this run: lag.p99 <= 5s instead of lag.p99 <= 100ms" in face for face in shown] == [True] * 4


def test_an_api_is_attacked_over_tls_with_the_clients_certificate(tmp_path: Path) -> None:
    issued = certificates(tmp_path)
    (tmp_path / "loadtest.yaml").write_text("root_certs: root.pem\ncert: both.pem\nmax_body: 4B\n")

    with loopback(tls=issued.checking) as api:
        told = submit("loadtest.yaml", *SHORT, "--target", "GET /", "--api-url", api.url, cwd=tmp_path)

    assert told.code == Exit.PASS, told.err
    assert {(one.client, one.protocol) for one in api.seen} == {(CLIENT, "HTTP/2")}
    assert the_report(tmp_path).targets[0].bytes_in is None


def test_a_certificate_that_cannot_be_read_ends_in_2_before_anything_is_started(tmp_path: Path) -> None:
    told = submit(*SHORT, "--root-cert", "nowhere.pem", cwd=tmp_path)

    assert told.code == Exit.USAGE
    assert told.err == (
        f"submit: root_certs is '{tmp_path}/nowhere.pem': No such file or directory: "
        "give a PEM file that whoever attacks can read\n"
    )
    assert not (tmp_path / "runs").exists()


def test_as_json_the_report_is_on_stdout_and_progress_on_stderr(tmp_path: Path, slow_api: str) -> None:
    told = submit(*SHORT, "--json", "--target", "GET /", "--api-url", slow_api, cwd=tmp_path)

    assert Report.model_validate_json(told.out) == the_report(tmp_path)
    steps: list[dict[str, Any]] = [json.loads(line) for line in told.err.splitlines()]
    assert [(step["step"], step["state"]) for step in steps] == [
        ("ready", "started"),
        ("ready", "done"),
        ("attack", "started"),
        ("attack", "done"),
        ("report", "started"),
        ("report", "done"),
    ]


def test_an_api_that_is_kept_answers_afterwards(tmp_path: Path, port: str) -> None:
    told = submit(*SHORT, *QUICK_API, "--keep", "--api-port", port, cwd=tmp_path)
    [note] = [line for line in told.err.splitlines() if "the API stays" in line]
    answer = httpx.get(f"http://127.0.0.1:{port}/health")
    os.kill(int(note.rsplit(maxsplit=1)[-1]), signal.SIGTERM)

    assert (told.code, answer.status_code) == (Exit.PASS, 200)
    wait_until(lambda: refuses(int(port)))


def test_results_go_to_a_bucket(tmp_path: Path, slow_api: str) -> None:
    with storage_emulator("results", tmp_path / "emulator.log") as storage:
        told = submit(
            *SHORT,
            *("--target", "GET /", "--api-url", slow_api, "--results", "gs://results/nightly"),
            cwd=tmp_path,
            STORAGE_EMULATOR_HOST=storage,
        )
        names = [one["name"] for one in httpx.get(f"{storage}/storage/v1/b/results/o").json()["items"]]
        uploaded = httpx.get(
            f"{storage}/download/storage/v1/b/results/o/nightly%2Fruns%2F{the_run(tmp_path).name}%2Freport.json?alt=media"
        )

    run = the_run(tmp_path)
    assert told.code == Exit.PASS, told.err
    assert f"gs://results/nightly/runs/{run.name}/report.html" in told.out
    assert sorted(names) == sorted(
        f"nightly/runs/{run.name}/{file.relative_to(run)}" for file in run.rglob("*") if file.is_file()
    )
    assert Report.model_validate_json(uploaded.content) == the_report(tmp_path)


def test_when_the_upload_breaks_nothing_measured_is_lost(tmp_path: Path, slow_api: str) -> None:
    with storage_emulator("results", tmp_path / "emulator.log") as storage:
        process = start_submit(
            *SHORT,
            *("--duration", "2s", "--target", "GET /", "--api-url", slow_api, "--results", "gs://results"),
            cwd=tmp_path,
            STORAGE_EMULATOR_HOST=storage,
        )
        wait_until((tmp_path / "runs").exists)
    out, err = process.communicate(timeout=100)

    assert process.returncode == Exit.BROKEN
    assert f"all that was measured is in {the_run(tmp_path)}" in err
    assert the_report(tmp_path).verdict.result == "PASS"
    assert "PASS" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_attack_is_reported_as_invalid_and_leaves_nothing_behind(
    tmp_path: Path, port: str, number: signal.Signals
) -> None:
    process = start_submit("--local", *QUICK_API, "--duration", "60s", "--api-port", port, cwd=tmp_path)
    wait_until(lambda: [one for one in tmp_path.glob("runs/*/shards/*/results.gob") if one.stat().st_size > 4000])
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == Exit.INTERRUPTED
    report = the_report(tmp_path)
    assert (report.verdict.result, report.verdict.reasons[0]) == ("INVALID", "the run was interrupted")
    assert 0 < report.overall.requests < 3 * 3600
    assert "INVALID" in out
    assert refuses(int(port))
    assert processes_of(tmp_path) == []


def test_before_the_attack_an_interruption_just_ends_the_run(tmp_path: Path) -> None:
    with answering(lambda *_: (503, b"")) as url:
        process = start_submit(*SHORT, "--target", "GET /", "--api-url", url, cwd=tmp_path)
        wait_until((tmp_path / "runs").exists)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == Exit.INTERRUPTED
    assert "interrupted" in err


def test_a_port_that_is_taken_ends_in_4_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = submit(*SHORT, "--api-port", str(taken.getsockname()[1]), cwd=tmp_path)

    assert told.code == Exit.BROKEN
    assert "Address already in use: stop what listens there, or give another port (--api-port)" in told.error
    assert not (tmp_path / "runs").exists()


def test_a_missing_vegeta_ends_in_4(tmp_path: Path) -> None:
    lonely = tmp_path / "bin"
    lonely.mkdir()
    (lonely / "python").symlink_to(Path(SUBMIT[0]).resolve())
    site = next((Path(SUBMIT[0]).parents[1] / "lib").glob("python*/site-packages"))
    program = "import sys; from workflows.command_line import main; sys.exit(main(sys.argv[1:]))"

    ended = subprocess.run(
        [lonely / "python", "-c", program, *SHORT],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{REPOSITORY}:{site}", "PATH": str(lonely)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == Exit.BROKEN
    assert "and not on the PATH: run scripts/setup, which builds it" in ended.stderr


def test_an_api_that_does_not_start_ends_in_4_with_the_end_of_its_log(tmp_path: Path, port: str) -> None:
    told = submit(*SHORT, "--api-port", port, cwd=tmp_path, API_LOG_LEVEL="info", GUNICORN_CMD_ARGS="--no-such-option")

    assert told.code == Exit.BROKEN
    assert "the API ended with exit code" in told.error
    assert "no-such-option" in told.error
    assert refuses(int(port))


def test_a_target_that_is_not_answered_as_expected_ends_in_4_with_the_answer(tmp_path: Path, port: str) -> None:
    told = submit(*SHORT, *QUICK_API, "--target", "GET /nowhere", "--api-port", port, cwd=tmp_path)

    assert told.code == Exit.BROKEN
    assert f"get-nowhere: GET http://127.0.0.1:{port}/nowhere answered 404 Not Found" in told.error
    assert "(expected 200 to 399): mend the target or the API" in told.error
    assert refuses(int(port))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--rate", "0"], "rate is '0': give a rate above zero", id="rate"),
        pytest.param(
            ["--rate", "101", "--shard-rate", "50"],
            "rate is 101/s: that takes 3 shards of 50/s (shard_rate), and shards is 1: give shards 3, or auto",
            id="more than an attacker carries",
        ),
        pytest.param(["--shards", "auto"], "shards is auto, but shard_rate is not given", id="nobody has calibrated"),
        pytest.param(["--objective", "p98 < 1s"], "there is no figure 'p98'", id="objective"),
        pytest.param(["--no-such-option"], "No such option: --no-such-option", id="option"),
        pytest.param(["nowhere.yaml"], "nowhere.yaml: No such file or directory", id="file"),
        pytest.param(["--results", "file/below"], "results is 'file/below': ", id="folder"),
    ],
)
def test_wrong_use_ends_in_2_before_anything_is_started(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "file").touch()

    told = submit("--local", *options, cwd=tmp_path)

    assert (told.code, message in told.err) == (Exit.USAGE, True), told.err
    assert "deploy" not in told.err
    assert "Traceback" not in told.err


def test_a_bucket_that_does_not_exist_ends_in_2_before_anything_is_started(tmp_path: Path) -> None:
    with storage_emulator("results", tmp_path / "emulator.log") as storage:
        told = submit(*SHORT, "--results", "gs://elsewhere", cwd=tmp_path, STORAGE_EMULATOR_HOST=storage)

    assert told.code == Exit.USAGE
    assert "results is 'gs://elsewhere': gs://elsewhere: there is no such bucket" in told.error
    assert "deploy" not in told.err


def test_a_bucket_without_credentials_ends_in_2(tmp_path: Path) -> None:
    told = submit(*SHORT, "--results", "gs://results", cwd=tmp_path, GOOGLE_APPLICATION_CREDENTIALS="/nowhere.json")

    assert told.code == Exit.USAGE
    assert "there are no Google credentials here: run 'gcloud auth application-default login'" in told.error


def test_a_closed_pipe_does_not_change_the_verdict(tmp_path: Path, slow_api: str) -> None:
    with start_submit(*SHORT, "--target", "GET /", "--api-url", slow_api, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.read()

    assert process.returncode == Exit.PASS


def test_a_second_call_finds_everything_prepared() -> None:
    first, second = (
        subprocess.run([REPOSITORY / "scripts" / "setup"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        for _ in range(2)
    )

    assert (first.returncode, second.stderr) == (0, "")
