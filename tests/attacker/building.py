"""Builders of test values: a healthy shard of one target, unless told otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attacker.duration import Duration
from attacker.evidence import Evidence
from attacker.measuring.measure import measure
from attacker.measuring.measured import Measured
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample, is_answered
from attacker.plan import Load, Shard
from attacker.rate import Rate
from attacker.results.columns import Results, Text
from attacker.results.rows import HeldRows
from attacker.targets import Target

__all__ = [
    "MS",
    "START_NS",
    "a_load",
    "a_measured_shard",
    "a_shard",
    "a_target",
    "an_evidence",
    "measured_of",
    "measured_together",
    "rows",
]

MS = 1_000_000
START_NS = 1_771_254_421 * 1_000_000_000
"""The common instant."""


def a_target(**changes: object) -> Target:
    """GET /health of an API at a name that is never asked for."""
    return Target.model_validate({"name": "get-health", "url": "http://api:5000/health", **changes})


def a_load(**changes: Any) -> Load:
    """10/s for 10 s by one shard, without warm-up."""
    load = Load(
        rate=Rate(10, 1_000_000_000),
        warmup=Duration(0),
        duration=Duration.of_seconds(10),
        shards=1,
        timeout=Duration.of_seconds(5),
    )
    return replace(load, **changes)


def a_shard(**changes: Any) -> Shard:
    """100 requests at 10/s."""
    shard = Shard(
        name="get-health",
        target=a_target(),
        rate=Rate(10, 1_000_000_000),
        warmup_requests=0,
        requests=100,
        delay_ns=0,
        timeout=Duration.of_seconds(5),
    )
    return replace(shard, **changes)


def rows(
    latency_ns: Sequence[int],
    *,
    timestamp_ns: Sequence[int] | None = None,
    seq: Sequence[int] | None = None,
    code: Sequence[int] | int = 200,
    error: Sequence[str] | str = "",
) -> Results:
    """Make rows in the order of seq, sent 100 ms from one to the next, each with 15 bytes in and 2 out."""
    n = len(latency_ns)
    places = np.array(range(n) if seq is None else seq, np.int64)
    same = Text(np.zeros(n, np.int32), ("get-health",))
    errors = [error] * n if isinstance(error, str) else list(error)
    values = tuple(dict.fromkeys(errors))
    return Results(
        timestamp_ns=START_NS + 100 * MS * places if timestamp_ns is None else np.array(timestamp_ns, np.int64),
        seq=places,
        code=np.full(n, code, np.int64) if isinstance(code, int) else np.array(code, np.int64),
        latency_ns=np.array(latency_ns, np.int64),
        bytes_in=np.full(n, 15, np.int64),
        bytes_out=np.full(n, 2, np.int64),
        attack=same,
        error=Text(np.array([values.index(one) for one in errors], np.int32), values),
        method=same,
        url=same,
    )


def a_measured_shard(results: Results, **changes: Any) -> MeasuredShard:
    """Rows whose schedule is known: one request in 100 ms."""
    return MeasuredShard(rows=HeldRows(results), **{"interval_ns": 100 * MS, **changes})


def measured_of(shards: Sequence[MeasuredShard], *, is_success: Callable[[int], bool] = is_answered) -> Measured:
    """Measure one target."""
    samples = [Sample(shards=tuple(shards), is_success=is_success)]
    return measure(samples, Here(samples))[0][0]


def measured_together(*samples: Sample, simultaneous: bool = True) -> Measured:
    """Measure several targets; returns what all together come to."""
    return measure(samples, Here(samples), simultaneous=simultaneous)[1]


def an_evidence(**changes: object) -> Evidence:
    """What is known of `a_shard` when all went well."""
    known: dict[str, object] = {
        "run": "the-run",
        "shard": "get-health",
        "target": "get-health",
        "method": "GET",
        "url": "http://api:5000/health",
        "command": ("vegeta", "attack"),
        "vegeta_version": "12.13.0",
        "rate": "10/s",
        "interval_ns": 100 * MS,
        "delay_ns": 0,
        "warmup_requests": 0,
        "requests": 100,
        "expected_status": (),
        "start_at_ns": START_NS,
        "started_ns": START_NS,
        "ended_ns": START_NS + 10_000 * MS,
        "exit_code": 0,
        "interrupted": False,
        "log": "",
        "records": 100,
        "trailing_bytes": 0,
        "damage": None,
        "lag_ns": {"p50": 0, "p99": MS, "max": MS},
        "seq_gaps": 0,
        "max_in_flight": 1,
        "max_workers": None,
        "cut_bodies": 0,
        "throttled_ratio": 0.0,
        "oom_kills": 0,
        "busy_ratio": 0.1,
        "clock": None,
        "node": "node-1",
        "image_digest": None,
        "results_sha256": "5" * 64,
    }
    return Evidence.model_validate({**known, **changes})
