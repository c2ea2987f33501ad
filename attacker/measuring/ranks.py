"""Exact order statistics of any number of values in bounded memory: count in bins, then look closer where ranks lie.

The first counts are in wide bins over all values. Each wanted rank then lies in one bin, at a known place within it;
the next look at the values counts only those bins, in finer ones, or keeps their values where these are few. That is
repeated until every rank has its value. Counts add up, so the values may be looked at in parts, in any order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from attacker.measuring import loops
from attacker.results.columns import Ints

__all__ = ["Found", "RankSearch", "Room", "SlotTable", "Slots", "WideCounts", "most_bits", "rank_of"]

_MOST_COUNTERS = 1 << 21
_COUNTERS_A_ROW = 16
_FINEST_BITS = 12


@dataclass(frozen=True, slots=True)
class Room:
    """How much a look may hold."""

    counters: int = _MOST_COUNTERS
    kept: int = 1 << 20
    """Values that are kept as they are."""


_USUAL_ROOM = Room()


@dataclass(frozen=True, slots=True)
class WideCounts:
    """How the values of some series are spread over wide bins."""

    bits: int
    counts: Ints
    """int64[series, bins]."""
    low: Ints
    """The smallest value of each series."""
    high: Ints


def most_bits(series: int, rows: int) -> int:
    """Tell how fine bins can be for so many series, each of which has 43 << bits of them, and are worth it."""
    counters = min(_MOST_COUNTERS, _COUNTERS_A_ROW * rows)
    return max(1, min(_FINEST_BITS, (counters // (series * loops.LARGE_BITS)).bit_length() - 1))


def rank_of(share: Fraction, n: int) -> int:
    """Tell which of n ordered values, from 1, is the smallest that at least this share of them does not exceed."""
    return max(1, -(-n * share.numerator // share.denominator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Ranges of values, a row each, in which ranks are searched; those of one bin stand one after the other."""

    series: Ints
    bin: Ints
    low: Ints
    high: Ints
    shift: Ints
    """How many values are counted as one, as a power of two; -1 where each is kept."""
    begin: Ints
    """Where its counts begin."""
    counters: int

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True, kw_only=True)
class Found:
    """What a look at the values found in the slots; what two looks found can be added."""

    counts: Ints
    kept: list[Ints] = field(default_factory=list)
    """int64[2, n] each: slot and value."""

    def join(self, other: "Found") -> None:
        """Add what another look found, at other values."""
        self.counts += other.counts
        self.kept += other.kept

    @classmethod
    def nothing(cls, slots: Slots) -> "Found":
        """Begin to look."""
        return cls(counts=np.zeros(slots.counters, np.int64))


class SlotTable:
    """Slots in the form that the loop looks them up by: the first of each series and bin, and the slots themselves."""

    def __init__(self, slots: Slots, *, series: int, bits: int) -> None:
        """Make it of slots in so many series, whose bins have so many digits."""
        self._bits = bits
        self._first = np.full((series, loops.bins(bits)), -1, np.int32)
        new = _changes(slots.series, slots.bin)
        self._first[slots.series[new], slots.bin[new]] = np.flatnonzero(new)
        last = np.append(new[1:], np.ones(min(1, len(new)), np.bool_))
        self._slots = (slots.low, slots.high, slots.shift, slots.begin, last)

    def look(self, values: Ints, series: Ints, found: Found) -> None:
        """Look at values, each of its series, for what is in a slot."""
        kept = np.empty((2, max(1, len(values))), np.int64)
        number = loops.gather(values, series, self._bits, self._first, self._slots, found.counts, kept)
        if number:
            found.kept.append(kept[:, :number].copy())


@dataclass(slots=True)
class _Open:
    """Ranks whose values are not known yet, a row each: they lie in [low, high] after `below` smaller values."""

    series: Ints
    rank: Ints
    bin: Ints
    low: Ints
    high: Ints
    below: Ints
    count: Ints


