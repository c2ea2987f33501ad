"""What is looked for in all rows at once: counts in wide bins first, then what lies in chosen places of them.

What two looks at different rows found can be joined, in any order and any grouping, to what one look at all of them
finds; so rows may be shared out over threads, processes and pods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from attacker.measuring import loops
from attacker.measuring.buckets import MOST_BUCKETS, Buckets
from attacker.measuring.in_flight import Cells, Moments, chosen_moments
from attacker.measuring.outline import Place, success_table
from attacker.measuring.ranks import Found, Slots, SlotTable
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.results.columns import Ints
from attacker.results.rows import Piece

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
    left_out: tuple[Place, ...] = ()
    """Shards whose rows cannot be read."""


@dataclass(frozen=True, slots=True)
class ShardPiece:
    """A piece of a shard, and where the shard is."""

    sample: Sample
    shard: MeasuredShard
    target: int
    number: int
    """The shard's among its target's."""
    piece: int


@dataclass(frozen=True, kw_only=True)
class _Values:
    """A piece's rows that are not of the warm-up, a value a row; what is not asked for is not computed."""

    starts_ns: Ints
    seq: Ints
    latency_ns: Ints
    code: Ints
    buckets: Buckets
    origin_ns: int | None
    interval_ns: int | None

    @property
    def ends_ns(self) -> Ints:
        """When each was answered."""
        return self.starts_ns + self.latency_ns

    @cached_property
    def due_ns(self) -> Ints:
        """When each was due; when it was sent, where no schedule is known."""
        if self.interval_ns is None or self.origin_ns is None:
            return self.starts_ns
        return self.origin_ns + self.seq * self.interval_ns

    @cached_property
    def kinds(self) -> tuple[Ints, ...]:
        """Latency; with a schedule also corrected latency and lag."""
        if self.due_ns is self.starts_ns:
            return (self.latency_ns,)
        lag_ns = self.starts_ns - self.due_ns
        return self.latency_ns, self.latency_ns + lag_ns, lag_ns

    @property
    def in_buckets(self) -> Ints:
        """The latency that is drawn over time: corrected where that is known."""
        return self.kinds[1 if len(self.kinds) > 1 else 0]

    @property
    def bucket(self) -> Ints:
        """The bucket that each is in."""
        bucket = (self.due_ns - self.buckets.first_ns) // self.buckets.width_ns
        return np.clip(bucket, 0, self.buckets.number - 1)


def _values_of(work: ShardPiece, scale: Scale) -> _Values | None:
    """Read a piece; None where all of its target's rows are of the warm-up."""
    buckets, origin_ns = scale.buckets[work.target], scale.origins_ns[work.target][work.number]
    if buckets is None:
        return None
    piece = work.shard.rows.piece(work.piece, _COLUMNS)
    starts_ns, seq, latency_ns, code = _counted(piece, work.shard.warmup_requests)
    return _Values(
        starts_ns=starts_ns,
        seq=seq,
        latency_ns=latency_ns,
        code=code,
        buckets=buckets,
        origin_ns=origin_ns,
        interval_ns=work.shard.interval_ns if work.sample.is_scheduled else None,
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
            (~success_table(work.sample.is_success)[values.code]).astype(np.int64),
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
        scale, targets = question.scale, question.targets
        self._question = question
        self._slots = SlotTable(question.slots, series=KINDS * (targets + 1), bits=scale.bits)
        self._bucket_slots = SlotTable(question.bucket_slots, series=MOST_BUCKETS * targets, bits=scale.bucket_bits)
        self._asked = frozenset(question.slots.series.tolist())
        self._chosen = tuple(_marked(cells, scale.cells.number) for cells in question.chosen)

    def take(self, closer: Closer, work: ShardPiece) -> None:
        """Look at a piece."""
        values = _values_of(work, self._question.scale)
        if values is None:
            return
        if len(self._question.slots):
            self._take_values(closer.found, work.target, values)
        if len(self._question.bucket_slots):
            self._bucket_slots.look(values.in_buckets, MOST_BUCKETS * work.target + values.bucket, closer.bucket_found)
        self._take_moments(closer.moments, work.target, values)

    def _take_values(self, found: Found, target: int, values: _Values) -> None:
        """Look at each kind of value for the target's own ranks, and for those of all together."""
        for kind, of_kind in enumerate(values.kinds):
            for series in {KINDS * target + kind, KINDS * self._question.targets + kind} & self._asked:
                self._slots.look(of_kind, np.broadcast_to(np.int64(series), len(of_kind)), found)

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
