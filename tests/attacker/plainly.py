"""What rows say, reckoned in the plainest way: all of them in memory, in order."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from attacker.results.columns import Ints, Results

__all__ = ["lag_ns", "max_in_flight", "nearest_rank", "seq_gaps"]


def lag_ns(results: Results, *, interval_ns: int) -> Ints:
    """Tell how late each request was sent, in ascending order; the most punctual one was on time."""
    shift_ns = np.sort(results.timestamp_ns - results.seq * interval_ns)
    return shift_ns - shift_ns[:1]


def max_in_flight(timestamp_ns: Ints, latency_ns: Ints) -> int:
    """Count the most requests that were under way at one moment; one that ends as another starts has ended before."""
    starts = np.sort(timestamp_ns)
    ended = np.searchsorted(np.sort(timestamp_ns + latency_ns), starts, side="right")
    return int((np.arange(1, len(starts) + 1) - ended).max(initial=0))


def nearest_rank(ordered: Ints, share: Fraction) -> int:
    """Give the smallest value that at least this share of all does not exceed."""
    return int(ordered[-(-len(ordered) * share.numerator // share.denominator) - 1])


def seq_gaps(seq: Sequence[int]) -> int:
    """Count the places below the last that nobody has."""
    return len(set(range(max(seq, default=-1) + 1)) - set(seq))
