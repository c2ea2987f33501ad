from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.figures import Figures
from attacker.report.omission import differs_materially, why_they_differ
from attacker.report.statistics import figures_of
from tests.attacker.building import MS
from tests.attacker.report.a_report import a_measurement


def figures(latency_ms: Sequence[float], lag_ms: Sequence[float] | None, *, interval_ms: float = 10) -> Figures:
    return figures_of(a_measurement(latency_ms, lag_ms=lag_ms, interval_ms=interval_ms), expected=None)


@pytest.fixture
def stalled() -> Figures:
    """Of 1000 requests 200 were late, by 1000 ms to 5 ms, one after the other; each was answered in 4 ms."""
    return figures([4] * 1000, [0] * 400 + [1000 - 5 * late for late in range(200)] + [0] * 400)


def test_after_a_stall_it_is_said_why_corrected_latency_is_longer_than_vegetas(stalled: Figures) -> None:
    assert why_they_differ(stalled, max_workers=None) == (
        "Corrected p99 is 954ms and vegeta's 4ms, because requests were sent up to 1s after they were due, "
        "at most 1 under way at once: vegeta's clock starts only then."
    )


@pytest.mark.parametrize(
    ("max_in_flight", "max_workers", "cause"),
    [
        (1, 1, "because its only worker (max_workers) waited for answers and requests were sent up to 1s after"),
        (1000, 1000, "because all 1,000 workers (max_workers) waited for answers and requests were sent up to 1s"),
        (999, 1000, "because requests were sent up to 1s after they were due, at most 999 under way at once: "),
    ],
    ids=["a limit of one", "a limit", "below the limit"],
)
def test_the_limit_of_workers_is_the_reason_where_it_was_reached(
    stalled: Figures, max_in_flight: int, max_workers: int, cause: str
) -> None:
    attack = stalled.attack.model_copy(update={"max_in_flight": max_in_flight})

    told = why_they_differ(stalled.model_copy(update={"attack": attack}), max_workers=max_workers)

    assert cause in str(told)


def test_it_is_one_sentence(stalled: Figures) -> None:
    assert str(why_they_differ(stalled, max_workers=None)).replace("p99.", "").count(". ") == 0


@pytest.mark.parametrize(
    ("raw_ms", "corrected_ms", "differs"),
    [(1, 6, False), (1, 6.001, True), (100, 110, False), (100, 110.001, True), (4, 960, True), (7, 7, False)],
)
def test_a_difference_matters_above_5_ms_and_a_tenth(raw_ms: float, corrected_ms: float, *, differs: bool) -> None:
    assert differs_materially(int(raw_ms * MS), int(corrected_ms * MS)) is differs


def test_where_requests_were_sent_on_time_nothing_is_said() -> None:
    assert why_they_differ(figures([4] * 1000, [0] * 1000), max_workers=1) is None


def test_where_the_schedule_is_not_known_nothing_is_said() -> None:
    assert why_they_differ(figures([4] * 1000, None), max_workers=1) is None


def test_where_nothing_was_measured_nothing_is_said() -> None:
    assert why_they_differ(figures([], []), max_workers=1) is None


def test_one_late_request_is_no_reason_for_words() -> None:
    assert why_they_differ(figures([4] * 999, [0] * 998 + [500]), max_workers=None) is None


@pytest.mark.parametrize(
    ("late", "named"), [(1, None), (2, "p99.9"), (10, "p99.9"), (11, "p99")], ids=["one", "two", "a percent", "more"]
)
def test_the_tail_is_told_as_far_as_the_requests_tell_it(late: int, named: str | None) -> None:
    told = why_they_differ(figures([4] * 1000, [0] * (1000 - late) + [500] * late), max_workers=None)

    assert (told and told.split()[1]) == named


def test_of_few_requests_a_lower_percentile_is_told() -> None:
    assert str(why_they_differ(figures([4] * 20, [0] * 10 + [500] * 10), max_workers=None)).startswith("Corrected p95 ")


@given(lag_ms=st.lists(st.integers(0, 5), max_size=50))
def test_a_lag_of_5_ms_is_never_worth_a_word(lag_ms: list[int]) -> None:
    assert why_they_differ(figures([4] * len(lag_ms), lag_ms), max_workers=1) is None
