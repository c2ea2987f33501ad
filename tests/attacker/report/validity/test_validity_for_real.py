"""Each rule of validity broken in earnest, with the real vegeta: what must not be believed is INVALID, and says why."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attacker.attack import Attacker, attack, record
from attacker.plan import Shard
from attacker.rate import Rate
from attacker.report.assemble import assemble
from attacker.report.figures import Outcome, Report, Run, VerdictResult
from attacker.report.objectives import parse_objective
from attacker.report.validity.rules import RuleName, thresholds_of
from attacker.run_folder import find_shard, shard_folder
from attacker.sending import Sending
from attacker.vegeta import find_vegeta
from tests.attacker.building import a_shard, a_target
from tests.attacker.by_vegeta import message_ends
from tests.attacker.failing import a_name_server
from tests.attacker.loopback import Loopback, a_refusing_port, loopback
from tests.attacker.own_cgroup import attacked_in_own_cgroup, shard_of, why_there_is_no_cgroup
from tests.attacker.own_network import attacked_in_own_network, why_there_is_none
from tests.loopback import wait_until
from tests.stalling import stalling_server

RUN = Run(id="the-run", started="", ended="", engine="local", loadtest={}, environment={})
SECOND_NS = 1_000_000_000

needs_own_network = pytest.mark.skipif(bool(why_there_is_none()), reason=why_there_is_none())
limits_cpu = pytest.mark.skipif(bool(why_there_is_no_cgroup("cpu")), reason=why_there_is_no_cgroup("cpu"))
limits_memory = pytest.mark.skipif(bool(why_there_is_no_cgroup("memory")), reason=why_there_is_no_cgroup("memory"))


def shards_named(*names: str, url: str, **changes: Any) -> list[Shard]:
    """200 requests each in two seconds."""
    usual: dict[str, Any] = {"target": a_target(url=url), "rate": Rate(100, SECOND_NS), "requests": 200}
    return [a_shard(**{**usual, **changes, "name": name}) for name in names]


def a_vegeta(folder: Path, *before: str, then: str = "") -> Path:
    """Put a shell script in vegeta's place that does something and becomes vegeta, with more options."""
    program = folder / f"vegeta-{time.monotonic_ns()}"
    program.write_text("\n".join(["#!/bin/sh", *before, f'exec {find_vegeta()} "$@" {then}', ""]))
    program.chmod(0o755)
    return program


def attack_all(
    folder: Path, shards: Sequence[Shard], *, vegetas: Sequence[Path] = (), stop: threading.Event | None = None
) -> None:
    """Attack with all shards at one instant, each by its own vegeta, and record it."""
    programs = [*vegetas, *[find_vegeta()] * (len(shards) - len(vegetas))]
    attackers = [Attacker(vegeta=one, vegeta_version="v0", cpus=1, run=RUN.id) for one in programs]
    start_at_ns = time.time_ns() + 200_000_000

    def attack_one(attacker: Attacker, shard: Shard) -> None:
        into = shard_folder(folder, shard.name)
        told_to_stop = stop or threading.Event()
        done = attack(attacker, shard, into=into, start_at_ns=start_at_ns, stop=told_to_stop, grace_s=5)
        record(attacker, done, into)

    with ThreadPoolExecutor(len(shards)) as pool:
        list(pool.map(attack_one, attackers, shards))


def reported(
    folder: Path,
    shards: Sequence[Shard],
    *,
    objectives: Sequence[str] = ("success >= 99%",),
    changes: Sequence[str] = (),
) -> Report:
    found = [find_shard(folder, shard, run=RUN.id) for shard in shards]
    parsed = [parse_objective(text) for text in objectives]
    report, _ = assemble(RUN, found, parsed, simultaneous=True, thresholds=thresholds_of(tuple(changes)))
    return report


def broken(report: Report) -> set[str]:
    return {rule.rule for rule in report.validity if rule.outcome is Outcome.INVALID}


def test_a_healthy_attack_breaks_no_rule(loopback_api: Loopback, tmp_path: Path) -> None:
    shards = shards_named("one", "two", url=loopback_api.url)
    attack_all(tmp_path, shards)

    report = reported(tmp_path, shards)

    assert (report.verdict.result, broken(report)) == (VerdictResult.PASS, set())


