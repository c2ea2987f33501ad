"""What a shard's rows say of its schedule: how late each request was sent, and what is missing."""

from dataclasses import dataclass

import numpy as np

from attacker.results import Ints, Results

__all__ = ["Schedule", "max_in_flight", "schedule_of", "seq_gaps"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a shard's requests were due."""

    origin_ns: int
    """When the request with seq 0 was due, by the one that was sent most nearly on time."""
    lag_ns: Ints
    """How late each request was sent, a value a row; the smallest is 0."""


def schedule_of(results: Results, *, interval_ns: int) -> Schedule | None:
    """Find when each row's request was due: (timestamp - seq x interval), less the smallest such value.

    vegeta stamps a request when it is really sent, so its latency leaves out the time that the request waited for a
    free worker or processor. seq and timestamp alone bring it back: latency + lag is the latency from when it was due.

    Returns:
        None where there are no rows.
    """
    if not len(results):
        return None
    shift_ns = results.timestamp_ns - results.seq * interval_ns
    origin_ns = int(shift_ns.min())
    return Schedule(origin_ns, shift_ns - origin_ns)


def seq_gaps(seq: Ints) -> int:
    """Count the requests that were sent, as later ones show, but of which no row is left."""
    if not len(seq):
        return 0
    ordered = np.sort(seq)
    distinct = 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
    return int(ordered[-1]) + 1 - distinct


def max_in_flight(timestamp_ns: Ints, latency_ns: Ints) -> int:
    """Count the most requests that were under way at one moment; one that ends as another starts has ended before."""
    if not len(timestamp_ns):
        return 0
    starts = np.sort(timestamp_ns)
    ended = np.searchsorted(np.sort(timestamp_ns + latency_ns), starts, side="right")
    return int((np.arange(1, len(starts) + 1) - ended).max())
