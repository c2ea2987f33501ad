"""A shard's rows, wherever they lie: read piece by piece and as often as wanted, so that none must fit into memory."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from attacker.results.columns import Ints, Results, Text

__all__ = ["PIECE_ROWS", "HeldRows", "Piece", "Rows"]

PIECE_ROWS = 1 << 17
"""How many rows a piece has at most: a few megabytes."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows in the order of their file."""

    numbers: Mapping[str, Ints]
    """The columns that were asked for, by the names of `Results`."""
    errors: Callable[[Flags], Text] | None = None
    """Gives the errors of chosen rows; None where this is not the first reading."""

    def __getitem__(self, column: str) -> Ints:
        return self.numbers[column]


class Rows(Protocol):
    """What can be read again and again: once from the start, then by pieces in any order, by several threads."""

    def first(self) -> Iterator[Piece]:
        """Read all pieces in order, with all columns of numbers and the errors; before any other reading, and once.

        Raises:
            RunBrokenError: these are no rows; the text names the file.
        """

    @property
    def pieces(self) -> int:
        """How many pieces there are; known after the first reading."""

    def piece(self, index: int, columns: Collection[str]) -> Piece:
        """Read one piece again: of the columns only timestamp_ns, seq, code and latency_ns."""


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows that are in memory."""

    results: Results
    piece_rows: int = PIECE_ROWS

    def __len__(self) -> int:
        return len(self.results)

    def first(self) -> Iterator[Piece]:
        """Give all pieces in order."""
        return (self.piece(index, ()) for index in range(self.pieces))

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-len(self.results) // self.piece_rows)

    def piece(self, index: int, columns: Collection[str]) -> Piece:  # noqa: ARG002  (all are there already)
        """Give one piece, with all columns."""
        return piece_of(self.results[index * self.piece_rows : (index + 1) * self.piece_rows])


def piece_of(results: Results) -> Piece:
    """Make a piece of rows that are in memory."""
    names = ("timestamp_ns", "seq", "code", "latency_ns", "bytes_in", "bytes_out")
    return Piece({name: getattr(results, name) for name in names}, lambda chosen: results.error[chosen])
