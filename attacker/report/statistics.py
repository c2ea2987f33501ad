"""From what was measured to figures: exact, over all the rows of all the shards, never averaged, never estimated."""

from fractions import Fraction

import numpy as np

from attacker.measuring.errors import count_by_class, fault_of
from attacker.measuring.measured import PERCENTILES, Measured, Ordered
from attacker.measuring.outline import Span
from attacker.measuring.ranks import rank_of
from attacker.report.figures import AttackFigures, ErrorCount, Figures, LagFigures, LatencyFigures
from attacker.results import Ints

__all__ = ["figures_of", "lag_figures", "nearest_rank"]


def figures_of(measured: Measured, *, expected: int | None) -> Figures:
    """Give all figures of what was measured.

    Args:
        measured: may be of no row; then what cannot be said is None, never 0.
        expected: how many requests were to be measured.
    """
    n = measured.requests
    span_ns = _length_ns(measured.sent_ns)
    whole_ns = _length_ns(Span(first=measured.sent_ns.first, last=measured.ended_ns.last))
    return Figures(
        requests=n,
        expected=expected,
        rate_per_s=(n - 1) * 1e9 / span_ns if span_ns else None,
        throughput_per_s=measured.successes * 1e9 / whole_ns if whole_ns else None,
        success=measured.successes / n if n else None,
        bytes_in=measured.bytes_in,
        bytes_out=measured.bytes_out,
        latency_ns=_latency(measured.latency_ns),
        corrected_latency_ns=_latency(measured.corrected_ns),
        status_codes={str(status): measured.codes[status] for status in sorted(measured.codes)},
        errors=tuple(
            ErrorCount(class_=one.kind, fault=fault_of(one.kind), count=one.count, example=one.example)
            for one in count_by_class(measured.failures)
        ),
        attack=_attack(measured, expected),
    )


def nearest_rank(ordered: Ints, share: Fraction) -> int:
    """Give the smallest value that at least this share of all values does not exceed (numpy's `inverted_cdf`).

    Args:
        ordered: at least one value, ascending.
        share: above 0 and at most 1.
    """
    return int(ordered[rank_of(share, len(ordered)) - 1])


def lag_figures(lag_ns: Ints) -> LagFigures | None:
    """Compute the figures of a lag; None where there is no row."""
    if not len(lag_ns):
        return None
    ordered = np.sort(lag_ns)
    p50, p99 = (nearest_rank(ordered, PERCENTILES[name]) for name in ("p50", "p99"))
    return LagFigures(p50=p50, p99=p99, max=int(ordered[-1]))


def _length_ns(span: Span) -> int:
    return 0 if span.first is None or span.last is None else span.last - span.first


def _latency(values: Ordered | None) -> LatencyFigures | None:
    if values is None:
        return None
    return LatencyFigures(
        min=values.smallest,
        mean=values.total // values.n,
        max=values.largest,
        **{name: values.at(share) for name, share in PERCENTILES.items()},
    )


def _attack(measured: Measured, expected: int | None) -> AttackFigures:
    origins_ns, lag_ns = measured.origins_ns, measured.lag_ns
    p50, p99 = PERCENTILES["p50"], PERCENTILES["p99"]
    return AttackFigures(
        shards=measured.shards,
        sent=measured.requests,
        sent_ratio=measured.requests / expected if expected else None,
        start_skew_ns=max(origins_ns) - min(origins_ns) if origins_ns else None,
        lag_ns=lag_ns and LagFigures(p50=lag_ns.at(p50), p99=lag_ns.at(p99), max=lag_ns.largest),
        seq_gaps=measured.seq_gaps,
        duplicates=measured.duplicates,
        throttled_ratio=measured.throttled_ratio,
        max_in_flight=measured.max_in_flight,
    )