def test_a_server_at_which_nobody_listens_fails_and_is_no_doubt(tmp_path: Path) -> None:
    with a_refusing_port() as nobody:
        shards = shards_named("one", url=f"http://127.0.0.1:{nobody}/")
        attack_all(tmp_path, shards)

    report = reported(tmp_path, shards)

    assert (report.targets[0].success, report.verdict.result, broken(report)) == (0, VerdictResult.FAIL, set())


@pytest.mark.parametrize(
    ("objective", "result"), [("p99 < 50ms", VerdictResult.FAIL), ("p99 < 20s", VerdictResult.PASS)]
)
def test_where_all_workers_wait_for_a_server_that_stalls_the_corrected_latency_decides(
    tmp_path: Path, objective: str, result: VerdictResult
) -> None:
    with stalling_server(tmp_path, at=200, stall_s=1) as server:
        shards = shards_named(
            "one", url=server.url, rate=Rate(200, SECOND_NS), requests=800, sending=Sending(max_workers=10)
        )
        attack_all(tmp_path, shards)

    report = reported(tmp_path, shards, objectives=[objective])

    assert (report.verdict.result, broken(report)) == (result, set())
    table = {rule.rule: rule for rule in report.validity}
    assert (table[RuleName.LAG].measured or 0) > SECOND_NS / 2
    assert [table[name].outcome for name in (RuleName.LAG, RuleName.WORKERS)] == [Outcome.NOTE] * 2


@pytest.mark.parametrize(
    ("objective", "result"),
    [
        pytest.param("p50 < 50ms", VerdictResult.FAIL, id="each answer misses it"),
        pytest.param("p50 < 800ms", VerdictResult.INVALID, id="only what waited for a worker misses it"),
        pytest.param("success >= 99%", VerdictResult.INVALID, id="it is met"),
    ],
)
def test_a_server_too_slow_for_all_workers_misses_what_it_misses_but_passes_nothing(
    loopback_api: Loopback, tmp_path: Path, objective: str, result: VerdictResult
) -> None:
    shards = shards_named("one", url=f"{loopback_api.url}/?wait_s=0.5", sending=Sending(workers=2, max_workers=2))
    attack_all(tmp_path, shards)

    report = reported(tmp_path, shards, objectives=[objective])

    assert (report.targets[0].attack.sent_ratio or 1) < 0.5
    assert report.verdict.result is result
    assert broken(report) == {VerdictResult.INVALID: {RuleName.SENT}, VerdictResult.FAIL: set()}[result]


def test_a_vegeta_that_stands_still_makes_requests_late_and_is_no_fault_of_the_api(
    loopback_api: Loopback, tmp_path: Path
) -> None:
    shards = shards_named("one", url=loopback_api.url)
    pids = tmp_path / "pid"
    attacking = threading.Thread(
        target=attack_all,
        args=(tmp_path, shards),
        kwargs={"vegetas": [a_vegeta(tmp_path, f"echo $$ > {pids}")]},
    )
    attacking.start()
    wait_until(lambda: len(loopback_api.seen) >= 50)
    vegeta = int(pids.read_text())
    os.kill(vegeta, signal.SIGSTOP)
    threading.Event().wait(0.6)
    os.kill(vegeta, signal.SIGCONT)
    attacking.join(30)

    report = reported(tmp_path, shards)

    assert report.verdict.result is VerdictResult.INVALID
    assert RuleName.LAG in broken(report)
    assert any("could not keep to its schedule" in reason for reason in report.verdict.reasons)


def test_a_vegeta_that_somebody_kills_is_told_with_the_signal(loopback_api: Loopback, tmp_path: Path) -> None:
    shards = shards_named("one", url=loopback_api.url)
    attack_all(tmp_path, shards, vegetas=[a_vegeta(tmp_path, "(sleep 0.8; kill -9 $$) &")])

    report = reported(tmp_path, shards)

    assert broken(report) >= {RuleName.EXIT, RuleName.SENT}
    assert "shard one: somebody ended vegeta with signal 9" in " ".join(report.verdict.reasons)


