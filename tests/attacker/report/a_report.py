"""Builders of reports and measurements, with realistic figures as defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from attacker.measuring.measured import Measured
from attacker.measuring.sample import MeasuredShard
from attacker.report.figures import (
    Checked,
    ErrorCount,
    Figures,
    Judged,
    Report,
    Run,
    TargetFigures,
    Verdict,
    VerdictResult,
)
from attacker.report.omission import why_they_differ
from attacker.report.statistics import figures_of
from attacker.results.columns import Ints, Results, Text
from attacker.results.rows import HeldRows
from tests.attacker.building import measured_of

__all__ = [
    "Wave",
    "a_measurement",
    "a_report",
    "a_rule",
    "a_run",
    "a_target",
    "a_verdict",
    "a_wavy_measurement",
    "an_error",
    "in_ns",
]

START_NS = 1_771_254_421 * 1_000_000_000


def in_ns(ms: npt.ArrayLike) -> Ints:
    """Turn milliseconds into whole nanoseconds."""
    return (np.asarray(ms, np.float64) * 1_000_000).round().astype(np.int64)


def a_measurement(
    latency_ms: npt.ArrayLike = range(1, 101),
    *,
    interval_ms: float = 10,
    lag_ms: npt.ArrayLike | None = 0,
    code: npt.ArrayLike = 200,
    error: Sequence[str] = (),
    missing: range = range(0),
) -> Measured:
    """Measure rows that were due every `interval_ms`.

    Args:
        latency_ms: a value a row.
        interval_ms: of the schedule.
        lag_ms: how late each was sent; None where the schedule is not known.
        code: the status of each.
        error: the error of each; none of any where it is empty.
        missing: rows that were lost.
    """
    n = len(in_ns(latency_ms))
    kept = ~np.isin(np.arange(n), missing)
    interval_ns, texts = max(1, int(interval_ms * 1e6)), tuple(dict.fromkeys(error)) or ("",)
    rows = _rows(
        timestamp_ns=START_NS + np.arange(n) * interval_ns + in_ns(0 if lag_ms is None else lag_ms),
        seq=np.arange(n),
        code=np.broadcast_to(np.asarray(code, np.int64), n),
        latency_ns=in_ns(latency_ms),
        errors=Text(np.array([texts.index(text) for text in error] or [0] * n, np.int32), texts),
    )[kept]
    if lag_ms is None:
        return measured_of([MeasuredShard(rows=HeldRows(rows))])
    # A request of the warm-up that was on time says when the others were due, however late they all were.
    first = _rows(
        timestamp_ns=np.array([START_NS]),
        seq=np.zeros(1, np.int64),
        code=np.array([200]),
        latency_ns=np.zeros(1, np.int64),
        errors=Text(np.zeros(1, np.int32), ("",)),
    )
    after = replace(rows, seq=rows.seq + 1, timestamp_ns=rows.timestamp_ns + interval_ns)
    held = HeldRows(Results.joined([first, after] if n else []))
    return measured_of([MeasuredShard(rows=held, interval_ns=interval_ns, warmup_requests=1, throttled_ratio=0.0)])


def _rows(*, timestamp_ns: Ints, seq: Ints, code: Ints, latency_ns: Ints, errors: Text) -> Results:
    n = len(seq)
    same = Text(np.zeros(n, np.int32), ("",))
    return Results(
        timestamp_ns=timestamp_ns,
        seq=seq,
        code=code,
        latency_ns=latency_ns,
        bytes_in=np.full(n, 15, np.int64),
        bytes_out=np.zeros(n, np.int64),
        attack=same,
        error=errors,
        method=same,
        url=same,
    )


@dataclass(frozen=True, kw_only=True)
class Wave:
    """How a realistic service behaves: lognormal, with a tail, a stall and errors."""

    seconds: int = 60
    rate_per_s: int = 60
    median_ms: float = 4
    tail_ms: float = 40
    stall_s: float = 0
    error_share: float = 0


def a_wavy_measurement(wave: Wave, *, seed: int = 7) -> Measured:
    """Measure rows of a service that behaves like this."""
    random = np.random.default_rng(seed)
    n = wave.seconds * wave.rate_per_s
    latency_ms = random.lognormal(np.log(wave.median_ms), 0.35, n)
    latency_ms += np.where(random.random(n) < 0.015, random.exponential(wave.tail_ms, n), 0)
    due_s = np.arange(n) / wave.rate_per_s
    into_stall_s = due_s - wave.seconds * 0.6
    lag_ms = random.exponential(0.1, n)
    if wave.stall_s:
        lag_ms += np.where((into_stall_s > 0) & (into_stall_s < wave.stall_s), (wave.stall_s - into_stall_s) * 1000, 0)
    failed = random.random(n) < wave.error_share * (np.sin(due_s / 5) > 0.5) * 3
    refused = failed & (random.random(n) < 0.2)
    code = np.where(refused, 0, np.where(failed, 503, 200))
    refusal = 'Get "http://api:5000/metadata": dial tcp 0.0.0.0:0->10.0.0.1:5000: connect: connection refused'
    errors = np.where(refused, refusal, np.where(failed, "503 Service Unavailable", ""))
    return a_measurement(
        latency_ms,
        interval_ms=1000 / wave.rate_per_s,
        lag_ms=lag_ms - lag_ms.min(),
        error=errors.tolist(),
        code=code,
    )


def a_target(
    name: str = "get-health",
    *,
    measured: Measured | None = None,
    objectives: Sequence[Judged] = (),
    errors: Sequence[str] = (),
    expected: int | None = None,
) -> TargetFigures:
    """Make a target's figures of what was measured; the named errors are put in place of its own."""
    measured = measured or a_measurement()
    figures = figures_of(measured, expected=expected or measured.requests)
    known = {key: getattr(figures, key) for key in Figures.model_fields}
    named = {"errors": tuple(an_error(example=error) for error in errors)} if errors else {}
    omission = why_they_differ(figures, max_workers=None)
    return TargetFigures(name=name, objectives=tuple(objectives), omission=omission, **{**known, **named})


