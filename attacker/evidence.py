"""The evidence of an attack, `shard.json`: what ran, when, how it ended, and what is in the results beside it."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Clock", "Evidence", "LagFigures", "sha256_of"]


class Clock(BaseModel):
    """How far a clock was from the storage server's, as far as one answer can tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    offset_ns: int
    """The server's time less this one's."""
    uncertainty_ns: int
    """The offset is no farther from the true one than this: half of the time that the answer took, and rounding."""


class LagFigures(BaseModel):
    """How late requests were sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50: int
    p99: int
    max: int


class Evidence(BaseModel):
    """What is known of one shard's attack beside its rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    schema_: int = Field(default=1, alias="schema")
    run: str
    """The run's id: results of another run do not count."""
    shard: str
    target: str
    method: str
    url: str
    command: tuple[str, ...]
    vegeta_version: str
    rate: str
    """The shard's own, in vegeta's notation."""
    interval_ns: int
    delay_ns: int
    """Its planned start after the common instant."""
    warmup_requests: int
    """The first of its requests by seq; they are in the results and in no figure."""
    requests: int
    """What it was to send after them."""
    expected_status: tuple[int, ...]
    start_at_ns: int
    """The common instant."""
    started_ns: int
    """When vegeta's process was started."""
    ended_ns: int
    exit_code: int | None
    """vegeta's; None where it had to be killed."""
    interrupted: bool
    """The attack was told to stop before its end."""
    log: str
    """The last that vegeta wrote to its standard error."""
    records: int
    trailing_bytes: int
    """Bytes of a last record that was cut off."""
    damage: str | None
    """What is wrong with vegeta's file, where it could not be read to its end."""
    lag_ns: LagFigures | None
    seq_gaps: int
    max_in_flight: int
    """The most requests that were under way at one moment, those of the warm-up, too."""
    max_workers: int | None
    """The most that could be; None where there was no limit."""
    cut_bodies: int
    """Answers that filled what was kept of each (`max_body`): how long they were is not known."""
    throttled_ratio: float | None
    """Share of the scheduler's periods in which the attacker's cgroup had to wait for its CPU quota."""
    oom_kills: int | None
    """How many processes of the attacker's cgroup the kernel killed for want of memory, from start to end."""
    busy_ratio: float | None
    """The share of its CPU that vegeta used; None where it was not started."""
    clock: Clock | None
    """None where there was no server's clock to compare with."""
    node: str
    image_digest: str | None
    results_sha256: str


def sha256_of(file: Path) -> str:
    """Compute a file's checksum in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