class RankSearch:
    """A search for the values of ranks, in several series at once."""

    def __init__(self, spread: WideCounts, wanted: Sequence[Ints], *, room: Room = _USUAL_ROOM) -> None:
        """Begin with the counts in wide bins, and the ranks that are wanted of each series, from 1."""
        self._known: list[dict[int, int]] = [{} for _ in wanted]
        self._room = room
        parts = [_opened(spread, series, ranks) for series, ranks in enumerate(wanted)]
        columns = (np.concatenate([part[k] for part in parts] or [np.empty(0, np.int64)]) for k in range(7))
        self._open = self._settled(_Open(*columns))
        self.slots = _slots_of(self._open, self._room)

    def learn(self, found: Found) -> None:
        """Take in what a look at all values found in the slots."""
        kept = np.concatenate([np.empty((2, 0), np.int64), *found.kept], axis=1)
        kept_slot, kept_value = kept[:, np.lexsort((kept[1], kept[0]))]
        still, number = self._open, self._number
        for row, slot in enumerate(number):
            low, high, shift = int(still.low[row]), int(still.high[row]), int(self.slots.shift[slot])
            place = still.rank[row] - still.below[row] - 1
            if shift < 0:
                value = kept_value[np.searchsorted(kept_slot, slot) + place]
                still.low[row] = still.high[row] = value
                continue
            begin = self.slots.begin[slot]
            finer = np.cumsum(found.counts[begin : begin + 1 + ((high - low) >> shift)])
            at = int(np.searchsorted(finer, place, side="right"))
            before = int(finer[at - 1]) if at else 0
            still.below[row] += before
            still.count[row] = finer[at] - before
            still.low[row] = low + (at << shift)
            still.high[row] = min(high, low + ((at + 1) << shift) - 1)
        self._open = self._settled(still)
        self.slots = _slots_of(self._open, self._room)

    @property
    def is_over(self) -> bool:
        """Does every rank have its value?"""
        return not len(self.slots)

    @property
    def values(self) -> Sequence[Mapping[int, int]]:
        """The value of each wanted rank, by series."""
        return self._known

    @property
    def _number(self) -> Ints:
        """The slot of each open rank: they are in the same order."""
        return np.cumsum(_changes(self._open.series, self._open.low)) - 1

    def _settled(self, rows: _Open) -> _Open:
        """Note the ranks whose values are known; returns the others."""
        known = rows.low == rows.high
        for series, rank, value in zip(
            rows.series[known].tolist(), rows.rank[known].tolist(), rows.low[known].tolist(), strict=True
        ):
            self._known[series][rank] = value
        columns = (getattr(rows, name)[~known] for name in ("series", "rank", "bin", "low", "high", "below", "count"))
        return _Open(*columns)


def _changes(*columns: Ints) -> npt.NDArray[np.bool_]:
    """Mark each row that differs from the one before it."""
    changes = np.ones(len(columns[0]), np.bool_)
    changes[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return changes


def _opened(spread: WideCounts, series: int, wanted: Ints) -> tuple[Ints, ...]:
    """Find the bin of each wanted rank of one series, and what values it can hold."""
    ranks = np.unique(np.asarray(wanted, np.int64))
    counts = spread.counts[series]
    ends = np.cumsum(counts)
    at = np.searchsorted(ends, ranks, side="left")
    lows, highs = _limits(spread.bits, at)
    return (
        np.full(len(ranks), series, np.int64),
        ranks,
        at.astype(np.int64),
        np.maximum(lows, spread.low[series]),
        np.minimum(highs, spread.high[series]),
        ends[at] - counts[at],
        counts[at],
    )


def _limits(bits: int, bins: Ints) -> tuple[Ints, Ints]:
    """Give the smallest and largest integer that can be in each bin."""
    last = 1 + (loops.LARGE_BITS << bits)
    ordinary = np.clip(bins, 1, last - 1)
    one = (1023 << bits) - 1
    low = np.ceil(((ordinary + one) << (52 - bits)).view(np.float64)).astype(np.int64)
    high = np.ceil(((ordinary + one + 1) << (52 - bits)).view(np.float64)).astype(np.int64) - 1
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    return (
        np.where(bins == 0, least, np.where(bins == last, loops.LARGE, low)),
        np.where(bins == 0, 0, np.where(bins == last, most, high)),
    )


def _slots_of(rows: _Open, room: Room) -> Slots:
    """Make a slot of each range that holds an open rank: the least populated keep their values, the others count."""
    new = _changes(rows.series, rows.low)
    low, high, count = rows.low[new], rows.high[new], rows.count[new]
    keeps = np.zeros(len(low), np.bool_)
    by_count = np.argsort(count, kind="stable")
    keeps[by_count] = np.cumsum(count[by_count]) <= room.kept
    share = max(2, room.counters // max(1, int((~keeps).sum())))
    spans = [to - from_ for from_, to in zip(low.tolist(), high.tolist(), strict=True)]  # they may be beyond int64
    digits = np.array([span.bit_length() for span in spans], np.int64)
    shift = np.where(keeps, -1, np.maximum(0, digits - (share.bit_length() - 1)))
    widths = [
        0 if keep else 1 + (span >> by) for span, by, keep in zip(spans, shift.tolist(), keeps.tolist(), strict=True)
    ]
    ends = np.cumsum([0, *widths])
    return Slots(
        series=rows.series[new],
        bin=rows.bin[new],
        low=low,
        high=high,
        shift=shift.astype(np.int64),
        begin=ends[:-1].astype(np.int64),
        counters=int(ends[-1]),
    )
