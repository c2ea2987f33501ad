from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.figures import Figures
from attacker.report.statistics import figures_of
from attacker.report.validity import ShardState, doubts_on_origins, doubts_on_shard, doubts_on_target
from tests.attacker.building import MS, a_measured_shard, an_evidence, measured_of, rows


def a_state(*, trouble: str | None = None, **evidence: Any) -> ShardState:
    return ShardState(name="get-health", run="the-run", evidence=an_evidence(**evidence), trouble=trouble)


def the_figures(sent: int, *, expected: int | None = 100) -> Figures:
    return figures_of(measured_of([a_measured_shard(rows([MS] * sent))]), expected=expected)


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
            a_state(exit_code=-9),
            "shard get-health: vegeta ended with exit code -9: it said nothing",
            id="failed in silence",
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


@pytest.mark.parametrize("sent", [99, 100, 101])
def test_a_target_to_which_its_requests_were_sent_is_not_doubted(sent: int) -> None:
    assert doubts_on_target("get-health", the_figures(sent)) == ()


@pytest.mark.parametrize(
    ("sent", "expected", "told"),
    [
        (98, 100, "get-health: 98 of 100 requests were sent (98.0 %), fewer than 99%"),
        (0, 100, "get-health: 0 of 100 requests were sent (0.0 %), fewer than 99%"),
        (98_999, 100_000, "get-health: 98,999 of 100,000 requests were sent (98.9 %), fewer than 99%"),
        (5, 0, "get-health: 5 of 0 requests were sent (0.0 %), fewer than 99%"),
    ],
)
def test_a_target_to_which_too_little_was_sent_is_doubted(sent: int, expected: int, told: str) -> None:
    [doubt] = doubts_on_target("get-health", the_figures(sent, expected=expected))

    assert doubt == f"{told}: the attacker could not keep up or was stopped"


def test_a_target_of_which_nothing_is_known_is_doubted() -> None:
    assert len(doubts_on_target("get-health", the_figures(100, expected=None))) == 1


@given(sent=st.integers(0, 99_999))
def test_a_share_of_what_was_sent_never_reads_as_more_than_it_is(sent: int) -> None:
    figures = the_figures(1, expected=100_000)
    attack = figures.attack.model_copy(update={"sent": sent, "sent_ratio": sent / 100_000})

    told = " ".join(doubts_on_target("get-health", figures.model_copy(update={"attack": attack})))

    assert (told == "") == (sent >= 99_000)
    assert told == "" or float(told.split("(")[1].split(" %")[0]) * 1000 <= sent + 1e-6


def test_requests_that_are_there_twice_are_doubted() -> None:
    twice = figures_of(measured_of([a_measured_shard(rows([MS] * 50))] * 2), expected=100)

    assert doubts_on_target("get-health", twice) == ("get-health: 50 requests are in the results twice",)


def shards_named(**checksums: str) -> list[ShardState]:
    return [
        ShardState(name=name, run="the-run", evidence=an_evidence(shard=name, results_sha256=checksum))
        for name, checksum in checksums.items()
    ]


def test_results_that_are_there_under_two_names_are_doubted() -> None:
    assert doubts_on_origins(shards_named(one="1" * 64, two="2" * 64, three="1" * 64)) == (
        "shard three is a duplicate: it holds the results of shard one",
    )


def test_different_results_are_not_doubted() -> None:
    assert doubts_on_origins(shards_named(one="1" * 64, two="2" * 64)) == ()


def test_shards_that_measured_nothing_hold_the_same_without_being_duplicates() -> None:
    empty = [ShardState(name=name, run="the-run", evidence=an_evidence(shard=name, records=0)) for name in ("a", "b")]

    assert doubts_on_origins([*empty, ShardState(name="c", run="the-run", evidence=None)]) == ()