def test_a_shard_that_starts_late_is_told_by_how_much(loopback_api: Loopback, tmp_path: Path) -> None:
    shards = shards_named("one", "two", url=loopback_api.url)
    attack_all(tmp_path, shards, vegetas=[find_vegeta(), a_vegeta(tmp_path, "sleep 1")])

    report, loosened = reported(tmp_path, shards), reported(tmp_path, shards, changes=["start_skew <= 10s"])

    assert broken(report) == {RuleName.SKEW}
    assert " apart, more than 500ms" in report.verdict.reasons[0]
    assert (loosened.verdict.result, broken(loosened)) == (VerdictResult.PASS, set())
    assert [rule.threshold for rule in loosened.validity if rule.changed] == [
        "start_skew <= 10s",
        "clock_spread <= 10s",
    ]


def test_with_few_file_descriptors_errors_are_the_attackers(loopback_api: Loopback, tmp_path: Path) -> None:
    shards = shards_named("one", url=f"{loopback_api.url}/?wait_s=1")
    attack_all(tmp_path, shards, vegetas=[a_vegeta(tmp_path, "ulimit -n 24")])

    report = reported(tmp_path, shards)

    assert (report.verdict.result, broken(report)) == (VerdictResult.INVALID, {RuleName.ATTACKER_ERRORS})
    assert "failed by no fault of the API (descriptors)" in report.verdict.reasons[0]


@needs_own_network
def test_with_twenty_ports_errors_are_the_attackers(tmp_path: Path) -> None:
    shards = shards_named("one", url="http://127.0.0.1/", rate=Rate(300, SECOND_NS), requests=150)
    there = tmp_path / "there.gob"
    there.write_bytes(attacked_in_own_network(40000, 40019))
    copying = a_vegeta(
        tmp_path, f'for word; do case $word in -output=*) cp {there} "${{word#*=}}"; exit 0;; esac; done'
    )
    attack_all(tmp_path, shards, vegetas=[copying])

    report = reported(tmp_path, shards)

    assert RuleName.ATTACKER_ERRORS in broken(report)
    assert any("failed by no fault of the API (ports)" in reason for reason in report.verdict.reasons)


def test_a_name_that_nobody_knows_is_no_fault_of_the_api(tmp_path: Path) -> None:
    shards = shards_named("one", url="http://nowhere.example/")
    with a_name_server() as (address, _):
        attack_all(tmp_path, shards, vegetas=[a_vegeta(tmp_path, then=f"-resolvers={address}")])

    report = reported(tmp_path, shards)

    assert (report.verdict.result, RuleName.DNS in broken(report)) == (VerdictResult.INVALID, True)
    assert any("failed by no fault of the API (dns)" in reason for reason in report.verdict.reasons)


@limits_cpu
def test_an_attacker_with_a_tiny_share_of_a_cpu_is_found_by_its_cgroup(loopback_api: Loopback, tmp_path: Path) -> None:
    into = shard_folder(tmp_path, "get-health")
    limits = {"vegeta": find_vegeta(), "folder": into, "url": loopback_api.url, "per_s": 400, "requests": 1200}
    attacked_in_own_cgroup("cpu", 0.03, **limits)  # type: ignore[arg-type]

    report = reported(tmp_path, [shard_of(loopback_api.url, per_s=400, requests=1200)])

    assert report.verdict.result is VerdictResult.INVALID
    assert RuleName.THROTTLING in broken(report)
    assert any("had to wait for its CPU quota in " in reason for reason in report.verdict.reasons)


@limits_cpu
def test_an_attacker_with_enough_of_a_cpu_is_not_doubted(loopback_api: Loopback, tmp_path: Path) -> None:
    into = shard_folder(tmp_path, "get-health")
    attacked_in_own_cgroup("cpu", 1, vegeta=find_vegeta(), folder=into, url=loopback_api.url)

    report = reported(tmp_path, [shard_of(loopback_api.url)])

    table = {rule.rule: rule for rule in report.validity}
    assert (broken(report), table[RuleName.THROTTLING].measured is not None) == (set(), True)


