"""Rows that say what another row has said, counted exactly in bounded memory, over all shards of a target.

A row is a duplicate that has the moment, the place in the schedule and the latency of another one; of millions of
requests, two shards do send their n-th in the same nanosecond. Where no place can be there twice, no row is looked at.
Else a Bloom filter tells nearly all rows that are alone; the others, which are few, are picked out in a second reading,
and compared.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from attacker.measuring.loops import mix, notice_twice, pick_known, remember
from attacker.measuring.outline import Outlines, Span
from attacker.measuring.sample import Sample
from attacker.measuring.sweeping import each
from attacker.results.columns import Ints
from attacker.results.rows import Piece, Rows

__all__ = ["ALWAYS", "COLUMNS", "Suspects", "Window", "count_duplicates", "pieces_in"]

COLUMNS = ("timestamp_ns", "seq", "latency_ns")
_BITS_A_ROW = 10
_MOST_BITS = 1 << 30
_FEWEST_BITS = 1 << 16
_MOST_SUSPECTS = 1 << 20
_LAST_KEY = (1 << 64) - 1

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time: rows that were sent in it are looked at. Windows that do not overlap can be counted apart."""

    from_ns: int
    until_ns: int
    """The first moment that is no longer in it."""

    def touches(self, span: Span) -> bool:
        """Can a row of this span be in it?"""
        if span.first is None or span.last is None:
            return False
        return self.from_ns <= span.last and span.first < self.until_ns

    def share_of(self, span: Span) -> float:
        """Tell how much of a span is in it."""
        if span.first is None or span.last is None or not self.touches(span):
            return 0.0
        inside_ns = min(self.until_ns, span.last + 1) - max(self.from_ns, span.first)
        return inside_ns / (span.last + 1 - span.first)


