"""From rows to figures: exact, over all the rows of all the shards, never averaged, never estimated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from attacker.report.errors import count_by_class, fault_of
from attacker.report.figures import AttackFigures, ErrorCount, Figures, LagFigures, LatencyFigures
from attacker.results import Ints, Results
from attacker.schedule import duplicate_rows, max_in_flight, schedule_of, seq_gaps

__all__ = ["MeasuredShard", "Sample", "figures_of", "is_answered", "lag_figures", "nearest_rank", "sample_of"]

_CODE_BITS = 16  # what vegeta keeps a status code in
_PERCENTILES = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p95": Fraction(95, 100),
    "p99": Fraction(99, 100),
    "p99_9": Fraction(999, 1000),
    "p99_99": Fraction(9999, 10000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredShard:
    """The rows of one shard, and what its plan says of them."""

    results: Results
    """All rows, those of the warm-up included."""
    warmup_requests: int = 0
    interval_ns: int | None = None
    """The schedule's; None where it is not known, then there is no lag and no corrected latency."""
    delay_ns: int = 0
    """How long after the common instant it was to start."""
    throttled_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The rows that count, of one target or of several, and what is known of the shards they come from."""

    results: Results
    lag_ns: Ints | None
    """A value a row; None where a shard's schedule is not known."""
    succeeded: npt.NDArray[np.bool_]
    """A value a row: is the status code an expected one?"""
    shards: int
    origins_ns: tuple[int, ...]
    """When each shard with rows really started, less its planned delay."""
    seq_gaps: int
    duplicates: int
    throttled_ratio: float | None

    @classmethod
    def joined(cls, samples: Sequence["Sample"], *, simultaneous: bool) -> "Sample":
        """Put several targets' samples together; where they were not to start together, there is no skew to tell."""
        lags = [sample.lag_ns for sample in samples if sample.lag_ns is not None]
        return cls(
            results=Results.joined([sample.results for sample in samples]),
            lag_ns=_concatenated(lags) if len(lags) == len(samples) else None,
            succeeded=np.concatenate([sample.succeeded for sample in samples] or [np.empty(0, np.bool_)]),
            shards=sum(sample.shards for sample in samples),
            origins_ns=tuple(origin for sample in samples for origin in sample.origins_ns) if simultaneous else (),
            seq_gaps=sum(sample.seq_gaps for sample in samples),
            duplicates=sum(sample.duplicates for sample in samples),
            throttled_ratio=_largest(sample.throttled_ratio for sample in samples),
        )


def is_answered(code: int) -> bool:
    """Tell a success as vegeta does: 2xx and 3xx."""
    return 200 <= code < 400


def sample_of(shards: Sequence[MeasuredShard], *, is_success: Callable[[int], bool] = is_answered) -> Sample:
    """Take the warm-up out of a target's shards, find each row's lag, and put the rows together."""
    schedules = [
        None if shard.interval_ns is None else schedule_of(shard.results, interval_ns=shard.interval_ns)
        for shard in shards
    ]
    counted = [_after_warmup(shard) for shard in shards]
    lags = [
        np.empty(0, np.int64) if schedule is None else schedule.lag_ns[rows]
        for schedule, rows in zip(schedules, counted, strict=True)
    ]
    results = Results.joined([shard.results[rows] for shard, rows in zip(shards, counted, strict=True)])
    everything = Results.joined([shard.results for shard in shards])
    return Sample(
        results=results,
        lag_ns=None if any(shard.interval_ns is None for shard in shards) else _concatenated(lags),
        succeeded=_succeeded(results.code, is_success),
        shards=len(shards),
        origins_ns=tuple(
            schedule.origin_ns - shard.delay_ns for schedule, shard in zip(schedules, shards, strict=True) if schedule
        ),
        seq_gaps=sum(seq_gaps(shard.results.seq) for shard in shards),
        duplicates=duplicate_rows(everything),
        throttled_ratio=_largest(shard.throttled_ratio for shard in shards),
    )


