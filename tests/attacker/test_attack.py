import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from attacker.attack import Attack, Attacker, attack, record
from attacker.duration import Duration
from attacker.evidence import Clock, Evidence, sha256_of
from attacker.exits import RunBrokenError
from attacker.plan import Shard
from attacker.rate import Rate
from attacker.report.validity.shards import ShardState, doubts_on_shard
from attacker.sending import Sending
from attacker.vegeta import find_vegeta, vegeta_version
from tests.attacker.building import a_shard, a_target
from tests.attacker.by_vegeta import attacked, columns_by_vegeta, message_ends
from tests.attacker.loopback import Loopback, a_refusing_port
from tests.loopback import wait_until

SECOND_NS = 1_000_000_000


@pytest.fixture
def attacker() -> Attacker:
    vegeta = find_vegeta()
    return Attacker(vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=1, run="the-run")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def a_pretended_vegeta(folder: Path, *lines: str) -> Attacker:
    """Put a shell script in vegeta's place; $targets and $output are what it was told."""
    program = folder / "pretended-vegeta"
    arguments = "for word; do case $word in -targets=*) targets=${word#*=};; -output=*) output=${word#*=};; esac; done"
    program.write_text("\n".join(["#!/bin/sh", arguments, *lines]) + "\n")
    program.chmod(0o755)
    return Attacker(vegeta=program, vegeta_version="v0", cpus=1, run="the-run")


def a_short_shard(url: str, **changes: object) -> Shard:
    """20 requests in 0.2 s."""
    return a_shard(**{"target": a_target(url=url), "rate": Rate(100, SECOND_NS), "requests": 20, **changes})


def a_long_shard(url: str) -> Shard:
    """A minute of requests, under a name that no other process has."""
    return a_short_shard(url, name=f"long-{os.getpid()}-{time.monotonic_ns()}", requests=6000)


def attacked_now(
    attacker: Attacker, shard: Shard, into: Path, *, stop: threading.Event | None = None, grace_s: float = 10
) -> Attack:
    start_at_ns = time.time_ns() + 50_000_000
    return attack(attacker, shard, into=into, start_at_ns=start_at_ns, stop=stop or threading.Event(), grace_s=grace_s)


def is_running(shard: Shard) -> bool:
    """Tell whether any process attacks with this shard."""
    return processes_of(shard) != []


def processes_of(shard: Shard) -> list[int]:
    return [
        int(folder.name) for folder in Path("/proc").glob("[0-9]*") if f"-name={shard.name}" in _command_line(folder)
    ]


