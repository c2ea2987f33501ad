"""What is looked for in all rows at once: counts in wide bins first, then what lies in chosen places of them.

What two looks at different rows found can be joined, in any order and any grouping, to what one look at all of them
finds; so rows may be shared out over threads, processes and pods.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attacker.measuring import loops
from attacker.measuring.buckets import MOST_BUCKETS, Buckets
from attacker.measuring.in_flight import Cells, Moments, chosen_moments
from attacker.measuring.outline import success_table
from attacker.measuring.ranks import Found, Slots, slot_table
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.results import Ints
from attacker.rows import Piece

__all__ = ["KINDS", "Closer", "Lookup", "Question", "Scale", "ShardPiece", "Spread"]

KINDS = 3
"""A target has three series of values: latency, corrected latency, lag."""
_COLUMNS = ("timestamp_ns", "seq", "latency_ns", "code")
_NOTHING_YET = (np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What all rows are measured by, known once every shard was outlined."""

    origins_ns: tuple[tuple[int | None, ...], ...]
    """When each shard's seq 0 was due, by target."""
    buckets: tuple[Buckets | None, ...]
    """Of each target; None where it has no rows."""
    cells: Cells
    bits: int
    """Of the bins of all values of a target."""
    bucket_bits: int
    """Of the bins of the values of a bucket."""
    left_out: tuple[tuple[int, int], ...] = ()
    """Shards whose rows cannot be read: the number of the target, and the shard's among its."""


@dataclass(frozen=True, slots=True)
class ShardPiece:
    """A piece of a shard, and where the shard is."""

    sample: Sample
    shard: MeasuredShard
    target: int
    number: int
    """The shard's among its target's."""
    piece: int


@dataclass(frozen=True, slots=True)
class _Values:
    """A piece's rows that are not of the warm-up, a value a row."""

    starts_ns: Ints
    ends_ns: Ints
    kinds: tuple[Ints, ...]
    """Latency; with a schedule also corrected latency and lag."""
    bucket: Ints
    failed: Ints

    @property
    def in_buckets(self) -> Ints:
        """The latency that is drawn over time: corrected where that is known."""
        return self.kinds[1 if len(self.kinds) > 1 else 0]


def _values_of(work: ShardPiece, scale: Scale) -> _Values | None:
    """Read a piece; None where all of its target's rows are of the warm-up."""
    buckets, origin_ns = scale.buckets[work.target], scale.origins_ns[work.target][work.number]
    if buckets is None:
        return None
    piece = work.shard.rows.piece(work.piece, _COLUMNS)
    timestamp_ns, seq, latency_ns, code = _counted(piece, work.shard.warmup_requests)
    if work.sample.is_scheduled and work.shard.interval_ns is not None and origin_ns is not None:
        due_ns = origin_ns + seq * work.shard.interval_ns
        lag_ns = timestamp_ns - due_ns
        kinds: tuple[Ints, ...] = (latency_ns, latency_ns + lag_ns, lag_ns)
    else:
        due_ns, kinds = timestamp_ns, (latency_ns,)
    bucket = (due_ns - buckets.first_ns) // buckets.width_ns
    return _Values(
        starts_ns=timestamp_ns,
        ends_ns=timestamp_ns + latency_ns,
        kinds=kinds,
        bucket=np.clip(bucket, 0, buckets.number - 1),
        failed=(~success_table(work.sample.is_success)[code]).astype(np.int64),
    )


def _counted(piece: Piece, warmup_requests: int) -> Sequence[Ints]:
    columns = [piece[name] for name in _COLUMNS]
    if not warmup_requests:
        return columns
    counted = columns[1] >= warmup_requests
    return [column[counted] for column in columns]