def figures_of(sample: Sample, *, expected: int | None) -> Figures:
    """Compute all figures of a sample.

    Args:
        sample: may hold no row; then what cannot be said is None, never 0.
        expected: how many requests were to be measured.
    """
    rows = sample.results
    n = len(rows)
    first_ns = int(rows.timestamp_ns.min()) if n else 0
    span_ns = int(rows.timestamp_ns.max()) - first_ns if n else 0
    whole_ns = int((rows.timestamp_ns + rows.latency_ns).max()) - first_ns if n else 0
    successes = int(sample.succeeded.sum())
    return Figures(
        requests=n,
        expected=expected,
        rate_per_s=(n - 1) * 1e9 / span_ns if span_ns else None,
        throughput_per_s=successes * 1e9 / whole_ns if whole_ns else None,
        success=successes / n if n else None,
        bytes_in=int(rows.bytes_in.sum()),
        bytes_out=int(rows.bytes_out.sum()),
        latency_ns=_latency(rows.latency_ns),
        corrected_latency_ns=None if sample.lag_ns is None else _latency(rows.latency_ns + sample.lag_ns),
        status_codes=_status_codes(rows.code),
        errors=_errors(sample),
        attack=_attack(sample, expected),
    )


def nearest_rank(ordered: Ints, share: Fraction) -> int:
    """Give the smallest value that at least this share of all values does not exceed (numpy's `inverted_cdf`).

    Args:
        ordered: at least one value, ascending.
        share: above 0 and at most 1.
    """
    rank = -(-len(ordered) * share.numerator // share.denominator)
    return int(ordered[rank - 1])


def _after_warmup(shard: MeasuredShard) -> slice | npt.NDArray[np.bool_]:
    return shard.results.seq >= shard.warmup_requests if shard.warmup_requests else slice(None)


def _latency(values_ns: Ints) -> LatencyFigures | None:
    if not len(values_ns):
        return None
    ordered = np.sort(values_ns)
    return LatencyFigures(
        min=int(ordered[0]),
        mean=int(ordered.sum()) // len(ordered),
        max=int(ordered[-1]),
        **{name: nearest_rank(ordered, share) for name, share in _PERCENTILES.items()},
    )


def _attack(sample: Sample, expected: int | None) -> AttackFigures:
    rows = sample.results
    return AttackFigures(
        shards=sample.shards,
        sent=len(rows),
        sent_ratio=len(rows) / expected if expected else None,
        start_skew_ns=max(sample.origins_ns) - min(sample.origins_ns) if sample.origins_ns else None,
        lag_ns=None if sample.lag_ns is None else lag_figures(sample.lag_ns),
        seq_gaps=sample.seq_gaps,
        duplicates=sample.duplicates,
        throttled_ratio=sample.throttled_ratio,
        max_in_flight=max_in_flight(rows.timestamp_ns, rows.latency_ns),
    )


def lag_figures(lag_ns: Ints) -> LagFigures | None:
    """Compute the figures of a lag; None where there is no row."""
    if not len(lag_ns):
        return None
    ordered = np.sort(lag_ns)
    p50, p99 = (nearest_rank(ordered, _PERCENTILES[name]) for name in ("p50", "p99"))
    return LagFigures(p50=p50, p99=p99, max=int(ordered[-1]))


def _status_codes(code: Ints) -> dict[str, int]:
    counts = np.bincount(code, minlength=1)
    return {str(status): int(counts[status]) for status in np.flatnonzero(counts)}


def _errors(sample: Sample) -> tuple[ErrorCount, ...]:
    """Count what went wrong by its class, the most frequent first."""
    failed = ~sample.succeeded
    error, code = sample.results.error, sample.results.code
    keys, times = np.unique(error.codes[failed].astype(np.int64) << _CODE_BITS | code[failed], return_counts=True)
    failures = (
        (error.values[key >> _CODE_BITS], key & (1 << _CODE_BITS) - 1, count)
        for key, count in zip(keys.tolist(), times.tolist(), strict=True)
    )
    return tuple(
        ErrorCount(class_=one.kind, fault=fault_of(one.kind), count=one.count, example=one.example)
        for one in count_by_class(failures)
    )


def _succeeded(code: Ints, is_success: Callable[[int], bool]) -> npt.NDArray[np.bool_]:
    expected = np.zeros(1000, np.bool_)
    expected[[status for status in range(1000) if is_success(status)]] = True
    return expected[np.clip(code, 0, 999)]


def _concatenated(columns: Sequence[Ints]) -> Ints:
    return np.concatenate(columns) if columns else np.empty(0, np.int64)


def _largest(values: object) -> float | None:
    known = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return max(known, default=None)
