"""The most requests that were under way at one moment, exactly, in bounded memory: look closer only where it may be.

Starts and ends are counted in cells of time. As many as were under way when a cell began, and as started within it, is
the most that it can hold; as many as were under way when one in which a request started ended, is the least that the
answer can be. Only cells that can hold more than that least are looked into, the most promising first.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from attacker.measuring import loops
from attacker.results.columns import Ints

__all__ = ["Cells", "InFlightSearch", "Moments", "cells_over", "chosen_moments", "room_for"]

_MOST_CELLS = 1 << 20
_CELLS_A_ROW = 4
_MOST_MOMENTS = 1 << 22
_FEWEST_MOMENTS = 1 << 20
_MOST_PROMISE = np.uint16((1 << 16) - 1)
"""How far promises are told apart: so few values are sorted fast."""

Counts = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of time, all of 2**shift nanoseconds."""

    origin_ns: int
    shift: int
    number: int


@dataclass(slots=True)
class Moments:
    """When requests of chosen cells started and ended."""

    starts_ns: list[Ints] = field(default_factory=list)
    ends_ns: list[Ints] = field(default_factory=list)

    def join(self, other: "Moments") -> None:
        """Add those of other requests."""
        self.starts_ns += other.starts_ns
        self.ends_ns += other.ends_ns


def cells_over(first_ns: int, last_ns: int, *, series: int, rows: int) -> Cells:
    """Lay cells over all starts, as fine as there is room for with so many series of counts, and is worth it."""
    most = max(1, min(_MOST_CELLS // series, _CELLS_A_ROW * rows))
    span_ns = last_ns - first_ns
    shift = next(shift for shift in range(65) if span_ns >> shift < most)
    return Cells(first_ns, shift, 1 + (span_ns >> shift))


def room_for(series: int) -> int:
    """Tell how many starts and ends a look may hold for each of so many series."""
    return max(_FEWEST_MOMENTS, _MOST_MOMENTS // series)


def chosen_moments(moments_ns: Ints, cells: Cells, chosen: npt.NDArray[np.bool_]) -> Ints:
    """Pick the moments that are in chosen cells."""
    found = np.empty(len(moments_ns), np.int64)
    return found[: loops.pick_chosen(moments_ns, cells.origin_ns, cells.shift, chosen, found)].copy()


def _sorted(parts: list[Ints]) -> Ints:
    moments_ns = np.concatenate([np.empty(0, np.int64), *parts])
    moments_ns.sort(kind="stable")  # timsort, for which rows that are nearly in order cost little
    return moments_ns


class InFlightSearch:
    """A search for the most that were under way in one series of starts and ends."""

    def __init__(
        self, cells: Cells, starts: Counts, ends: Counts, ended_before: int, *, room: int = _MOST_MOMENTS
    ) -> None:
        """Begin with the counts by cell.

        Args:
            cells: they hold all starts.
            starts: a count a cell.
            ends: a count a cell.
            ended_before: requests that ended before the first cell, as only damaged files have them.
            room: how many starts and ends a look may hold.
        """
        under_way = np.cumsum(starts.astype(np.int64) - ends) - ended_before
        has_starts = starts > 0
        self.most = int(under_way[has_starts].max()) if has_starts.any() else 0
        self._cells = cells
        self._room = room
        most_within = under_way + ends
        self._open = np.flatnonzero(has_starts & (most_within > self.most))
        """Cells that can hold more; what follows is of these."""
        self._most_within = most_within[self._open]
        self._at_begin = self._most_within - starts[self._open]
        self._counts = starts[self._open].astype(np.int64) + ends[self._open]
        self._chosen = self._choose()

    @property
    def cells(self) -> Ints:
        """Those to look into next."""
        return self._open[self._chosen]

    @property
    def is_over(self) -> bool:
        """Is the most known?"""
        return not len(self._open)

    def learn(self, moments: Moments) -> None:
        """Take in the starts and ends in the chosen cells."""
        most = loops.most_under_way(
            _sorted(moments.starts_ns),
            _sorted(moments.ends_ns),
            self._cells.origin_ns,
            self._cells.shift,
            self.cells,
            self._at_begin[self._chosen],
        )
        self.most = max(self.most, most)
        still = ~self._chosen & (self._most_within > self.most)
        self._open, self._counts = self._open[still], self._counts[still]
        self._most_within, self._at_begin = self._most_within[still], self._at_begin[still]
        self._chosen = self._choose()

    def _choose(self) -> npt.NDArray[np.bool_]:
        """Choose the most promising of the cells that can still hold more, as many as can be looked into at once."""
        promise = np.minimum(self._most_within - self.most, _MOST_PROMISE).astype(np.uint16)
        by_promise = np.argsort(_MOST_PROMISE - promise, kind="stable")
        fitting = int(np.searchsorted(np.cumsum(self._counts[by_promise]), self._room, side="right"))
        chosen = np.zeros(len(self._open), np.bool_)
        chosen[by_promise[: max(1, fitting)]] = True
        return chosen
