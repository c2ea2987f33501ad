"""What figures are computed of: the rows of shards, and what their plan says of them."""

from collections.abc import Callable
from dataclasses import dataclass

from attacker.results.rows import Rows

__all__ = ["MeasuredShard", "Sample", "is_answered"]


def is_answered(code: int) -> bool:
    """Tell a success as vegeta does: 2xx and 3xx."""
    return 200 <= code < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShard:
    """The rows of one shard, and what its plan says of them."""

    rows: Rows
    """All of them, those of the warm-up included."""
    warmup_requests: int = 0
    interval_ns: int | None = None
    """The schedule's; None where it is not known, then there is no lag and no corrected latency."""
    delay_ns: int = 0
    """How long after the common instant it was to start."""
    throttled_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The shards of one target, in any order."""

    shards: tuple[MeasuredShard, ...]
    is_success: Callable[[int], bool] = is_answered
    """Is a status code an expected one?"""

    @property
    def is_scheduled(self) -> bool:
        """Is it known of every shard when its requests were due?"""
        return all(shard.interval_ns is not None for shard in self.shards)