def _command_line(folder: Path) -> list[str]:
    try:
        return (folder / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


@pytest.fixture
def in_the_background() -> Iterator[Callable[[Callable[[], Attack]], Callable[[], Attack]]]:
    """Start something and get what waits for its outcome."""
    threads: list[threading.Thread] = []

    def begin(work: Callable[[], Attack]) -> Callable[[], Attack]:
        outcome: list[Attack] = []
        thread = threading.Thread(target=lambda: outcome.append(work()))
        threads.append(thread)
        thread.start()

        def finished() -> Attack:
            thread.join(30)
            return outcome[0]

        return finished

    yield begin
    assert [thread for thread in threads if thread.is_alive()] == []


def test_an_attack_sends_its_requests_and_leaves_rows_and_evidence(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path
) -> None:
    shard = a_short_shard(f"{loopback_api.url}/?bytes=7")

    done = attacked_now(attacker, shard, tmp_path / "shard")
    evidence = record(attacker, done, tmp_path / "shard")

    results = pl.read_parquet(tmp_path / "shard" / "results.parquet")
    assert sorted(results["seq"]) == list(range(len(results)))
    assert (set(results["code"]), set(results["bytes_in"])) == ({200}, {7})
    assert (done.exit_code, done.interrupted) == (0, False)
    assert (evidence.records, evidence.seq_gaps, evidence.trailing_bytes) == (len(results), 0, 0)
    assert 1 <= evidence.records <= 20
    assert evidence.lag_ns is not None
    assert doubts_on_shard(ShardState(name=shard.name, run="the-run", evidence=evidence)) == ()


def test_the_evidence_is_the_plan_and_what_came_of_it(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTACKER_IMAGE_DIGEST", "sha256:17")
    shard = a_short_shard(loopback_api.url, warmup_requests=5, delay_ns=1_000_000)

    done = attacked_now(attacker, shard, tmp_path)
    evidence = record(attacker, done, tmp_path)

    assert Evidence.model_validate_json((tmp_path / "shard.json").read_bytes()) == evidence
    assert (evidence.run, evidence.shard, evidence.target) == ("the-run", "get-health", "get-health")
    assert (evidence.rate, evidence.requests, evidence.warmup_requests) == ("100/s", 20, 5)
    assert evidence.command == done.command
    assert evidence.vegeta_version == attacker.vegeta_version
    assert evidence.image_digest == "sha256:17"
    assert evidence.start_at_ns + shard.delay_ns <= evidence.started_ns < evidence.ended_ns
    assert evidence.results_sha256 == sha256_of(tmp_path / "results.parquet")
    assert (evidence.method, evidence.url) == (shard.target.method, shard.target.url)
    assert doubts_on_shard(ShardState(name=shard.name, run="the-run", evidence=evidence, planned=shard)) == ()


def test_what_vegeta_used_of_its_cpu_is_in_the_evidence_and_so_is_a_comparison_of_clocks(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path
) -> None:
    clock = Clock(offset_ns=5, uncertainty_ns=7)
    done = attacked_now(attacker, a_short_shard(loopback_api.url), tmp_path)

    evidence = record(attacker, done, tmp_path, clock=clock)

    assert evidence.clock == clock
    assert evidence.busy_ratio is not None
    assert 0 < evidence.busy_ratio < 1.5


def test_a_vegeta_that_was_not_started_used_nothing(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path, stop: threading.Event
) -> None:
    stop.set()

    evidence = record(attacker, attacked_now(attacker, a_short_shard(loopback_api.url), tmp_path, stop=stop), tmp_path)

    assert evidence.busy_ratio is None


def test_what_vegeta_and_its_targets_were_is_gone_when_it_is_recorded(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path
) -> None:
    record(attacker, attacked_now(attacker, a_short_shard(loopback_api.url), tmp_path), tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["results.parquet", "shard.json"]


def test_nothing_is_sent_before_the_common_instant_and_the_shards_own_delay(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path
) -> None:
    shard = a_short_shard(loopback_api.url, delay_ns=300_000_000)

    done = attacked_now(attacker, shard, tmp_path)
    record(attacker, done, tmp_path)

    first_ns = min(pl.read_parquet(tmp_path / "results.parquet")["timestamp_ns"])
    assert done.start_at_ns + 300_000_000 <= done.started_ns <= first_ns


def test_refused_connections_are_rows_and_no_failure_of_the_attack(attacker: Attacker, tmp_path: Path) -> None:
    with a_refusing_port() as nobody:
        done = attacked_now(attacker, a_short_shard(f"http://127.0.0.1:{nobody}/"), tmp_path)
    evidence = record(attacker, done, tmp_path)

    results = pl.read_parquet(tmp_path / "results.parquet")
    assert (evidence.exit_code, set(results["code"])) == (0, {0})
    assert "connection refused" in results["error"][0]


def test_an_attack_that_is_stopped_keeps_what_it_measured_and_ends(
    attacker: Attacker,
    loopback_api: Loopback,
    tmp_path: Path,
    stop: threading.Event,
    in_the_background: Callable[[Callable[[], Attack]], Callable[[], Attack]],
) -> None:
    shard = a_long_shard(loopback_api.url)
    attacking = in_the_background(lambda: attacked_now(attacker, shard, tmp_path, stop=stop))
    wait_until(lambda: len(loopback_api.seen) >= 10)
    assert is_running(shard)

    stop.set()
    done = attacking()

    assert (done.exit_code, done.interrupted) == (0, True)
    assert not is_running(shard)
    assert not (tmp_path / "targets.jsonl").exists()
    evidence = record(attacker, done, tmp_path)
    assert 10 <= evidence.records < 6000
    assert (evidence.interrupted, evidence.damage, evidence.trailing_bytes) == (True, None, 0)


def test_answers_that_are_under_way_at_the_stop_are_waited_for(
    attacker: Attacker,
    loopback_api: Loopback,
    tmp_path: Path,
    stop: threading.Event,
    in_the_background: Callable[[Callable[[], Attack]], Callable[[], Attack]],
) -> None:
    shard = a_long_shard(f"{loopback_api.url}/?wait_s=1")
    attacking = in_the_background(lambda: attacked_now(attacker, shard, tmp_path, stop=stop))
    wait_until(lambda: len(loopback_api.seen) >= 3)

    stop.set()
    evidence = record(attacker, attacking(), tmp_path)

    assert evidence.exit_code == 0
    assert evidence.records == len(loopback_api.seen)
    assert set(pl.read_parquet(tmp_path / "results.parquet")["code"]) == {200}


def test_an_attack_that_does_not_end_in_time_after_the_stop_is_killed(
    attacker: Attacker,
    loopback_api: Loopback,
    tmp_path: Path,
    stop: threading.Event,
    in_the_background: Callable[[Callable[[], Attack]], Callable[[], Attack]],
) -> None:
    shard = a_long_shard(f"{loopback_api.url}/?wait_s=60")
    attacking = in_the_background(lambda: attacked_now(attacker, shard, tmp_path, stop=stop, grace_s=0.2))
    wait_until(lambda: len(loopback_api.seen) >= 1)

    stop.set()
    done = attacking()

    assert (done.exit_code, done.interrupted) == (None, True)
    assert not is_running(shard)
    evidence = record(attacker, done, tmp_path)
    assert evidence.records == 0
    assert evidence.damage == "results.gob: byte 0: the file is empty: nothing was measured, or nothing was kept"


def test_a_vegeta_that_is_killed_loses_what_was_under_way_and_nothing_else(
    attacker: Attacker,
    loopback_api: Loopback,
    tmp_path: Path,
    in_the_background: Callable[[Callable[[], Attack]], Callable[[], Attack]],
) -> None:
    shard = replace(a_long_shard(loopback_api.url), sending=Sending(max_workers=1))
    attacking = in_the_background(lambda: attacked_now(attacker, shard, tmp_path))
    wait_until(lambda: len(loopback_api.seen) >= 50)

    [vegeta] = processes_of(shard)
    os.kill(vegeta, signal.SIGKILL)
    evidence = record(attacker, attacking(), tmp_path)

    # One worker's request, and the result before it on its way to the disk.
    assert 0 <= len(loopback_api.seen) - evidence.records <= 2
    assert (evidence.exit_code, evidence.seq_gaps) == (-signal.SIGKILL, 0)


def test_while_vegeta_attacks_nobody_else_writes_anything(tmp_path: Path) -> None:
    looking = a_pretended_vegeta(tmp_path, 'ls "${targets%/*}"')

    evidence = record(
        looking, attacked_now(looking, a_short_shard("http://127.0.0.1:1/"), tmp_path / "shard"), tmp_path / "shard"
    )

    assert evidence.log.split() == ["targets.jsonl", "vegeta.log"]


# In a session of its own, the scheduler would weigh it as another user's work, and it would cost more (autogroup).
def test_vegeta_is_in_a_process_group_of_its_own_for_ctrl_c_but_in_this_session(tmp_path: Path) -> None:
    telling = a_pretended_vegeta(tmp_path, 'cut -d " " -f 1,5,6 "/proc/$$/stat"')

    shard = a_short_shard("http://127.0.0.1:1/")
    evidence = record(telling, attacked_now(telling, shard, tmp_path / "shard"), tmp_path / "shard")

    vegeta, group, session = map(int, evidence.log.split())
    assert (group, session) == (vegeta, os.getsid(0))


def test_an_attack_that_is_stopped_before_its_start_sends_nothing(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path, stop: threading.Event
) -> None:
    stop.set()
    in_an_hour_ns = time.time_ns() + 3600 * SECOND_NS

    done = attack(
        attacker, a_short_shard(loopback_api.url), into=tmp_path, start_at_ns=in_an_hour_ns, stop=stop, grace_s=1
    )

    assert (done.exit_code, done.interrupted) == (None, True)
    assert list(tmp_path.iterdir()) == []
    evidence = record(attacker, done, tmp_path)
    assert (evidence.records, loopback_api.seen) == (0, [])
    assert "vegeta was not started" in str(evidence.damage)


def test_a_vegeta_that_cannot_be_started_breaks_the_run_and_leaves_no_targets(
    attacker: Attacker, tmp_path: Path
) -> None:
    nowhere = replace(attacker, vegeta=tmp_path / "nowhere")

    with pytest.raises(RunBrokenError, match=r"nowhere does not start \(.*\): run scripts/setup to build it anew"):
        attacked_now(nowhere, a_short_shard("http://127.0.0.1:1/"), tmp_path / "shard")

    assert not (tmp_path / "shard" / "targets.jsonl").exists()


def test_a_vegeta_that_fails_is_quoted_with_its_last_words(tmp_path: Path) -> None:
    failing = a_pretended_vegeta(tmp_path, "seq 1 100000 >&2", "echo bad target: no URL >&2", "exit 3")

    evidence = record(
        failing, attacked_now(failing, a_short_shard("http://127.0.0.1:1/"), tmp_path / "shard"), tmp_path / "shard"
    )

    assert evidence.exit_code == 3
    assert evidence.log.endswith("\nbad target: no URL")
    assert len(evidence.log) <= 2000
    doubts = doubts_on_shard(ShardState(name="get-health", run="the-run", evidence=evidence))
    assert doubts[-1] == "shard get-health: vegeta ended with exit code 3: bad target: no URL"


def test_credentials_are_in_a_file_that_only_its_owner_can_read_and_that_goes(tmp_path: Path) -> None:
    looking = a_pretended_vegeta(tmp_path, 'stat -c %a "$targets"', 'grep -c c2VjcmV0 "$targets"')
    target = a_target(headers={"Authorization": "Basic c2VjcmV0"})

    done = attacked_now(looking, a_shard(target=target), tmp_path / "shard")
    evidence = record(looking, done, tmp_path / "shard")

    assert evidence.log == "600\n1"
    assert "c2VjcmV0" not in "".join(file.read_text() for file in (tmp_path / "shard").glob("*.json*"))
    assert not (tmp_path / "shard" / "targets.jsonl").exists()


class InterruptedWait(threading.Event):
    """Ctrl-C comes while the common instant is waited for."""

    def wait(self, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt(f"Ctrl-C within {timeout} s")


def test_credentials_go_too_where_the_wait_for_the_start_is_interrupted(attacker: Attacker, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C within"):
        attacked_now(attacker, a_shard(), tmp_path, stop=InterruptedWait())

    assert list(tmp_path.iterdir()) == []


# Go passes no loopback address to a proxy, but takes 0.0.0.0, which leads to this machine too, for another one.
def test_a_proxy_in_the_environment_is_not_used(
    attacker: Attacker, loopback_api: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://0.0.0.0:{loopback_api.port}/"
    with a_refusing_port() as nobody:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{nobody}")
        by_the_proxy = attacked([url], "-rate=20/s", "-duration=90ms")

        record(attacker, attacked_now(attacker, a_short_shard(url), tmp_path), tmp_path)

    assert set(columns_by_vegeta(by_the_proxy)["code"]) == {0}
    assert set(pl.read_parquet(tmp_path / "results.parquet")["code"]) == {200}


@pytest.fixture
def an_attack() -> Attack:
    """One that has ended well."""
    return Attack(
        shard=a_shard(rate=Rate(20, SECOND_NS), timeout=Duration.of_seconds(1)),
        command=("vegeta", "attack"),
        start_at_ns=0,
        started_ns=0,
        ended_ns=1,
        exit_code=0,
        interrupted=False,
        throttled_ratio=None,
    )


def test_of_a_cut_file_the_complete_rows_are_recorded_and_what_is_missing(
    attacker: Attacker, an_attack: Attack, small_results: bytes, tmp_path: Path
) -> None:
    *_, last_but_one, end = message_ends(small_results)
    (tmp_path / "results.gob").write_bytes(small_results[: end - 1])

    evidence = record(attacker, an_attack, tmp_path)

    assert (evidence.records, evidence.trailing_bytes, evidence.damage) == (2, end - 1 - last_but_one, None)
    assert len(pl.read_parquet(tmp_path / "results.parquet")) == 2
    assert not (tmp_path / "results.gob").exists()


def test_a_file_that_cannot_be_read_is_kept_and_told_of(attacker: Attacker, an_attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "results.gob").write_bytes(b"no results")

    evidence = record(attacker, an_attack, tmp_path)

    assert evidence.records == 0
    assert str(evidence.damage).startswith("results.gob: byte 0: this is no vegeta results file")
    assert (tmp_path / "results.gob").read_bytes() == b"no results"
