from dataclasses import replace
from typing import Any

import pytest

from attacker.rate import Rate
from attacker.report.validity.shards import ShardState, doubts_on_origins, doubts_on_shard
from attacker.sending import Sending
from tests.attacker.building import a_shard, a_target, an_evidence


def a_state(*, trouble: str | None = None, **evidence: Any) -> ShardState:
    return ShardState(name="get-health", run="the-run", evidence=an_evidence(**evidence), trouble=trouble)


def test_a_healthy_shard_is_not_doubted() -> None:
    assert doubts_on_shard(a_state()) == ()


def test_an_attack_that_was_told_to_stop_when_it_was_over_is_not_doubted() -> None:
    assert doubts_on_shard(a_state(interrupted=True)) == ()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param(
            ShardState(name="get-health", run="the-run", evidence=None),
            "shard get-health is missing: it left no evidence",
            id="missing",
        ),
        pytest.param(
            ShardState(name="get-health", run="the-run", evidence=None, trouble="it was late"),
            "shard get-health is missing: it was late",
            id="missing, with a reason",
        ),
        pytest.param(
            a_state(trailing_bytes=17),
            "shard get-health is cut short: its last record breaks off after 17 bytes",
            id="cut short",
        ),
        pytest.param(
            a_state(run="another-run"),
            "shard get-health is a duplicate or a stranger: its evidence is of get-health in another-run",
            id="of another run",
        ),
        pytest.param(
            a_state(shard="get-root"),
            "shard get-health is a duplicate or a stranger: its evidence is of get-root in the-run",
            id="of another shard",
        ),
        pytest.param(a_state(exit_code=None), "shard get-health: vegeta did not end by itself", id="killed"),
        pytest.param(
            a_state(exit_code=1, log="first\nbad target: no URL"),
            "shard get-health: vegeta ended with exit code 1: bad target: no URL",
            id="failed",
        ),
        pytest.param(
            a_state(exit_code=2),
            "shard get-health: vegeta ended with exit code 2: it said nothing",
            id="failed in silence",
        ),
        pytest.param(
            a_state(exit_code=-15), "shard get-health: somebody ended vegeta with signal 15", id="ended by somebody"
        ),
        pytest.param(
            a_state(exit_code=-9),
            "shard get-health: somebody ended vegeta with signal 9: most often it is the kernel that does so, "
            "for want of memory",
            id="killed by somebody",
        ),
    ],
)
def test_a_shard_is_doubted_with_the_reason(state: ShardState, told: str) -> None:
    assert doubts_on_shard(state) == (told,)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(a_state(trouble="results.parquet is missing"), id="its rows"),
        pytest.param(a_state(damage="results.parquet is missing"), id="what vegeta wrote"),
    ],
)
def test_a_shard_that_cannot_be_read_is_doubted(state: ShardState) -> None:
    [doubt] = doubts_on_shard(state)

    assert doubt.startswith("shard get-health ")
    assert doubt.endswith(": results.parquet is missing")


def test_all_that_is_wrong_with_a_shard_is_told() -> None:
    assert len(doubts_on_shard(a_state(trouble="a", damage="b", trailing_bytes=1, run="c", exit_code=2))) == 5


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"rate": Rate(20, 1_000_000_000)}, "rate 10/s instead of 20/s", id="its rate"),
        pytest.param({"requests": 90}, "requests 100 instead of 90", id="its requests"),
        pytest.param({"warmup_requests": 5}, "warm-up requests 0 instead of 5", id="its warm-up"),
        pytest.param({"sending": Sending(max_workers=7)}, "max_workers None instead of 7", id="its workers"),
        pytest.param(
            {"target": a_target(url="http://api:5000/other", method="POST")},
            "method GET instead of POST, URL http://api:5000/health instead of http://api:5000/other",
            id="its request",
        ),
    ],
)
def test_a_shard_of_another_plan_is_told_by_what_it_sent(changes: dict[str, Any], told: str) -> None:
    stranger = replace(a_state(), planned=a_shard(**changes))

    assert doubts_on_shard(stranger) == (f"shard get-health is from another plan: {told}",)


def test_a_shard_that_sent_what_was_planned_is_not_doubted() -> None:
    assert doubts_on_shard(replace(a_state(), planned=a_shard())) == ()


def shards_named(**checksums: str) -> list[ShardState]:
    return [
        ShardState(name=name, run="the-run", evidence=an_evidence(shard=name, results_sha256=checksum))
        for name, checksum in checksums.items()
    ]


def test_results_that_are_there_under_two_names_are_doubted() -> None:
    assert doubts_on_origins(shards_named(one="1" * 64, two="2" * 64, three="1" * 64)) == (
        ("three", "shard three is a duplicate: it holds the results of shard one"),
    )


def test_different_results_are_not_doubted() -> None:
    assert doubts_on_origins(shards_named(one="1" * 64, two="2" * 64)) == ()


def test_shards_that_measured_nothing_hold_the_same_without_being_duplicates() -> None:
    empty = [ShardState(name=name, run="the-run", evidence=an_evidence(shard=name, records=0)) for name in ("a", "b")]

    assert doubts_on_origins([*empty, ShardState(name="c", run="the-run", evidence=None)]) == ()
