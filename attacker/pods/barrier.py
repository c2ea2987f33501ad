"""The start barrier: how shards that know nothing of each other agree on one instant, through files in the bucket.

Every shard writes `ready/SHARD` and looks what is there. Who sees all of them, or the deadline pass, writes `go`,
which can be created once only, and all obey it. Target by target, each wave has a barrier of its own, which opens when
the wave before it is over.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from attacker.duration import in_words
from attacker.exits import RunBrokenError
from attacker.plan_file import Plan

__all__ = [
    "STOPPED",
    "Absence",
    "Files",
    "Go",
    "Start",
    "Wave",
    "Why",
    "decide",
    "is_over",
    "obey",
    "poll_s",
    "say_done",
    "wait_at_barrier",
    "waves_of",
]

_LOOKS = 8
"""How often a shard looks for the decision between it and the start."""
_IDLE_POLL_S = 1.0
"""While another wave attacks: its attackers may share the node."""
_AFTERWARDS_NS = 90_000_000_000
"""What an attack may take beyond its requests: stragglers, recording, uploading."""
_CLOSING_NS = 5_000_000_000
"""After its deadline, a barrier whose shards are there is closed by one of them within this."""

Clock = Callable[[], int]
"""Nanoseconds since 1970."""
Wait = Callable[[float], bool]
"""Waits so many seconds; true as soon as there is no point in waiting any more."""


class Files(Protocol):
    """What the barrier needs of a bucket."""

    def read(self, path: str) -> bytes | None:
        """Give a file's content, None where there is none."""

    def names(self, prefix: str) -> tuple[str, ...]:
        """List files."""

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there."""

    def write(self, path: str, data: bytes) -> object:
        """Write a file."""

    def delete(self, path: str) -> None:
        """Remove a file."""


class Why(IntEnum):
    """Why a shard does not attack, as its process's exit code."""

    LATE = 75
    INCOMPLETE = 76
    STOPPED = 130


@dataclass(frozen=True, slots=True)
class Start:
    """The shard attacks, at this instant since 1970."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Absence:
    """The shard does not attack."""

    why: Why
    reason: str


STOPPED = Absence(Why.STOPPED, "it was told to stop before the attack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """The one decision of a barrier: the file `go`."""

    t0_ns: int
    """The common instant, since 1970."""
    ready: tuple[str, ...]
    complete: bool
    """All shards were ready. Where they were not, nobody attacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """The shards that start at one instant, and where they meet."""

    folder: str
    shards: tuple[str, ...]
    closes_ns: int
    """When the barrier is closed at the latest, since 1970."""
    lasts_ns: int
    """The longest that the wave may take from its common instant to its last upload."""


_GO = TypeAdapter(Go)


def waves_of(plan: Plan) -> tuple[Wave, ...]:
    """Say when and where each wave of a plan meets; all that read the plan come to the same."""
    waves: list[Wave] = []
    closes_ns = plan.deadline_ns
    for index, shards in enumerate(plan.waves):
        longest = max(shard.delay_ns + shard.duration.ns + shard.timeout.ns for shard in shards)
        folder = f"runs/{plan.run}/barrier" + (f"/{index}" if plan.sequential else "")
        names = tuple(shard.name for shard in shards)
        waves.append(Wave(folder=folder, shards=names, closes_ns=closes_ns, lasts_ns=longest + _AFTERWARDS_NS))
        closes_ns += plan.margin.ns + waves[-1].lasts_ns + _CLOSING_NS
    return tuple(waves)


def decide(wave: Wave, ready: Collection[str], *, now_ns: int, margin_ns: int) -> Go | None:
    """Close the barrier, if all are ready or it is time; None says to wait."""
    present = tuple(sorted(set(ready) & set(wave.shards)))
    complete = len(present) == len(wave.shards)
    return (
        Go(t0_ns=now_ns + margin_ns, ready=present, complete=complete) if complete or now_ns >= wave.closes_ns else None
    )


def obey(go: Go, wave: Wave, shard: str, *, now_ns: int) -> Start | Absence:
    """Say what the decision means for one shard that hears of it now."""
    if shard not in go.ready:
        return Absence(Why.LATE, "it was late: the barrier was closed before it was ready")
    if not go.complete:
        missing = ", ".join(sorted(set(wave.shards) - set(go.ready)))
        return Absence(Why.INCOMPLETE, f"nobody attacked, because these were not ready in time: {missing}")
    if now_ns > go.t0_ns:
        return Absence(Why.LATE, f"it was late: it heard of the start {in_words(now_ns - go.t0_ns)} after it")
    return Start(go.t0_ns)


def is_over(wave: Wave, go: Go | None, done: Collection[str], *, now_ns: int) -> bool:
    """Tell whether a wave has come to its end, be it that it never began; for ever is no answer."""
    if go is None:
        return now_ns >= wave.closes_ns + _CLOSING_NS
    return not go.complete or set(go.ready) <= set(done) or now_ns >= go.t0_ns + wave.lasts_ns


def wait_at_barrier(plan: Plan, shard: str, files: Files, *, now_ns: Clock, wait: Wait) -> Start | Absence:
    """Say that a shard is ready, and wait until it is decided what becomes of it.

    Raises:
        RunBrokenError: the files cannot be read or written.
    """
    waves = waves_of(plan)
    index = next(index for index, wave in enumerate(waves) if shard in wave.shards)
    if wait(0) or (index and not _sit_out(waves[index - 1], files, now_ns=now_ns, wait=wait)):
        return STOPPED
    wave = waves[index]
    ready, written = f"{wave.folder}/ready/{shard}", f"{wave.folder}/go"
    files.write(ready, b"")
    while True:
        names = files.names(f"{wave.folder}/")
        if written in names:
            break
        go = decide(wave, _named(names, f"{wave.folder}/ready/"), now_ns=now_ns(), margin_ns=plan.margin.ns)
        if go is not None and files.create(written, _GO.dump_json(go)):
            break
        if wait(poll_s(plan)):
            files.delete(ready)
            return STOPPED
    return obey(_read_go(files, wave), wave, shard, now_ns=now_ns())


def poll_s(plan: Plan) -> float:
    """Say how long a shard of a plan waits between two looks, in seconds."""
    return plan.margin.s / _LOOKS


def say_done(plan: Plan, shard: str, files: Files) -> None:
    """Say that a shard has nothing more to do, whether it attacked or not: the next wave waits for that."""
    if plan.sequential:
        wave = next(wave for wave in waves_of(plan) if shard in wave.shards)
        files.write(f"{wave.folder}/done/{shard}", b"")


def _sit_out(wave: Wave, files: Files, *, now_ns: Clock, wait: Wait) -> bool:
    """Wait until an earlier wave is over; false where there is no point in waiting any more."""
    go = None
    while True:
        names = files.names(f"{wave.folder}/")
        if go is None and f"{wave.folder}/go" in names:
            go = _read_go(files, wave)
        if is_over(wave, go, _named(names, f"{wave.folder}/done/"), now_ns=now_ns()):
            return True
        if wait(_IDLE_POLL_S):
            return False


def _named(names: Collection[str], folder: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(folder) for name in names if name.startswith(folder))


def _read_go(files: Files, wave: Wave) -> Go:
    path = f"{wave.folder}/go"
    data = files.read(path)
    try:
        return _GO.validate_json(data or b"")
    except ValidationError as error:
        raise RunBrokenError(f"{path} is {data!r}, which says no start: give every run an id of its own") from error
