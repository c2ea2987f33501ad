"""The figures of a report, as `report.json` holds them: durations in whole nanoseconds, shares from 0 to 1."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from attacker.evidence import LagFigures
from attacker.measuring.errors import ErrorClass, Fault

__all__ = [
    "AttackFigures",
    "Checked",
    "ErrorCount",
    "Figures",
    "Finding",
    "Judged",
    "LatencyFigures",
    "Outcome",
    "Report",
    "Run",
    "TargetFigures",
    "Verdict",
    "VerdictResult",
    "written_moment",
]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class LatencyFigures(_Value):
    """A latency's exact order statistics by nearest rank, and its mean cut to whole nanoseconds."""

    min: int
    mean: int
    p50: int
    p90: int
    p95: int
    p99: int
    p99_9: int = Field(alias="p99.9")
    p99_99: int = Field(alias="p99.99")
    max: int


class ErrorCount(_Value):
    """How many requests failed in one way."""

    class_: ErrorClass = Field(alias="class")
    fault: Fault
    """On whose side it is."""
    count: int
    example: str
    """The most frequent text of the class."""


class Judged(_Value):
    """An objective and what was measured of it; `met` is None where there was nothing to measure."""

    objective: str
    measured: float | None
    met: bool | None


class AttackFigures(_Value):
    """How well the attacker kept to its plan; None where the rows do not tell."""

    shards: int
    sent: int
    sent_ratio: float | None
    start_skew_ns: int | None
    lag_ns: LagFigures | None
    seq_gaps: int
    duplicates: int
    throttled_ratio: float | None
    max_in_flight: int


class Figures(_Value):
    """What was measured of one target, or of all."""

    requests: int
    expected: int | None
    rate_per_s: float | None
    """(n - 1) / (last - first)."""
    throughput_per_s: float | None
    """Successes over the time from the first request to the last answer."""
    success: float | None
    bytes_in: int | None
    """Of the answers' bodies, decompressed; None where some were not kept whole, for nobody counted those."""
    bytes_out: int
    latency_ns: LatencyFigures | None
    """As vegeta measured it: from the moment that the request was really sent."""
    corrected_latency_ns: LatencyFigures | None
    """From the moment that the request was due."""
    status_codes: Mapping[str, int]
    errors: tuple[ErrorCount, ...]
    attack: AttackFigures


class TargetFigures(Figures):
    """One element of `report.json`'s `targets`."""

    name: str
    omission: str | None = None
    """Why corrected latency is longer than vegeta's, in a sentence; None where it is not materially so."""
    objectives: tuple[Judged, ...] = ()


class VerdictResult(StrEnum):
    """PASS, FAIL (an objective was missed) or INVALID (the measurement cannot be trusted)."""

    PASS = "PASS"  # noqa: S105  (no password)
    FAIL = "FAIL"
    INVALID = "INVALID"


class Verdict(_Value):
    """What the run comes to, and why."""

    result: VerdictResult
    reasons: tuple[str, ...]


class Outcome(StrEnum):
    """What a rule of validity comes to."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, and no doubt."""
    UNKNOWN = "unknown"
    """There is no evidence to tell by."""
    INVALID = "invalid"


class Finding(_Value):
    """What is to be said of a target, a shard or the run, by one rule."""

    of: str
    outcome: Outcome
    text: str
    """A sentence."""


class Checked(_Value):
    """A rule of validity, and what it comes to in this run."""

    rule: str
    threshold: str
    """What was to hold."""
    default: str
    """What is to hold unless the load test says otherwise."""
    changed: bool
    measured: float | None
    """The worst of all targets, in the figure's own unit; without a figure, how many break the rule."""
    outcome: Outcome
    findings: tuple[Finding, ...]
    """All that is not plainly well."""


def written_moment(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC, to the second and as Kubernetes does: `2026-02-16T15:07:01Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Run(_Value):
    """Which run was measured, where and how."""

    id: str
    started: str
    """As `written_moment` writes it."""
    ended: str
    engine: str
    loadtest: Mapping[str, JsonValue]
    environment: Mapping[str, JsonValue]


class Report(_Value):
    """`report.json`, whole."""

    schema_: int = Field(default=1, alias="schema")
    run: Run
    verdict: Verdict
    validity: tuple[Checked, ...] = ()
    """Every rule of validity, in the order of the table of rules."""
    targets: tuple[TargetFigures, ...]
    overall: Figures
    overall_objectives: tuple[Judged, ...] = ()
