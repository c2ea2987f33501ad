"""What the limit of workers explains, and what it does not."""

import pytest

from attacker.report.objectives import OVERALL, parse_objective
from attacker.report.statistics import figures_of
from attacker.report.validity.workers import is_missed_at_any_load
from tests.attacker.report.a_report import a_measurement

FAILING = a_measurement([10] * 100, lag_ms=range(0, 2000, 20), code=[200] * 90 + [503] * 10)
"""Each answer took 10 ms, and one in ten failed; the last request was sent 1,980 ms late."""


@pytest.mark.parametrize(
    ("objective", "is_missed"),
    [
        pytest.param("p99 < 5ms", True, id="a latency that each answer misses"),
        pytest.param("p99 < 50ms", False, id="a latency that only the backlog misses"),
        pytest.param("raw.p99 < 5ms", True, id="vegeta's latency"),
        pytest.param("success >= 99%", True, id="errors"),
        pytest.param("status_codes.503 == 0", True, id="a status"),
        pytest.param("success >= 50%", False, id="what is met"),
        pytest.param("rate >= 1000", False, id="a rate, which is what was not sent"),
        pytest.param("sent_ratio >= 100%", False, id="what was sent"),
        pytest.param("another: p99 < 5ms", False, id="of another target"),
    ],
)
def test_only_answers_tell_what_is_missed_whatever_was_not_sent(objective: str, *, is_missed: bool) -> None:
    figures = figures_of(FAILING, expected=1000)

    assert is_missed_at_any_load([parse_objective(objective)], "get-health", figures) == is_missed


def test_so_do_the_answers_of_all_targets_together() -> None:
    objectives = [parse_objective("overall: p99 < 5ms"), parse_objective("p99 < 1s")]

    assert is_missed_at_any_load(objectives, OVERALL, figures_of(FAILING, expected=1000))
