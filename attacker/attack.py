"""One attack: a vegeta process from the common instant to its end, and the evidence of it."""

import math
import os
import platform
import subprocess
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from attacker.cgroup import Throttling, read_oom_kills, read_throttling
from attacker.evidence import Clock, Evidence, sha256_of
from attacker.exits import RunBrokenError
from attacker.plan import Shard
from attacker.recording import record_rows
from attacker.results.parquet import ROWS_FILE
from attacker.tls import located
from attacker.vegeta import attack_command, attack_environment

__all__ = ["Attack", "Attacker", "attack", "record"]

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_OVERTIME_S = 30.0
_RAW, _LOG, _TARGETS = "results.gob", "vegeta.log", "targets.jsonl"
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """What attacks: the program and what it may use."""

    vegeta: Path
    vegeta_version: str
    cpus: float
    run: str
    """The id of the run that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What became of one vegeta process."""

    shard: Shard
    command: tuple[str, ...]
    start_at_ns: int
    started_ns: int
    ended_ns: int
    exit_code: int | None
    interrupted: bool
    throttled_ratio: float | None
    oom_kills: int | None = None
    cpu_s: float | None = None
    """What vegeta used; None where it was not started."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a process ended."""

    exit_code: int | None
    """None where it had to be killed."""
    cpu_s: float


def attack(
    attacker: Attacker, shard: Shard, *, into: Path, start_at_ns: int, stop: threading.Event, grace_s: float
) -> Attack:
    """Attack one target with one vegeta process; its results are in `into` as they happen.

    Args:
        attacker: what attacks.
        shard: what to send.
        into: the shard's folder, empty.
        start_at_ns: the instant at which all shards start, since 1970.
        stop: when it is set, no new request is sent.
        grace_s: how long answers that are under way then may still take.

    Raises:
        RunBrokenError: vegeta cannot be started.
    """
    into.mkdir(parents=True, exist_ok=True)
    targets = into / _TARGETS
    here = replace(shard, sending=located(shard.sending))
    command = attack_command(attacker.vegeta, here, targets=targets, output=into / _RAW, cpus=attacker.cpus)
    try:
        _write_private(targets, shard.target.as_vegeta_json())
        stop.wait(max(0.0, (start_at_ns + shard.delay_ns - time.time_ns()) / 1e9))
        before, killed_before = read_throttling(), read_oom_kills()
        started_ns = time.time_ns()
        end = None if stop.is_set() else _run(command, shard, into / _LOG, stop, grace_s)
    finally:
        targets.unlink(missing_ok=True)  # it may hold credentials
    return Attack(
        shard=shard,
        command=command,
        start_at_ns=start_at_ns,
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        exit_code=end.exit_code if end else None,
        interrupted=stop.is_set(),
        throttled_ratio=_throttled_since(before),
        oom_kills=_killed_since(killed_before),
        cpu_s=end.cpu_s if end else None,
    )


def record(attacker: Attacker, attack: Attack, folder: Path, *, clock: Clock | None = None) -> Evidence:
    """Turn what vegeta wrote into the shard's rows and evidence; vegeta's own files go where that succeeded.

    Args:
        attacker: what attacked.
        attack: what became of it.
        folder: the shard's.
        clock: how far this machine's clock is from a server's that all shards compare with.
    """
    raw, log = folder / _RAW, folder / _LOG
    rows = folder / ROWS_FILE
    recorded = record_rows(raw, rows, interval_ns=attack.shard.rate.interval_ns, max_body=attack.shard.sending.max_body)
    evidence = Evidence(
        run=attacker.run,
        shard=attack.shard.name,
        target=attack.shard.target.name,
        method=attack.shard.target.method,
        url=attack.shard.target.url,
        command=attack.command,
        vegeta_version=attacker.vegeta_version,
        rate=str(attack.shard.rate),
        interval_ns=attack.shard.rate.interval_ns,
        delay_ns=attack.shard.delay_ns,
        warmup_requests=attack.shard.warmup_requests,
        requests=attack.shard.requests,
        expected_status=attack.shard.target.expected_status,
        start_at_ns=attack.start_at_ns,
        started_ns=attack.started_ns,
        ended_ns=attack.ended_ns,
        exit_code=attack.exit_code,
        interrupted=attack.interrupted,
        log=_tail(log),
        records=recorded.records,
        trailing_bytes=recorded.trailing_bytes,
        damage=recorded.damage,
        lag_ns=recorded.lag_ns,
        seq_gaps=recorded.seq_gaps,
        max_in_flight=recorded.max_in_flight,
        max_workers=attack.shard.sending.max_workers,
        cut_bodies=recorded.cut_bodies,
        throttled_ratio=attack.throttled_ratio,
        oom_kills=attack.oom_kills,
        busy_ratio=_busy_ratio(attack, attacker.cpus),
        clock=clock,
        node=os.environ.get("NODE_NAME") or platform.node(),
        image_digest=os.environ.get("ATTACKER_IMAGE_DIGEST"),
        results_sha256=sha256_of(rows),
    )
    (folder / "shard.json").write_text(evidence.model_dump_json(indent=2) + "\n")
    if recorded.damage is None:
        raw.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    return evidence


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _longest_s(shard: Shard) -> float:
    return shard.duration.s + shard.timeout.s + _OVERTIME_S


def _run(command: tuple[str, ...], shard: Shard, log: Path, stop: threading.Event, grace_s: float) -> _End:
    """Run to the end, or until told to stop; what does not end in time is killed."""
    with log.open("wb") as stream:
        process = _start(command, attack_environment(shard.sending), stream)
    end, killed = None, None
    try:
        end = _end_of(process, _longest_s(shard), stop, expected_s=shard.duration.s)
        if end is None and stop.is_set():
            process.terminate()
            end = _end_of(process, grace_s)
    finally:
        if end is None:
            process.kill()
            killed = _end_of(process, math.inf)
    return end or _End(None, killed.cpu_s if killed else 0)


def _start(command: tuple[str, ...], environment: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            process_group=0,  # a terminal's Ctrl-C would reach vegeta too, and a second signal loses results
        )
    except OSError as error:
        raise RunBrokenError(f"{command[0]} does not start ({error}): run scripts/setup to build it anew") from error


def _end_of(
    process: subprocess.Popen[bytes], longest_s: float, stop: threading.Event | None = None, *, expected_s: float = 0
) -> _End | None:
    """Wait for a process; None where it has not ended in time, or until `stop` was set."""
    began_s = time.monotonic()
    waiting = stop or threading.Event()
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return _End(process.returncode, usage.ru_utime + usage.ru_stime)
        after_s = time.monotonic() - began_s
        if after_s > longest_s or waiting.wait(_pause_s(after_s, expected_s)):
            return None


def _pause_s(after_s: float, expected_s: float) -> float:
    """Tell when to look again: seldom while no end is expected, for each look takes CPU time from the attack."""
    return max(_SHORTEST_PAUSE_S, min(_LONGEST_PAUSE_S, after_s, expected_s - after_s))


def _throttled_since(before: Throttling | None) -> float | None:
    after = read_throttling()
    return after.ratio_since(before) if before is not None and after is not None else None


def _killed_since(before: int | None) -> int | None:
    after = read_oom_kills()
    return after - before if before is not None and after is not None else None


def _busy_ratio(attack: Attack, cpus: float) -> float | None:
    lasted_s = (attack.ended_ns - attack.started_ns) / 1e9
    return attack.cpu_s / (lasted_s * cpus) if attack.cpu_s is not None and lasted_s > 0 else None


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip() if log.exists() else ""
