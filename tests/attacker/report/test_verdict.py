import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.exits import Exit
from attacker.report.figures import Judged, VerdictResult
from attacker.report.verdict import EXIT_OF, verdict

MET = ("get-health", Judged(objective="p99 < 50ms", measured=4, met=True))
MISSED = ("get-health", Judged(objective="p50 < 5ms", measured=7_000_000, met=False))
UNKNOWN = ("get-root", Judged(objective="p99 < 50ms", measured=None, met=None))

judgements = st.lists(st.sampled_from([MET, MISSED, UNKNOWN]), max_size=6)
doubts = st.lists(st.sampled_from(["shard a is missing", "shard b is missing"]), max_size=2)


def test_where_all_is_met_and_nothing_doubted_it_is_a_pass_without_reasons() -> None:
    told = verdict([MET, MET], doubts=[])

    assert (told.result, told.reasons) == (VerdictResult.PASS, ())


def test_without_objectives_it_is_a_pass() -> None:
    assert verdict([], doubts=[]).result is VerdictResult.PASS


def test_where_an_objective_was_missed_it_is_a_fail_that_names_it() -> None:
    told = verdict([MET, MISSED], doubts=[])

    assert (told.result, told.reasons) == (VerdictResult.FAIL, ("get-health: p50 < 5ms was missed: 7ms",))


def test_where_nothing_was_measured_it_is_invalid_and_says_so() -> None:
    told = verdict([MET, UNKNOWN], doubts=[])

    assert told.result is VerdictResult.INVALID
    assert told.reasons == ("get-root: p99 < 50ms: nothing was measured",)


def test_a_doubt_outweighs_what_was_missed_and_is_told_first() -> None:
    told = verdict([MISSED, UNKNOWN, MET], doubts=["shard a is missing"])

    assert told.result is VerdictResult.INVALID
    assert told.reasons == (
        "shard a is missing",
        "get-root: p99 < 50ms: nothing was measured",
        "get-health: p50 < 5ms was missed: 7ms",
    )


@given(judged=judgements, wrong=doubts)
def test_invalid_comes_before_fail_and_fail_before_pass(judged: list[tuple[str, Judged]], wrong: list[str]) -> None:
    outcomes = [one.met for _, one in judged]
    expected = next(
        name
        for name, holds in (("INVALID", bool(wrong) or None in outcomes), ("FAIL", False in outcomes), ("PASS", True))
        if holds
    )

    assert verdict(judged, doubts=wrong).result == expected


@given(judged=judgements, wrong=doubts)
def test_only_a_pass_has_no_reasons(judged: list[tuple[str, Judged]], wrong: list[str]) -> None:
    told = verdict(judged, doubts=wrong)

    assert (told.result is VerdictResult.PASS) == (told.reasons == ())


@pytest.mark.parametrize("result", VerdictResult)
def test_each_result_has_an_exit_code_of_its_name(result: VerdictResult) -> None:
    assert EXIT_OF[result] is Exit[result.name]