def an_error(**changes: object) -> ErrorCount:
    """Count one error of no class in particular."""
    return ErrorCount.model_validate({"class": "other", "fault": "api", "count": 1, "example": "odd", **changes})


def a_rule(outcome: str = "ok", *told: str, **changes: object) -> Checked:
    """Make a rule of validity and what it came to: the sentences are its findings."""
    own: dict[str, object] = {
        "rule": "lag",
        "threshold": "lag.p99 <= 100ms",
        "default": "lag.p99 <= 100ms",
        "changed": False,
        "measured": 12_300_000,
        "outcome": outcome,
        "findings": [{"of": "get-health", "outcome": outcome, "text": text} for text in told],
    }
    return Checked.model_validate(own | changes)


def a_run(**changes: object) -> Run:
    """Make a run of a minute on one machine."""
    loadtest = {
        "targets": [
            {"name": "get-health", "method": "GET", "url": "/health"},
            {"name": "get-metadata", "method": "GET", "url": "/metadata"},
            {"name": "post-add_users", "method": "POST", "url": "/add_users/", "json": {"id": 4, "name": "user4"}},
        ],
        "rate": "60/s",
        "duration": "60s",
        "warmup": "5s",
        "shards": 1,
        "timeout": "30s",
        "order": "parallel",
        "objectives": ["p99 < 50ms", "success >= 99%"],
        "api_url": None,
    }
    environment = {
        "vegeta": "v12.13.0",
        "python": "3.11.2",
        "node": {"cpus": 2, "kernel": "6.18.44"},
        "image": None,
    }
    fields: dict[str, object] = {
        "id": "2026-02-16-150701-k3f9",
        "started": "2026-02-16T15:07:01Z",
        "ended": "2026-02-16T15:08:14Z",
        "engine": "local",
        "loadtest": loadtest,
        "environment": environment,
    }
    return Run.model_validate(fields | changes)


def a_verdict(result: str = "PASS", *reasons: str) -> Verdict:
    """Make a verdict."""
    return Verdict(result=VerdictResult(result), reasons=reasons)


def a_report(
    *targets: TargetFigures,
    verdict: Verdict | None = None,
    run: Run | None = None,
    overall_objectives: Sequence[Judged] = (),
    validity: Sequence[Checked] = (),
) -> Report:
    """Make a report; of no targets, it is on one."""
    targets = targets or (a_target(),)
    first = targets[0]
    return Report(
        run=run or a_run(),
        verdict=verdict or a_verdict(),
        validity=tuple(validity),
        targets=targets,
        overall=Figures(**{key: getattr(first, key) for key in Figures.model_fields}),
        overall_objectives=tuple(overall_objectives),
    )
