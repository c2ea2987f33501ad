"""Calibration: the highest rate at which an attacker's tails are its target's and not its own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor, log10, sqrt

from attacker.duration import Duration, in_words

__all__ = ["DELAY_NS", "LEAST_SENT_RATIO", "Calibration", "Limit", "Measure", "Step", "calibrate", "is_trustworthy"]

DELAY_NS = 5_000_000
"""What an attacker may add to p99: the difference that reports call material."""
LEAST_SENT_RATIO = 0.99
"""As in a run's own validity."""
BUSY_RATIO = 0.9
"""From here on, a server is what limits the rate: it may be that the attacker could have sent more."""

_FIRST_PER_S, _LEAST_PER_S, _MOST_PER_S = 500, 30, 1_000_000
_CLOSE_ENOUGH = 1.1
_STEP_DOWN = 0.9
_SEARCHING, _CONFIRMING = Duration.of_seconds(1), Duration.of_seconds(2)
_CONFIRMATIONS = 2
_SEARCH_S, _CONFIRM_S = 32.0, 50.0
"""No attack begins later than this, to search and to confirm; the last ends within a minute."""


class Limit(StrEnum):
    """What kept the rate from being higher."""

    ATTACKER = "attacker"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One short attack on a server that answers at once; a figure is None where nothing was measured."""

    rate_per_s: int
    duration: Duration
    sent_ratio: float
    lag_p99_ns: int | None
    """How late requests were sent."""
    delay_p99_ns: int | None
    """From when a request was due to when its answer was read: with such a server, what the attacker itself adds."""
    max_in_flight: int
    failures: int
    """Requests without a proper answer: no port or descriptor was left, or the server is no such server."""
    server_busy_ratio: float
    """Of one processor, which is all that the server can use."""
    throttled_ratio: float | None
    exit_code: int | None
    """vegeta's; None where it had to be killed."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the tails cannot be trusted, in words; nothing where they can."""
        late = self.delay_p99_ns is None or self.delay_p99_ns > DELAY_NS
        found = (
            self.exit_code != 0 and f"vegeta ended with {self.exit_code}",
            self.failures and f"{self.failures:,} failed",
            self.sent_ratio < LEAST_SENT_RATIO and "too few sent",
            late and ("nothing measured" if self.delay_p99_ns is None else f"delay above {in_words(DELAY_NS)}"),
        )
        return tuple(fault for fault in found if fault)

    @property
    def is_servers_limit(self) -> bool:
        """Tell whether the server had no more to give."""
        return self.server_busy_ratio >= BUSY_RATIO


Measure = Callable[[int, Duration], Step]
"""Attack at a rate a second for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was found, and how."""

    rate_per_s: int | None
    """The highest trustworthy rate; None where none was."""
    limit: Limit
    """What failed at the next higher rate."""
    steps: tuple[Step, ...]


def is_trustworthy(step: Step) -> bool:
    """Tell whether tails that were measured so are the target's own."""
    return not step.faults


def calibrate(measure: Measure, *, elapsed_s: Callable[[], float]) -> Calibration:
    """Find the highest trustworthy rate: double it until it fails, halve the gap, confirm what is left.

    A rate fails where it does so twice: once may be the machine's own hiccup. The rate that is found has held twice
    running, for longer; where it did not, a tenth less is tried. It has two significant digits, and is at most a tenth
    below the lowest that failed.

    Args:
        measure: attacks once.
        elapsed_s: how long this has taken.
    """
    return _Search(measure, elapsed_s).found()


class _Search:
    def __init__(self, measure: Measure, elapsed_s: Callable[[], float]) -> None:
        self._measure = measure
        self._elapsed_s = elapsed_s
        self._steps: list[Step] = []

    def found(self) -> Calibration:
        rate_per_s = self._confirmed(self._searched())
        limit = _limit_above(rate_per_s or 0, self._steps)
        return Calibration(rate_per_s=rate_per_s, limit=limit, steps=tuple(self._steps))

    def _searched(self) -> int | None:
        """Give the highest rate that holds, as far as there is time to search."""
        held = next((rate for rate in _downwards(_FIRST_PER_S, 0.5) if self._holds(rate)), None)
        if held != _FIRST_PER_S:
            return held
        failed = _MOST_PER_S
        for rate in _upwards(held):
            if not self._holds(rate):
                failed = rate
                break
            held = rate
        while failed > held * _CLOSE_ENOUGH and self._elapsed_s() < _SEARCH_S:
            between = _two_digits(sqrt(held * failed))
            if not held < between < failed:
                break
            held, failed = (between, failed) if self._holds(between) else (held, between)
        return held

    def _holds(self, rate_per_s: int) -> bool:
        """Try a rate, twice where it fails."""
        return any(is_trustworthy(self._tried(rate_per_s, _SEARCHING)) for _ in range(2))

    def _confirmed(self, held: int | None) -> int | None:
        for rate in () if held is None else _downwards(held, _STEP_DOWN):
            if self._elapsed_s() >= _CONFIRM_S:
                break
            if all(is_trustworthy(self._tried(rate, _CONFIRMING)) for _ in range(_CONFIRMATIONS)):
                return rate
        return None

    def _tried(self, rate_per_s: int, duration: Duration) -> Step:
        step = self._measure(rate_per_s, duration)
        self._steps.append(step)
        return step


def _limit_above(rate_per_s: int, steps: Sequence[Step]) -> Limit:
    failed = [step for step in steps if step.rate_per_s > rate_per_s and not is_trustworthy(step)]
    lowest_per_s = min((step.rate_per_s for step in failed), default=0)
    is_servers = any(step.is_servers_limit for step in failed if step.rate_per_s == lowest_per_s)
    return Limit.SERVER if is_servers else Limit.ATTACKER


def _downwards(rate_per_s: int, factor: float) -> Iterator[int]:
    while rate_per_s >= _LEAST_PER_S:
        yield rate_per_s
        rate_per_s = min(rate_per_s - 1, _two_digits(rate_per_s * factor))


def _upwards(rate_per_s: int) -> Iterator[int]:
    while rate_per_s * 2 <= _MOST_PER_S:
        rate_per_s *= 2
        yield rate_per_s


def _two_digits(rate_per_s: float) -> int:
    size: int = 10 ** max(0, floor(log10(rate_per_s)) - 1)
    return int(rate_per_s / size) * size