@limits_memory
def test_an_attacker_that_the_kernel_kills_for_want_of_memory_is_told_as_such(tmp_path: Path) -> None:
    into = shard_folder(tmp_path, "get-health")
    with loopback() as server:
        url = f"{server.url}/?bytes=30000000"
        first_to_go = a_vegeta(tmp_path, "echo 1000 > /proc/self/oom_score_adj")
        attacked_in_own_cgroup("memory", 60e6, vegeta=first_to_go, folder=into, url=url)

    report = reported(tmp_path, [shard_of(url)])

    assert broken(report) >= {RuleName.MEMORY, RuleName.EXIT}
    assert any(
        "for want of memory, the kernel killed 1 process of the attacker" in one for one in report.verdict.reasons
    )


@pytest.fixture
def two_shards(loopback_api: Loopback, tmp_path: Path) -> list[Shard]:
    """Attacked and recorded in the test's folder."""
    shards = shards_named("one", "two", url=loopback_api.url, requests=50)
    attack_all(tmp_path, shards)
    assert broken(reported(tmp_path, shards)) == set()
    return shards


def test_a_shard_that_is_deleted_is_missed(two_shards: list[Shard], tmp_path: Path) -> None:
    shutil.rmtree(shard_folder(tmp_path, "two"))

    report = reported(tmp_path, two_shards)

    assert broken(report) == {RuleName.SHARDS, RuleName.SENT}
    assert report.verdict.reasons[0] == "shard two is missing: it left no evidence"


def test_a_shard_that_is_copied_under_another_name_is_found_out(two_shards: list[Shard], tmp_path: Path) -> None:
    shutil.rmtree(shard_folder(tmp_path, "two"))
    shutil.copytree(shard_folder(tmp_path, "one"), shard_folder(tmp_path, "two"))

    as_it_is = reported(tmp_path, two_shards)
    evidence = shard_folder(tmp_path, "two") / "shard.json"
    evidence.write_text(evidence.read_text().replace('"shard": "one"', '"shard": "two"'))
    renamed = reported(tmp_path, two_shards)

    assert broken(as_it_is) == broken(renamed) == {RuleName.SHARDS, RuleName.TWICE}
    assert "shard two is a duplicate: it holds the results of shard one" in renamed.verdict.reasons


def test_a_shard_of_another_plan_is_found_out(two_shards: list[Shard], tmp_path: Path) -> None:
    faster = [two_shards[0], replace(two_shards[1], rate=Rate(101, SECOND_NS))]

    report = reported(tmp_path, faster)

    assert RuleName.SHARDS in broken(report)
    assert report.verdict.reasons[0] == "shard two is from another plan: rate 100/s instead of 101/s"


def test_results_that_break_off_are_found_out(loopback_api: Loopback, tmp_path: Path) -> None:
    [shard] = shards_named("one", url=loopback_api.url, requests=50)
    attacker = Attacker(vegeta=find_vegeta(), vegeta_version="v0", cpus=1, run=RUN.id)
    into = shard_folder(tmp_path, "one")
    done = attack(attacker, shard, into=into, start_at_ns=time.time_ns(), stop=threading.Event(), grace_s=5)
    whole = (into / "results.gob").read_bytes()
    (into / "results.gob").write_bytes(whole[: message_ends(whole)[-1] - 1])
    record(attacker, done, into)

    report = reported(tmp_path, [shard])

    assert RuleName.SHARDS in broken(report)
    assert report.verdict.reasons[0].startswith("shard one is cut short: its last record breaks off after ")


def test_a_result_in_the_middle_that_is_lost_is_missed(loopback_api: Loopback, tmp_path: Path) -> None:
    [shard] = shards_named("one", url=loopback_api.url)
    attacker = Attacker(vegeta=find_vegeta(), vegeta_version="v0", cpus=1, run=RUN.id)
    into = shard_folder(tmp_path, "one")
    done = attack(attacker, shard, into=into, start_at_ns=time.time_ns(), stop=threading.Event(), grace_s=5)
    whole = (into / "results.gob").read_bytes()
    *_, before, lost = message_ends(whole)[:20]
    (into / "results.gob").write_bytes(whole[:before] + whole[lost:])
    record(attacker, done, into)

    report = reported(tmp_path, [shard])

    assert broken(report) == {RuleName.GAPS}
    assert report.verdict.reasons == ("get-health: 1 requests were sent of which there is no result",)
