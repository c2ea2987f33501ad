import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacker.attack import Attacker
from attacker.calibration.calibrating import CalibrationInterruptedError, calibrated
from attacker.calibration.search import Limit, Step
from attacker.exits import RunBrokenError
from attacker.trivial_server import cpu_ns_of
from attacker.vegeta import find_vegeta, vegeta_version
from tests.loopback import a_free_port, wait_until

CALIBRATE = [sys.executable, "-m", "attacker", "calibrate"]


def a_vegeta_that_breaks_above(rate_per_s: int, folder: Path) -> Attacker:
    """The real one, up to a rate."""
    program, vegeta = folder / "vegeta-to-break", find_vegeta()
    find_rate = "for word; do case $word in -rate=*) rate=${word#-rate=}; rate=${rate%/s};; esac; done"
    give_up = f"[ $rate -le {rate_per_s} ] || exit 1"
    program.write_text("\n".join(["#!/bin/sh", find_rate, give_up, f'exec {vegeta} "$@"']) + "\n")
    program.chmod(0o755)
    return Attacker(vegeta=program, vegeta_version="v0", cpus=1, run="calibrate")


def an_attacker() -> Attacker:
    vegeta = find_vegeta()
    return Attacker(vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=1, run="calibrate")


def children_of(pid: int) -> dict[int, str]:
    """Find the processes that a process started and that still run, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if int(stat[1]) == pid and stat[0] != "Z":
            found[int(folder.name)] = command
    return found


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def a_server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A trivial server of its own, and its URL."""
    command = [sys.executable, "-m", "attacker.trivial_server"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


@pytest.fixture
def a_calibration() -> Iterator[subprocess.Popen[str]]:
    """One that attacks right now."""
    with subprocess.Popen(CALIBRATE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(children_of(process.pid)) == 2)
        yield process
        process.kill()


def test_what_is_found_is_what_the_attacker_carries(tmp_path: Path) -> None:
    told: list[Step] = []

    found = calibrated(a_vegeta_that_breaks_above(150, tmp_path), server=None, stop=threading.Event(), tell=told.append)

    sent = [step for step in told if step.rate_per_s <= 150]
    broken = [step for step in told if step.rate_per_s > 150]
    assert {step.faults for step in broken} == {("vegeta ended with 1", "too few sent", "nothing measured")}
    assert {(step.exit_code, step.failures) for step in sent} == {(0, 0)}
    assert {step.sent_ratio > 0.5 for step in sent} == {True}
    assert {0 <= (step.lag_p99_ns or 0) <= (step.delay_p99_ns or 0) for step in sent} == {True}
    assert {0 < step.server_busy_ratio < 0.9 and step.max_in_flight >= 1 for step in sent} == {True}
    # The highest of two digits; on a busy machine less, or none.
    assert found.rate_per_s in {None, *range(30, 121)}
    assert (found.limit, found.steps) == (Limit.ATTACKER, tuple(told))


def test_a_server_that_runs_already_is_attacked_and_left_running(
    a_server: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    serving, url = a_server
    before_ns = cpu_ns_of(url)
    told: list[Step] = []

    calibrated(a_vegeta_that_breaks_above(40, tmp_path), server=f"{url}/", stop=threading.Event(), tell=told.append)

    assert [step.failures for step in told if step.exit_code == 0][:1] == [0]
    assert cpu_ns_of(url) > before_ns
    assert serving.poll() is None


def test_a_vegeta_that_does_nothing_finds_no_rate(tmp_path: Path) -> None:
    found = calibrated(
        a_vegeta_that_breaks_above(0, tmp_path), server=None, stop=threading.Event(), tell=lambda _: None
    )

    assert found.rate_per_s is None


def test_told_to_stop_it_finds_nothing() -> None:
    stop = threading.Event()

    with pytest.raises(CalibrationInterruptedError, match="nothing was found"):
        calibrated(an_attacker(), server=None, stop=stop, tell=lambda _: stop.set())


def test_without_a_vegeta_it_is_broken(tmp_path: Path) -> None:
    nothing = Attacker(vegeta=tmp_path / "vegeta", vegeta_version="v0", cpus=1, run="calibrate")

    with pytest.raises(RunBrokenError, match="vegeta does not start"):
        calibrated(nothing, server=None, stop=threading.Event(), tell=lambda _: None)


def test_as_json_the_exit_code_the_rate_and_the_steps_agree() -> None:
    told = subprocess.run([*CALIBRATE, "--json"], capture_output=True, text=True, check=False, timeout=100)

    found = json.loads(told.stdout)
    last_two = [(step["rate_per_s"], step["faults"]) for step in found["steps"][-2:]]
    has_held = last_two == [(found["rate_per_s"], []), (found["rate_per_s"], [])]
    # On a busy machine there is none.
    assert (told.returncode, has_held) in {(0, True), (3, False)}
    assert (found["rate_per_s"] is None, found["cpus"], told.stderr) == (not has_held, 1, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing_running(
    a_calibration: subprocess.Popen[str], number: signal.Signals
) -> None:
    children = children_of(a_calibration.pid)

    a_calibration.send_signal(number)

    assert a_calibration.wait(20) == 130
    assert [command for pid, command in children.items() if is_alive(pid)] == []
    assert a_calibration.stderr is not None
    assert a_calibration.stderr.read() == "attacker: interrupted: nothing was found, and nothing is left running\n"


def test_the_server_ends_with_it_even_where_it_is_killed(a_calibration: subprocess.Popen[str]) -> None:
    (server,) = (pid for pid, command in children_of(a_calibration.pid).items() if "trivial_server" in command)

    os.kill(a_calibration.pid, signal.SIGKILL)

    a_calibration.wait(20)
    wait_until(lambda: not is_alive(server))


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attacker.calibration.calibrating._STARTING_S", 0.2)

    with pytest.raises(RunBrokenError, match="does not tell its processor time"):
        calibrated(
            an_attacker(), server=f"http://127.0.0.1:{a_free_port()}", stop=threading.Event(), tell=lambda _: None
        )
