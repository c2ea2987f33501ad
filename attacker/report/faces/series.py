"""From what was measured to what is drawn: latency over the run in buckets, and its distribution; all exact."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from attacker.measuring.buckets import SECOND_NS
from attacker.measuring.measured import GRID, Measured, Ordered
from attacker.results.columns import Ints

__all__ = ["Distribution", "TimeSeries", "distribution_of", "time_series_of"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSeries:
    """Buckets of equal width over the run, by the moment that each request was due; all columns are equally long.

    Where a bucket holds no request, its latencies and its share of errors are NaN.
    """

    width_s: float
    start_s: Floats
    """Where each bucket starts, after the moment that the first request was due."""
    n: Ints
    p50_ns: Floats
    p99_ns: Floats
    max_ns: Floats
    rate_per_s: Floats
    """Requests due, over the part of the bucket that the run covers; NaN where the run is a single moment."""
    error_share: Floats
    is_corrected: bool
    """Are these latencies from the moment that a request was due, or as vegeta measured them?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Exact order statistics at shares that stand evenly in -log10(1 - share), as far as the rows can tell them."""

    share: Floats
    """From 0, the smallest value, to at most 0.9999."""
    latency_ns: Ints
    corrected_ns: Ints | None
    """None where the schedule is not known."""


def time_series_of(measured: Measured) -> TimeSeries | None:
    """Tell what is in each bucket of a run; None where nothing was measured."""
    values = measured.buckets
    if values is None:
        return None
    buckets = values.buckets
    start_ns = np.arange(buckets.number) * buckets.width_ns
    return TimeSeries(
        width_s=buckets.width_ns / SECOND_NS,
        start_s=start_ns / SECOND_NS,
        n=values.n,
        p50_ns=_where_any(values.n, values.p50_ns),
        p99_ns=_where_any(values.n, values.p99_ns),
        max_ns=_where_any(values.n, values.max_ns),
        rate_per_s=_rates_per_s(values.n, start_ns, buckets.width_ns, span_ns=buckets.span_ns),
        error_share=_shares(values.failed, values.n),
        is_corrected=measured.is_scheduled,
    )


def distribution_of(measured: Measured) -> Distribution | None:
    """Give the latencies at the grid of shares; None where nothing was measured."""
    n, latency_ns, corrected_ns = measured.requests, measured.latency_ns, measured.corrected_ns
    if latency_ns is None:
        return None
    shares = tuple(share for share in GRID if (1 - share) * n >= 1)
    return Distribution(
        share=np.array([float(share) for share in shares]),
        latency_ns=_at(shares, latency_ns),
        corrected_ns=None if corrected_ns is None else _at(shares, corrected_ns),
    )


def _at(shares: tuple[Fraction, ...], values: Ordered) -> Ints:
    return np.array([values.at(share) for share in shares], np.int64)


def _where_any(n: Ints, values: Ints) -> Floats:
    return np.where(n > 0, values.astype(np.float64), np.nan)


def _rates_per_s(sizes: Ints, start_ns: Ints, width_ns: int, *, span_ns: int) -> Floats:
    """Rate each bucket; the run ends one interval after its last request, most often within the last bucket."""
    n = int(sizes.sum())
    if not span_ns:
        return np.full(len(sizes), np.nan)
    covered_ns: Floats = np.clip(span_ns * n / (n - 1) - start_ns, None, width_ns)
    return sizes / covered_ns * SECOND_NS


def _shares(parts: Ints, wholes: Ints) -> Floats:
    shares: Floats = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares
