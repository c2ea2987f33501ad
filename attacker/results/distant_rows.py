"""Rows of a shard that lies elsewhere: only those pieces are fetched that are wanted, and of them only some columns.

What is fetched is written into a file with holes, at its place; the file is then read as if all of it were there.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from attacker.exits import RunBrokenError
from attacker.results.parquet import ParquetRows
from attacker.results.parquet_footer import MAGIC, TAIL_BYTES, RowGroup, footer_bytes, parse_footer
from attacker.results.rows import PIECE_ROWS, Piece

__all__ = ["DistantRows", "FetchRange"]

FetchRange = Callable[[int, int], bytes]
"""Gives a file's bytes from one place up to another, or raises RunBrokenError."""

_LIKELY_FOOTER_BYTES = 1 << 16


class DistantRows:
    """Rows that are fetched piece by piece, by several threads."""

    def __init__(self, fetch: FetchRange, near: Path, *, size_bytes: int, rows: int) -> None:
        """Name where they lie; nothing is fetched yet.

        Args:
            fetch: reads the file that they are in.
            near: where what was fetched is kept.
            size_bytes: that file's.
            rows: how many there are.
        """
        self._fetch = fetch
        self._near = near
        self._size_bytes = size_bytes
        self._rows = rows
        self._groups: Sequence[RowGroup] = ()
        self._fetched: set[int] = set()
        self._lock = threading.Lock()

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-self._rows // PIECE_ROWS)

    def first(self) -> Iterator[Piece]:
        """Is for whoever has the file; there is no use for it here."""
        raise NotImplementedError("rows that lie elsewhere are outlined there")

    def piece(self, index: int, columns: Collection[str]) -> Piece:
        """Read one piece, which is fetched if it was not yet. Raises RunBrokenError where it cannot be."""
        self.bring(index, columns)
        return ParquetRows(self._near, self._rows).piece(index, columns)

    def bring(self, index: int, columns: Collection[str]) -> None:
        """Fetch the columns of one piece, unless they are there; every time the same columns."""
        with self._lock:
            if not self._groups:
                self._groups = self._begin()
            missing = [number for number in self._groups_of(index) if number not in self._fetched]
            for number in missing:
                begin, end = self._groups[number].place_of(columns)
                self._keep(begin, self._read(begin, end))
                self._fetched.add(number)

    def forget(self) -> None:
        """Make room: what is wanted again is fetched again."""
        with self._lock:
            self._near.unlink(missing_ok=True)
            self._groups, self._fetched = (), set()

    def _begin(self) -> Sequence[RowGroup]:
        """Fetch the footer, which says where the rest is."""
        tail = self._read(max(0, self._size_bytes - _LIKELY_FOOTER_BYTES), self._size_bytes)
        wanted = footer_bytes(tail) + TAIL_BYTES
        if wanted > len(tail):
            tail = self._read(max(0, self._size_bytes - wanted), self._size_bytes)
        self._near.parent.mkdir(parents=True, exist_ok=True)
        self._near.write_bytes(MAGIC)
        self._keep(self._size_bytes - len(tail), tail)
        return parse_footer(tail[-wanted:-TAIL_BYTES])

    def _groups_of(self, index: int) -> Iterator[int]:
        """Tell which row groups hold rows of a piece."""
        from_row, until_row, row = index * PIECE_ROWS, (index + 1) * PIECE_ROWS, 0
        for number, group in enumerate(self._groups):
            if row < until_row and from_row < row + group.rows:
                yield number
            row += group.rows

    def _read(self, begin: int, end: int) -> bytes:
        data = self._fetch(begin, end)
        if len(data) != end - begin:
            raise RunBrokenError(
                f"{self._near.name}: {len(data)} of {end - begin} bytes came from place {begin}: report again"
            )
        return data

    def _keep(self, place: int, data: bytes) -> None:
        with self._near.open("r+b") as file:
            file.seek(place)
            file.write(data)