ALWAYS = Window(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class _Work:
    """A piece of a shard, and what target it is of."""

    rows: Rows
    piece: int
    target: int
    window: Window

    def read(self) -> tuple[Ints, Ints, Ints, Keys]:
        """Give the three columns of the rows in the window, and a key of each row."""
        piece = self.rows.piece(self.piece, COLUMNS)
        columns = [piece[name] for name in COLUMNS]
        if self.window != ALWAYS:
            inside = (columns[0] >= self.window.from_ns) & (columns[0] < self.window.until_ns)
            columns = [column[inside] for column in columns]
        timestamp_ns, seq, latency_ns = columns
        return timestamp_ns, seq, latency_ns, _keys_of(self.target, timestamp_ns, seq, latency_ns)


def _keys_of(target: int, timestamp_ns: Ints, seq: Ints, latency_ns: Ints) -> Keys:
    keys = np.empty(len(seq), np.uint64)
    mix(timestamp_ns, seq, latency_ns, np.uint64(target), keys)
    return keys


def pieces_in(window: Window, outlines: Outlines) -> Iterator[tuple[int, int, int]]:
    """Tell which pieces have to be looked at for what was sent in a window: target, shard and piece."""
    for (target, number), outline in sorted(_doubtful(window, outlines).items(), key=lambda one: one[0]):
        for piece, span in enumerate(outline.pieces_ns):
            if window.touches(span):
                yield target, number, piece


def count_duplicates(
    samples: Sequence[Sample],
    outlines: Outlines,
    *,
    window: Window = ALWAYS,
    noticed: "Suspects | None" = None,
) -> tuple[int, ...]:
    """Count each target's duplicates among the rows that were sent in a window.

    Args:
        samples: the targets, with all of their shards.
        outlines: of each target's shards; a piece of which nothing was sent in the window is not read.
        window: where to look.
        noticed: what all rows in the window were shown to already.
    """
    works = [
        _Work(samples[target].shards[number].rows, piece, target, window)
        for target, number, piece in pieces_in(window, outlines)
    ]
    doubtful = _doubtful(window, outlines).values()
    rows = int(sum(one.rows * window.share_of(one.moments_ns) for one in doubtful))
    counts = np.zeros(len(samples), np.int64)
    least = 0
    while least <= _LAST_KEY:
        suspects, noticed = noticed or _looked_for(works, Suspects(rows, least=least)), None
        keys, least = suspects.keys, suspects.most + 1
        del suspects  # its filter is large
        if len(keys):
            counts += _counted(works, keys, len(samples))
    return tuple(counts.tolist())


def _doubtful(window: Window, outlines: Outlines) -> Outlines:
    """Leave out each target of which one shard alone sent anything in the window, and each place but once."""
    sent = {place: one for place, one in outlines.items() if window.touches(one.moments_ns)}
    by_target = Counter(target for target, _ in sent)
    repeated = {target for (target, _), one in sent.items() if one.repeats}
    return {place: one for place, one in sent.items() if by_target[place[0]] > 1 or place[0] in repeated}


class Suspects:
    """Keys of rows that are there twice, or seem to be."""

    def __init__(self, rows: int, *, least: int = 0) -> None:
        """Expect so many rows; of more than there is room for, only those with the lower keys from `least` on."""
        turns = max(1, -(-rows * _BITS_A_ROW // (2 * _MOST_BITS)))
        bits = min(_MOST_BITS, max(_FEWEST_BITS, 1 << (rows // turns * _BITS_A_ROW).bit_length()))
        self.most = min(_LAST_KEY, least + (1 << 64) // turns)
        """The largest key that was looked for."""
        self._least = least
        self._filter = np.zeros(bits // 64, np.uint64)
        self._found: list[Keys] = []
        self._lock = threading.Lock()

    def notice(self, target: int, piece: Piece) -> None:
        """Be shown a piece, by whichever thread."""
        self.notice_keys(_keys_of(target, *(piece[name] for name in COLUMNS)))

    def notice_keys(self, keys: Keys) -> None:
        """Be shown the keys of rows, by whichever thread."""
        found = np.empty(len(keys), np.uint64)
        with self._lock:
            noticed = notice_twice(keys, np.uint64(self._least), np.uint64(self.most), self._filter, found)
            if noticed:
                self._found.append(found[:noticed].copy())
                self._shrink()

    @property
    def keys(self) -> Keys:
        """Each once."""
        return np.unique(np.concatenate(self._found)) if self._found else np.empty(0, np.uint64)

    def _shrink(self) -> None:
        """Leave the upper keys for another turn where there are too many."""
        if sum(map(len, self._found)) <= 2 * _MOST_SUSPECTS:
            return
        keys = self.keys
        if len(keys) > _MOST_SUSPECTS:
            self.most = int(keys[_MOST_SUSPECTS - 1])
            keys = keys[:_MOST_SUSPECTS]
        self._found = [keys]


def _looked_for(works: Sequence[_Work], suspects: Suspects) -> Suspects:
    each(works, lambda _, work: suspects.notice_keys(work.read()[3]), object)
    return suspects


@dataclass(slots=True)
class _Compared:
    """Rows with suspected keys: how many, and each that differs from the others once."""

    counts: Ints
    different: list[npt.NDArray[np.int64]] = field(default_factory=list)

    def merge(self) -> None:
        """Keep each row once."""
        if self.different:
            self.different = [_distinct(np.concatenate(self.different, axis=1))]


def _distinct(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    ordered = rows[:, np.lexsort(rows)]
    new = np.ones(ordered.shape[1], np.bool_)
    new[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return ordered[:, new]


def _counted(works: Sequence[_Work], keys: Keys, targets: int) -> Ints:
    table = np.zeros(1 << (2 * len(keys) - 1).bit_length(), np.uint64)
    remember(keys, table)
    both = each(works, partial(_compare, table), lambda: _Compared(np.zeros(targets, np.int64)))
    whole = _Compared(
        sum((one.counts for one in both), np.zeros(targets, np.int64)), [d for one in both for d in one.different]
    )
    whole.merge()
    different = np.bincount(whole.different[0][0], minlength=targets) if whole.different else 0
    return whole.counts - different


def _compare(table: Keys, compared: _Compared, work: _Work) -> None:
    timestamp_ns, seq, latency_ns, keys = work.read()
    numbers = np.empty(len(keys), np.int64)
    chosen = numbers[: pick_known(keys, table, numbers)]
    if not len(chosen):
        return
    compared.counts[work.target] += len(chosen)
    target = np.full(len(chosen), work.target, np.int64)
    compared.different.append(np.stack([target, timestamp_ns[chosen], seq[chosen], latency_ns[chosen]]))
    if sum(one.shape[1] for one in compared.different) > 2 * _MOST_SUSPECTS:
        compared.merge()
