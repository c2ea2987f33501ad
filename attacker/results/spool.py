"""A results file that is read once, be it from a pipe: what is needed again of its rows is kept, compactly, beside.

Decoding a file costs more than all that is done with its rows, and a pipe cannot be read twice. What later readings
need is 26 bytes a row, a seventh of what vegeta writes; a little of it is kept in memory, more in a temporary file.
"""

import io
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, Self, cast

import numpy as np

from attacker.exits import RunBrokenError
from attacker.results.columns import Ints
from attacker.results.gob import GobReader
from attacker.results.rows import Piece, piece_of

__all__ = ["SpooledGob"]

_MOST_IN_MEMORY_BYTES = 1 << 26
_AHEAD = 2
_KEPT: dict[str, np.dtype[np.signedinteger[Any] | np.unsignedinteger[Any]]] = {
    "timestamp_ns": np.dtype(np.int64),
    "seq": np.dtype(np.int64),
    "latency_ns": np.dtype(np.int64),
    "code": np.dtype(np.uint16),
}


class SpooledGob:
    """The rows of one results file of vegeta's, kept for as long as the context lasts."""

    def __init__(
        self, open_stream: Callable[[], BinaryIO], *, name: str, in_memory_bytes: int = _MOST_IN_MEMORY_BYTES
    ) -> None:
        """Name what is to be read.

        Args:
            open_stream: opens the file, unbuffered or not; may raise what a first reading is then to raise.
            name: what errors call it.
            in_memory_bytes: of more than this, all is kept in a temporary file.
        """
        self._open = open_stream
        self._name = name
        self._spool = cast("BinaryIO", tempfile.SpooledTemporaryFile(in_memory_bytes))  # noqa: SIM115
        self._lengths: list[int] = []
        self._begins = [0]
        self._lock = threading.Lock()
        self.trailing_bytes = 0
        """Bytes of a last record that was cut off; known after the first reading."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def first(self) -> Iterator[Piece]:
        """Read the file.

        Raises:
            RunBrokenError: it is empty, no vegeta file, or damaged, or there is no room for what is kept of it.
        """
        with self._open() as stream:
            reader = GobReader(stream, self._name)
            for piece in _read_ahead(map(piece_of, reader.batches())):
                self._keep(piece)
                yield piece
            self.trailing_bytes = reader.trailing_bytes

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return len(self._lengths)

    def piece(self, index: int, columns: Collection[str]) -> Piece:
        """Read one piece of what was kept."""
        begin, length = self._begins[index], self._lengths[index]
        numbers = {}
        for name, kind in _KEPT.items():
            if name in columns:
                numbers[name] = self._read(begin, length, kind)
            begin += length * kind.itemsize
        return Piece(numbers)

    def _keep(self, piece: Piece) -> None:
        try:
            for name, kind in _KEPT.items():
                self._spool.write(np.ascontiguousarray(piece[name], kind).data)
        except OSError as error:
            reason = f"{self._name}: what must be kept of it cannot be written ({error.strerror})"
            raise RunBrokenError(f"{reason}: name a folder with more room in TMPDIR") from error
        length = len(piece["seq"])
        self._lengths.append(length)
        self._begins.append(self._begins[-1] + length * sum(kind.itemsize for kind in _KEPT.values()))

    def _read(self, begin: int, length: int, kind: "np.dtype[np.generic]") -> Ints:
        column = np.empty(length, kind)
        with self._lock:
            self._spool.seek(begin)
            cast("io.RawIOBase", self._spool).readinto(column.data)
        return column


def _read_ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Let a thread of its own decode the next pieces while one is used."""
    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(next, pieces, None) for _ in range(_AHEAD)]
        while (piece := waiting.pop(0).result()) is not None:
            waiting.append(reader.submit(next, pieces, None))
            yield piece
