"""What was measured of one target, or of all together: every number that figures and plots are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from attacker.exits import RunBrokenError
from attacker.measuring.buckets import Buckets
from attacker.measuring.errors import Failure
from attacker.measuring.outline import Span
from attacker.measuring.ranks import rank_of
from attacker.results.columns import Ints

__all__ = ["GRID", "PERCENTILES", "BucketValues", "Measured", "Ordered"]

PERCENTILES = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p95": Fraction(95, 100),
    "p99": Fraction(99, 100),
    "p99_9": Fraction(999, 1000),
    "p99_99": Fraction(9999, 10000),
}
_DECADES, _POINTS_A_DECADE = 4, 50


def _grid() -> tuple[Fraction, ...]:
    """Give the shares; each decade's end (0.9, 0.99, …) is exact."""
    steps = range(_DECADES * _POINTS_A_DECADE + 1)
    return tuple(1 - Fraction(10 ** (-step / _POINTS_A_DECADE)).limit_denominator(10**6) for step in steps)


GRID = _grid()
"""Shares of a distribution's plot, evenly in -log10(1 - share), from 0 to 0.9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Order statistics of at least one value."""

    n: int
    total: int
    smallest: int
    largest: int
    by_rank: Mapping[int, int]
    """The values of the ranks that were wanted, from 1."""

    def at(self, share: Fraction) -> int:
        """Give the smallest value that at least this share of all values does not exceed (numpy's `inverted_cdf`)."""
        return self.by_rank[rank_of(share, self.n)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketValues:
    """What is in each bucket; all columns are equally long. Where there is no request, the latencies mean nothing."""

    buckets: Buckets
    n: Ints
    p50_ns: Ints
    p99_ns: Ints
    max_ns: Ints
    failed: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Rows that count, added up and ordered, and what is known of the shards that they come from."""

    shards: int
    requests: int
    successes: int
    sent_ns: Span
    ended_ns: Span
    due_ns: Span
    """As sent, where the schedule is not known."""
    bytes_in: int
    bytes_out: int
    codes: Mapping[int, int]
    failures: Mapping[Failure, int]
    is_scheduled: bool
    """Is it known of every shard when its requests were due?"""
    origins_ns: tuple[int, ...]
    """When each shard with rows really started, less its planned delay."""
    seq_gaps: int
    duplicates: int
    throttled_ratio: float | None
    max_in_flight: int = 0
    latency_ns: Ordered | None = None
    """None where there is no row."""
    corrected_ns: Ordered | None = None
    """None where there is no row, or a shard's schedule is not known."""
    lag_ns: Ordered | None = None
    buckets: BucketValues | None = None
    """None where there is no row, and for all targets together."""
    troubles: Mapping[int, str] = field(default_factory=dict)
    """Why rows cannot be read, by the number of their shard; none of these is in what was measured."""

    def of_all(self) -> "Measured":
        """Give it where all rows could be read.

        Raises:
            RunBrokenError: some could not; the text is the first reason.
        """
        reason = next(iter(self.troubles.values()), None)
        if reason is not None:
            raise RunBrokenError(reason)
        return self
