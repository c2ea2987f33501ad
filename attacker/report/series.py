"""From rows to what is drawn: latency over the run in buckets, and its distribution at a grid of shares; all exact."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from attacker.report.statistics import Sample
from attacker.results import Ints

__all__ = ["Distribution", "TimeSeries", "distribution_of", "time_series_of"]

Floats = npt.NDArray[np.float64]

_MOST_BUCKETS = 120
_FEWEST_REQUESTS = 20
_SECOND_NS = 1_000_000_000
_DAY_NS = 86_400 * _SECOND_NS
_WIDTHS_NS = (
    *(tenths * _SECOND_NS // 10 for tenths in (1, 2, 5)),
    *(seconds * _SECOND_NS for seconds in (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600)),
)
_RANKED = (Fraction(50, 100), Fraction(99, 100), Fraction(1))
_DECADES, _POINTS_A_DECADE = 4, 50


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


def time_series_of(sample: Sample) -> TimeSeries | None:
    """Cut a run into buckets; None where nothing was measured."""
    rows, n = sample.results, len(sample.results)
    if not n:
        return None
    due_ns = rows.timestamp_ns if sample.lag_ns is None else rows.timestamp_ns - sample.lag_ns
    after_ns = due_ns - due_ns.min()
    span_ns = int(after_ns.max())
    width_ns = _width_ns(span_ns, n)
    # Bytes are sorted by counting: of ten million rows this takes a second, not ten.
    bucket = (after_ns // width_ns).astype(np.uint8)
    sizes = np.bincount(bucket)
    order = np.argsort(bucket, kind="stable")
    latency_ns = rows.latency_ns if sample.lag_ns is None else rows.latency_ns + sample.lag_ns
    ranked = np.array([_ranked(part) for part in np.split(latency_ns[order], np.cumsum(sizes)[:-1])])
    start_ns = np.arange(len(sizes)) * width_ns
    return TimeSeries(
        width_s=width_ns / _SECOND_NS,
        start_s=start_ns / _SECOND_NS,
        n=sizes.astype(np.int64),
        p50_ns=ranked[:, 0],
        p99_ns=ranked[:, 1],
        max_ns=ranked[:, 2],
        rate_per_s=_rates_per_s(sizes, start_ns, width_ns, span_ns=span_ns),
        error_share=_shares(np.bincount(bucket[~sample.succeeded], minlength=len(sizes)), sizes),
        is_corrected=sample.lag_ns is not None,
    )


def distribution_of(sample: Sample) -> Distribution | None:
    """Rank all rows at the grid of shares; None where nothing was measured."""
    rows, n = sample.results, len(sample.results)
    if not n:
        return None
    shares = tuple(share for share in _GRID if (1 - share) * n >= 1)
    return Distribution(
        share=np.array([float(share) for share in shares]),
        latency_ns=_at(shares, rows.latency_ns),
        corrected_ns=None if sample.lag_ns is None else _at(shares, rows.latency_ns + sample.lag_ns),
    )


def _grid() -> tuple[Fraction, ...]:
    """Give the shares; each decade's end (0.9, 0.99, …) is exact."""
    steps = range(_DECADES * _POINTS_A_DECADE + 1)
    return tuple(1 - Fraction(10 ** (-step / _POINTS_A_DECADE)).limit_denominator(10**6) for step in steps)


_GRID = _grid()


def _at(shares: tuple[Fraction, ...], values_ns: Ints) -> Ints:
    """Give the nearest rank at each share without sorting what lies between them; at 0, the smallest value."""
    n = len(values_ns)
    places = [max(0, -(-n * share.numerator // share.denominator) - 1) for share in shares]
    return np.partition(values_ns, places)[places]


def _width_ns(span_ns: int, n: int) -> int:
    """Choose the finest width that gives few enough buckets with enough requests in each."""
    most = max(1, min(_MOST_BUCKETS, n // _FEWEST_REQUESTS))
    days = 1 + span_ns // (most * _DAY_NS)
    return next(width_ns for width_ns in (*_WIDTHS_NS, days * _DAY_NS) if span_ns // width_ns < most)


def _ranked(values_ns: Ints) -> Floats:
    if not len(values_ns):
        return np.full(len(_RANKED), np.nan)
    return _at(_RANKED, values_ns).astype(np.float64)


def _rates_per_s(sizes: Ints, start_ns: Ints, width_ns: int, *, span_ns: int) -> Floats:
    """Rate each bucket; the run ends one interval after its last request, most often within the last bucket."""
    n = int(sizes.sum())
    if not span_ns:
        return np.full(len(sizes), np.nan)
    covered_ns: Floats = np.clip(span_ns * n / (n - 1) - start_ns, None, width_ns)
    return sizes / covered_ns * _SECOND_NS


def _shares(parts: Ints, wholes: Ints) -> Floats:
    shares: Floats = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares
