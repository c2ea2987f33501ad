"""The first look at a shard: all that can be added up row by row, and what later looks must know before they begin."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from attacker.measuring.errors import Failure, failure_of
from attacker.measuring.loops import mark_places
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.results.columns import Ints, Text
from attacker.results.rows import Piece

__all__ = ["Outline", "Outlines", "Place", "Places", "Span", "outline_of", "success_table"]

_CODES = 1 << 16
"""vegeta keeps a status code in 16 bits."""
_MOST_MAPPED_PLACES = 1 << 30


@dataclass(slots=True, kw_only=True)
class Span:
    """The first and last of some moments or places; nothing where there are none."""

    first: int | None = None
    last: int | None = None

    def take(self, values: Ints) -> None:
        """Make it hold these values too."""
        if len(values):
            self.join(Span(first=int(values.min()), last=int(values.max())))

    def join(self, other: "Span") -> None:
        """Make it hold another span too."""
        firsts = [one for one in (self.first, other.first) if one is not None]
        lasts = [one for one in (self.last, other.last) if one is not None]
        self.first, self.last = min(firsts, default=None), max(lasts, default=None)


@dataclass(slots=True, kw_only=True)
class Outline:
    """What one shard's rows come to."""

    rows: int = 0
    """All, those of the warm-up included."""
    counted: int = 0
    """Those that are not of the warm-up; what follows is of these, unless it says otherwise."""
    sent_ns: Span = field(default_factory=Span)
    ended_ns: Span = field(default_factory=Span)
    seq: Span = field(default_factory=Span)
    origin_ns: int | None = None
    """When seq 0 was due, by the row of all that was sent most nearly on time; None where that is not known."""
    moments_ns: Span = field(default_factory=Span)
    """When all rows were sent, those of the warm-up included."""
    pieces_ns: list[Span] = field(default_factory=list)
    """The same of each piece."""
    seq_gaps: int = 0
    """Requests that were sent, as later ones show, but of which no row is left; of all rows."""
    repeats: int = 0
    """Rows whose place in the schedule another row has as well; of all rows."""
    bytes_in: int = 0
    bytes_out: int = 0
    codes: dict[int, int] = field(default_factory=dict)
    failures: dict[Failure, int] = field(default_factory=dict)
    """Requests that did not succeed."""
    trouble: str | None = None
    """Why the shard's rows cannot be read, where they cannot; then none of them counts."""


Place = tuple[int, int]
"""A shard: the number of its target, and its own among that target's."""
Outlines = Mapping[Place, Outline]
"""What is known of each shard."""


def success_table(is_success: Callable[[int], bool]) -> npt.NDArray[np.bool_]:
    """Tell for each status code whether it is a success; one above 999 is taken for 999."""
    table = np.fromiter((is_success(min(code, 999)) for code in range(1000)), np.bool_, 1000)
    return np.concatenate([table, np.full(_CODES - 1000, table[999])])


def outline_of(shard: MeasuredShard, sample: Sample, *, also: Callable[[Piece], object] | None = None) -> Outline:
    """Read a shard for the first time; `also` is shown each piece.

    Raises:
        RunBrokenError: its rows cannot be read.
    """
    outline, places, succeeds = Outline(), Places(), success_table(sample.is_success)
    for piece in shard.rows.first():
        _take(outline, piece, shard, succeeds)
        places.mark(piece["seq"])
        if also:
            also(piece)
    outline.seq_gaps, outline.repeats = places.gaps, outline.rows - places.taken
    return outline


def _take(outline: Outline, piece: Piece, shard: MeasuredShard, succeeds: npt.NDArray[np.bool_]) -> None:
    outline.rows += len(piece["seq"])
    outline.pieces_ns.append(_span_of(piece["timestamp_ns"]))
    outline.moments_ns.join(outline.pieces_ns[-1])
    if shard.interval_ns is not None and len(piece["seq"]):
        shift_ns = int((piece["timestamp_ns"] - piece["seq"] * shard.interval_ns).min())
        outline.origin_ns = shift_ns if outline.origin_ns is None else min(outline.origin_ns, shift_ns)
    is_counted = piece["seq"] >= shard.warmup_requests
    counted = is_counted if shard.warmup_requests else slice(None)  # which copies nothing
    timestamp_ns, seq, code = piece["timestamp_ns"][counted], piece["seq"][counted], piece["code"][counted]
    outline.counted += len(seq)
    outline.sent_ns.take(timestamp_ns)
    outline.ended_ns.take(timestamp_ns + piece["latency_ns"][counted])
    outline.seq.take(seq)
    outline.bytes_in += int(piece["bytes_in"][counted].sum())
    outline.bytes_out += int(piece["bytes_out"][counted].sum())
    for status, times in _counted(code):
        outline.codes[status] = outline.codes.get(status, 0) + times
    failed = ~succeeds[piece["code"]] & is_counted
    if piece.errors and failed.any():
        for failure, times in _failures(piece.errors(failed), piece["code"][failed]):
            outline.failures[failure] = outline.failures.get(failure, 0) + times


def _span_of(moments_ns: Ints) -> Span:
    span = Span()
    span.take(moments_ns)
    return span


def _counted(code: Ints) -> Iterator[tuple[int, int]]:
    counts = np.bincount(code, minlength=1)
    return ((int(status), int(counts[status])) for status in np.flatnonzero(counts))


def _failures(errors: Text, code: Ints) -> Iterator[tuple[Failure, int]]:
    keys, times = np.unique(errors.codes.astype(np.int64) * _CODES + code, return_counts=True)
    for key, count in zip(keys.tolist(), times.tolist(), strict=True):
        yield failure_of(errors.values[key // _CODES], key % _CODES), count


class Places:
    """Which places of a schedule are taken: a bitmap, and beside it what only a damaged file holds."""

    def __init__(self) -> None:
        self._seen = np.zeros(0, np.uint8)
        self._far = np.empty(0, np.int64)
        self._near = 0
        self._last = -1

    def mark(self, seq: Ints) -> None:
        """Mark places; most often they are near those before."""
        if not len(seq):
            return
        last, first = int(seq.max()), int(seq.min())
        self._last = max(self._last, last)
        if first < 0 or last >= _MOST_MAPPED_PLACES:
            is_near = (seq >= 0) & (seq < _MOST_MAPPED_PLACES)
            self._far = np.union1d(self._far, seq[~is_near])
            seq = seq[is_near]
            last = int(seq.max(initial=0))
        if last >> 3 >= len(self._seen):
            grown = np.zeros(max(2 * len(self._seen), (last >> 3) + 1), np.uint8)
            grown[: len(self._seen)] = self._seen
            self._seen = grown
        self._near += mark_places(seq, self._seen)

    @property
    def gaps(self) -> int:
        """Count the places below the last that nobody has taken."""
        return self._last + 1 - self.taken

    @property
    def taken(self) -> int:
        """Count the places that somebody has taken."""
        return self._near + len(self._far)
