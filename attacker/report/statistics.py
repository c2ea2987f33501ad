"""From what was measured to figures: exact, over all the rows of all the shards, never averaged, never estimated."""

from attacker.evidence import LagFigures
from attacker.measuring.errors import count_by_class, fault_of
from attacker.measuring.measured import PERCENTILES, Measured, Ordered
from attacker.measuring.outline import Span
from attacker.report.figures import AttackFigures, ErrorCount, Figures, LatencyFigures

__all__ = ["figures_of", "lag_figures"]


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


def lag_figures(lag_ns: Ordered | None) -> LagFigures | None:
    """Give the figures of a lag; None where it is not known, or there is no row."""
    if lag_ns is None:
        return None
    return LagFigures(p50=lag_ns.at(PERCENTILES["p50"]), p99=lag_ns.at(PERCENTILES["p99"]), max=lag_ns.largest)


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
    origins_ns = measured.origins_ns
    return AttackFigures(
        shards=measured.shards,
        sent=measured.requests,
        sent_ratio=measured.requests / expected if expected else None,
        start_skew_ns=max(origins_ns) - min(origins_ns) if origins_ns else None,
        lag_ns=lag_figures(measured.lag_ns),
        seq_gaps=measured.seq_gaps,
        duplicates=measured.duplicates,
        throttled_ratio=measured.throttled_ratio,
        max_in_flight=measured.max_in_flight,
    )
