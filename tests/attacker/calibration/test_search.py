from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.calibration.search import DELAY_NS, Calibration, Limit, Step, calibrate, is_trustworthy
from attacker.duration import Duration

A_SECOND = Duration.of_seconds(1)


def a_step(**changes: Any) -> Step:
    """A trustworthy one."""
    step = Step(
        rate_per_s=1000,
        duration=A_SECOND,
        sent_ratio=1.0,
        lag_p99_ns=1_100_000,
        delay_p99_ns=1_500_000,
        max_in_flight=4,
        failures=0,
        server_busy_ratio=0.02,
        throttled_ratio=None,
        exit_code=0,
    )
    return replace(step, **changes)


class AnAttacker:
    """Carries a rate, and is late above it; every attack takes twice as long as it lasts."""

    def __init__(self, carries_per_s: int, *, hiccups: Callable[[int], bool] = lambda _: False) -> None:
        self.took_s = 0.0
        self._carries_per_s = carries_per_s
        self._hiccups = hiccups
        self._attacks = 0

    def measure(self, rate_per_s: int, duration: Duration) -> Step:
        self.took_s += 2 * duration.s
        self._attacks += 1
        late = rate_per_s > self._carries_per_s or self._hiccups(self._attacks)
        delay_p99_ns = 200_000_000 if late else 1_500_000
        return a_step(rate_per_s=rate_per_s, duration=duration, delay_p99_ns=delay_p99_ns)

    def calibrated(self) -> Calibration:
        return calibrate(self.measure, elapsed_s=lambda: self.took_s)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"delay_p99_ns": DELAY_NS}, (), id="just in time"),
        pytest.param({"delay_p99_ns": DELAY_NS + 1}, ("delay above 5ms",), id="late"),
        pytest.param({"delay_p99_ns": None, "sent_ratio": 0.0}, ("too few sent", "nothing measured"), id="no request"),
        pytest.param({"sent_ratio": 0.9899}, ("too few sent",), id="too few"),
        pytest.param({"failures": 1200}, ("1,200 failed",), id="no answer"),
        pytest.param({"exit_code": 1}, ("vegeta ended with 1",), id="vegeta broke"),
        pytest.param({"exit_code": None}, ("vegeta ended with None",), id="vegeta had to be killed"),
    ],
)
def test_a_step_tells_why_its_tails_cannot_be_trusted(changes: dict[str, Any], faults: tuple[str, ...]) -> None:
    step = a_step(**changes)

    assert step.faults == faults
    assert is_trustworthy(step) == (not faults)


@given(carries_per_s=st.integers(30, 1_000_000))
def test_the_rate_that_is_found_is_carried_and_hardly_more_would_be(carries_per_s: int) -> None:
    found = AnAttacker(carries_per_s).calibrated()

    assert found.rate_per_s is not None
    assert found.rate_per_s <= carries_per_s
    # Below the first rate, halves are as near as it gets; above it, a tenth, and what two digits cut off.
    assert found.rate_per_s * (1.22 if carries_per_s >= 500 else 2.2) > carries_per_s


@given(carries_per_s=st.integers(1, 1_000_000), every=st.integers(1, 5))
def test_it_takes_less_than_a_minute_even_where_each_attack_takes_twice_its_time(
    carries_per_s: int, every: int
) -> None:
    attacker = AnAttacker(carries_per_s, hiccups=lambda attack: attack % every == 0)

    attacker.calibrated()

    assert attacker.took_s < 60


def test_what_is_found_has_held_for_longer_twice_running_at_the_end() -> None:
    found = AnAttacker(3000).calibrated()

    *_, one_before, last = found.steps
    assert (one_before.rate_per_s, last.rate_per_s) == (found.rate_per_s, found.rate_per_s)
    assert (one_before.duration, last.duration) == (Duration.of_seconds(2), Duration.of_seconds(2))


def test_one_hiccup_is_no_failure_of_a_rate() -> None:
    unsteady = AnAttacker(3000, hiccups=lambda attack: attack == 2)

    assert unsteady.calibrated().rate_per_s == AnAttacker(3000).calibrated().rate_per_s


def test_a_rate_that_does_not_hold_when_it_is_tried_for_longer_is_not_what_is_found() -> None:
    steady = AnAttacker(3000).calibrated()
    unsteady = AnAttacker(3000, hiccups=lambda attack: attack == len(steady.steps)).calibrated()

    assert steady.rate_per_s is not None
    assert unsteady.rate_per_s is not None
    assert 0.8 * steady.rate_per_s < unsteady.rate_per_s < steady.rate_per_s


def test_where_no_rate_holds_there_is_none() -> None:
    found = AnAttacker(carries_per_s=29).calibrated()

    assert found.rate_per_s is None
    assert min(step.rate_per_s for step in found.steps) >= 30


def test_what_ends_the_search_is_the_attackers_limit_where_the_server_has_time_left() -> None:
    assert AnAttacker(3000).calibrated().limit is Limit.ATTACKER


def test_what_ends_the_search_is_the_servers_limit_where_it_had_none_left() -> None:
    def measure(rate_per_s: int, duration: Duration) -> Step:
        late = rate_per_s > 3000
        return a_step(
            rate_per_s=rate_per_s,
            duration=duration,
            delay_p99_ns=9_000_000 if late else 1_000_000,
            server_busy_ratio=0.95 if late else 0.5,
        )

    found = calibrate(measure, elapsed_s=lambda: 0)

    assert (found.rate_per_s, found.limit) == (3000, Limit.SERVER)