@dataclass(slots=True, kw_only=True)
class Spread:
    """How values and moments are spread over wide bins and cells."""

    counts: Ints
    facts: Ints
    """Of each series: smallest, largest, sum of the upper 32 bits, sum of the lower ones."""
    bucket_counts: Ints
    bucket_facts: Ints
    """Of each bucket: smallest, largest, failed requests."""
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    ended_before: Ints

    @classmethod
    def nothing(cls, scale: Scale) -> "Spread":
        """Begin to count."""
        targets = len(scale.buckets)
        return cls(
            counts=np.zeros((KINDS * targets, loops.bins(scale.bits)), np.int64),
            facts=np.tile(np.array(_NOTHING_YET, np.int64), (KINDS * targets, 1)),
            bucket_counts=np.zeros((MOST_BUCKETS * targets, loops.bins(scale.bucket_bits)), np.int64),
            bucket_facts=np.tile(np.array(_NOTHING_YET[:3], np.int64), (MOST_BUCKETS * targets, 1)),
            starts=np.zeros((targets, scale.cells.number), np.int32),
            ends=np.zeros((targets, scale.cells.number), np.int32),
            ended_before=np.zeros(targets, np.int64),
        )

    def take(self, scale: Scale, work: ShardPiece) -> None:
        """Count a piece."""
        values = _values_of(work, scale)
        if values is None:
            return
        for kind, of_kind in enumerate(values.kinds):
            series = KINDS * work.target + kind
            loops.tally(of_kind, scale.bits, self.counts[series], self.facts[series])
        of_target = slice(MOST_BUCKETS * work.target, MOST_BUCKETS * (work.target + 1))
        loops.tally_by_bucket(
            values.in_buckets,
            values.bucket,
            values.failed,
            scale.bucket_bits,
            self.bucket_counts[of_target],
            self.bucket_facts[of_target],
        )
        cells = scale.cells
        loops.count_cells(values.starts_ns, cells.origin_ns, cells.shift, self.starts[work.target])
        self.ended_before[work.target] += loops.count_cells(
            values.ends_ns, cells.origin_ns, cells.shift, self.ends[work.target]
        )

    def join(self, other: "Spread") -> None:
        """Add the counts of other rows."""
        self.counts += other.counts
        self.bucket_counts += other.bucket_counts
        self.starts += other.starts
        self.ends += other.ends
        self.ended_before += other.ended_before
        for mine, others in ((self.facts, other.facts), (self.bucket_facts, other.bucket_facts)):
            mine[:, 0] = np.minimum(mine[:, 0], others[:, 0])
            mine[:, 1] = np.maximum(mine[:, 1], others[:, 1])
            mine[:, 2:] += others[:, 2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where to look closer."""

    scale: Scale
    slots: Slots
    """Of each target's three series; after them, where there are several targets, those of all together."""
    bucket_slots: Slots
    chosen: tuple[Ints, ...]
    """The cells to look into: of each target, and of all together where there are several."""

    @property
    def targets(self) -> int:
        """How many targets there are."""
        return len(self.scale.buckets)


@dataclass(slots=True)
class Closer:
    """What lies where a question asks."""

    found: Found
    bucket_found: Found
    moments: tuple[Moments, ...]

    @classmethod
    def nothing(cls, question: Question) -> "Closer":
        """Begin to look."""
        moments = tuple(Moments() for _ in question.chosen)
        return cls(Found.nothing(question.slots), Found.nothing(question.bucket_slots), moments)

    def join(self, other: "Closer") -> None:
        """Add what was found in other rows."""
        self.found.join(other.found)
        self.bucket_found.join(other.bucket_found)
        for mine, others in zip(self.moments, other.moments, strict=True):
            mine.join(others)


class Lookup:
    """A question in the form that it is looked up by."""

    def __init__(self, question: Question) -> None:
        scale = question.scale
        series = KINDS * (question.targets + 1)
        self._question = question
        self._first, self._slots = slot_table(question.slots, series, loops.bins(scale.bits))
        self._bucket_first, self._bucket_slots = slot_table(
            question.bucket_slots, MOST_BUCKETS * question.targets, loops.bins(scale.bucket_bits)
        )
        self._asked = frozenset(question.slots.series.tolist())
        self._chosen = tuple(_marked(cells, scale.cells.number) for cells in question.chosen)

    def take(self, closer: Closer, work: ShardPiece) -> None:
        """Look at a piece."""
        values = _values_of(work, self._question.scale)
        if values is None:
            return
        out = np.empty((2, max(1, len(values.starts_ns))), np.int64)
        self._take_values(closer.found, work.target, values, out)
        if len(self._question.bucket_slots):
            self._take_buckets(closer.bucket_found, work.target, values, out)
        self._take_moments(closer.moments, work.target, values)

    def _take_values(self, found: Found, target: int, values: _Values, out: Ints) -> None:
        """Look at each kind of value for the target's own ranks, and for those of all together."""
        question, bits = self._question, self._question.scale.bits
        for kind, of_kind in enumerate(values.kinds):
            for series in {KINDS * target + kind, KINDS * question.targets + kind} & self._asked:
                kept = loops.gather(of_kind, bits, self._first[series], self._slots, found.counts, out)
                _keep(found, out, kept)

    def _take_buckets(self, found: Found, target: int, values: _Values, out: Ints) -> None:
        first = self._bucket_first[MOST_BUCKETS * target : MOST_BUCKETS * (target + 1)]
        bits, slots = self._question.scale.bucket_bits, self._bucket_slots
        kept = loops.gather_by_bucket(values.in_buckets, values.bucket, bits, first, slots, found.counts, out)
        _keep(found, out, kept)

    def _take_moments(self, moments: tuple[Moments, ...], target: int, values: _Values) -> None:
        cells = self._question.scale.cells
        for series in {target, self._question.targets}:
            marks = self._chosen[series] if series < len(self._chosen) else None
            if marks is not None:
                moments[series].starts_ns.append(chosen_moments(values.starts_ns, cells, marks))
                moments[series].ends_ns.append(chosen_moments(values.ends_ns, cells, marks))


def _marked(cells: Ints, number: int) -> npt.NDArray[np.bool_] | None:
    if not len(cells):
        return None
    marks = np.zeros(number, np.bool_)
    marks[cells] = True
    return marks


def _keep(found: Found, out: Ints, kept: int) -> None:
    if kept:
        found.kept.append(out[:, :kept].copy())
