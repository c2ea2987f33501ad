"""Reading the files that vegeta writes: Go's gob encoding, straight into columns, without Go.

Every message has its length before it, so response bodies and headers are passed over for free, and a file that
ends in the middle of one is seen to be cut. Source: https://pkg.go.dev/encoding/gob.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from attacker.exits import RunBrokenError
from attacker.results import gobloop
from attacker.results.columns import Ints, Results, Text
from attacker.results.gobtypes import struct_layout, unsigned

__all__ = ["GobFile", "GobReader", "compile_ahead", "read_gob"]

_ROWS_A_BATCH = 1 << 17
_CHUNK_BYTES = 1 << 22
_LONGEST_DEFINITION_BYTES = 1 << 20
_INT, _UINT, _BYTES, _STRING = 2, 3, 5, 6  # gob's ids of its basic types
_RESULT_FIELDS = (
    ("Attack", _STRING),
    ("Seq", _UINT),
    ("Code", _UINT),
    ("Timestamp", None),
    ("Latency", _INT),
    ("BytesOut", _UINT),
    ("BytesIn", _UINT),
    ("Error", _STRING),
    ("Body", _BYTES),
    ("Method", _STRING),
    ("URL", _STRING),
    ("Headers", None),
)


@dataclass(frozen=True, slots=True)
class GobFile:
    """What one results file held."""

    results: Results
    trailing_bytes: int
    """Bytes of a last record that was cut off; 0 in a whole file."""


def read_gob(stream: BinaryIO, *, name: str) -> GobFile:
    """Read all complete records of a results file.

    Args:
        stream: the file, opened unbuffered or not.
        name: what errors call it.

    Raises:
        RunBrokenError: it is empty, no vegeta file, or damaged; the text names the file and the byte.
    """
    reader = GobReader(stream, name)
    return GobFile(Results.joined(list(reader.batches())), reader.trailing_bytes)


def compile_ahead() -> None:
    """Compile the decoding loop for this machine and keep it, so that the first report need not."""
    reader = GobReader(io.BytesIO(), "nothing")
    reader.decode(np.uint64(0), *_new_columns(1), 0)


@dataclass(slots=True)
class _Strings:
    """The distinct strings so far, as the loop keeps them: hash slots, starts, lengths, counts, bytes."""

    slots: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(1 << 12, np.int32))
    starts: Ints = field(default_factory=lambda: np.zeros(1 << 11, np.int64))
    lengths: Ints = field(default_factory=lambda: np.zeros(1 << 11, np.int64))
    used: Ints = field(default_factory=lambda: np.array([1, 0], np.int64))  # code 0 is "", which gob leaves out
    pool: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1 << 18, np.uint8))

    def as_tuple(self) -> tuple[npt.NDArray[np.generic], ...]:
        return self.slots, self.starts, self.lengths, self.used, self.pool

    def grow(self, by_bytes: int) -> None:
        """Make room for as many strings again, and put the known ones into their new slots."""
        values = [self.pool[start : start + length] for start, length in self._spans()]
        grown = _Strings(
            slots=np.zeros(2 * len(self.slots), np.int32),
            starts=np.zeros(2 * len(self.starts), np.int64),
            lengths=np.zeros(2 * len(self.lengths), np.int64),
            pool=np.zeros(2 * len(self.pool) + by_bytes, np.uint8),
        )
        for value in values:
            gobloop._intern(value, 0, len(value), grown.as_tuple())  # noqa: SLF001  (its other half)
        self.slots, self.starts, self.lengths, self.used, self.pool = (
            grown.slots,
            grown.starts,
            grown.lengths,
            grown.used,
            grown.pool,
        )

    def values(self) -> tuple[str, ...]:
        spans = ((start, start + length) for start, length in self._spans())
        return "", *(self.pool[start:stop].tobytes().decode("utf-8", "replace") for start, stop in spans)

    def _spans(self) -> list[tuple[int, int]]:
        count = int(self.used[0])
        return list(zip(self.starts[1:count].tolist(), self.lengths[1:count].tolist(), strict=True))


class GobReader:
    """A results file on its way through a buffer of bounded size."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Begin to read; `name` is what errors call the file."""
        self._stream = stream
        self._name = name
        self._data = np.zeros(_CHUNK_BYTES + gobloop.PADDING_BYTES, np.uint8)
        self._at = 0
        self._end = 0
        self._passed = 0  # bytes of the file before the buffer
        self._ended = False
        self._strings = _Strings()

    @property
    def offset(self) -> int:
        """Where in the file the next message begins."""
        return self._passed + self._at

    @property
    def trailing_bytes(self) -> int:
        """Bytes behind the last complete record, once all was read."""
        return self._end - self._at

    def broken(self, what: str, *, remedy: str = "give a results file that vegeta wrote") -> RunBrokenError:
        """Say what is wrong with the message at hand."""
        return RunBrokenError(f"{self._name}: byte {self.offset}: {what}: {remedy}")

    def batches(self) -> Iterator[Results]:
        """Yield the complete records in order, some at a time. Raises RunBrokenError as `read_gob` does."""
        type_id = self._read_types()
        why = gobloop.MORE
        while why != gobloop.MORE or not self._ended:
            numbers, texts = _new_columns(_ROWS_A_BATCH)
            why, row = self._fill_columns(type_id, numbers, texts)
            if row:
                yield self._as_results(numbers[:, :row], texts[:, :row])

    def _fill_columns(self, type_id: np.uint64, numbers: Ints, texts: npt.NDArray[np.int32]) -> tuple[int, int]:
        row = 0
        while True:
            why, row = self.decode(type_id, numbers, texts, row)
            if why == gobloop.FULL:
                return why, row
            if why == gobloop.MORE:
                if not self._read_more():
                    return why, row
            elif why == gobloop.STRINGS_FULL:
                self._strings.grow(self._end - self._at)
            elif why == gobloop.FOREIGN:
                told = "another file's results begin here, or the bytes are damaged"
                raise self.broken(told, remedy="give each file by itself")
            else:
                raise self.broken("a damaged record")

    def decode(self, type_id: np.uint64, numbers: Ints, texts: npt.NDArray[np.int32], row: int) -> tuple[int, int]:
        """Decode what the buffer holds into rows from `row` on; returns why it stopped and the next row."""
        strings = self._strings.as_tuple()
        why, self._at, row = gobloop.decode_rows(self._data, self._at, self._end, row, type_id, numbers, texts, strings)
        return why, row

    def _as_results(self, numbers: Ints, texts: npt.NDArray[np.int32]) -> Results:
        timestamp_ns, seq, code, latency_ns, bytes_in, bytes_out = numbers
        values = self._strings.values()
        attack, error, method, url = (Text(codes, values) for codes in texts)
        return Results(
            timestamp_ns=timestamp_ns,
            seq=seq,
            code=code,
            latency_ns=latency_ns,
            bytes_in=bytes_in,
            bytes_out=bytes_out,
            attack=attack,
            error=error,
            method=method,
            url=url,
        )

    def _read_more(self) -> bool:
        """Move what is left to the front of the buffer and read on; False at the file's end."""
        left = self._end - self._at
        if left == len(self._data) - gobloop.PADDING_BYTES:  # one message fills it all
            self._data = np.concatenate([self._data[: -gobloop.PADDING_BYTES], np.zeros_like(self._data)])
        self._data[:left] = self._data[self._at : self._end].copy()
        self._passed += self._at
        self._at, self._end = 0, left
        room = self._data[self._end : len(self._data) - gobloop.PADDING_BYTES].data
        count = cast(io.RawIOBase, self._stream).readinto(room) or 0
        self._end += count
        self._ended = count == 0
        return count > 0

    def _read_types(self) -> np.uint64:
        """Read the type definitions before the first record, that of vegeta's Result first.

        Returns:
            The id of vegeta's Result, as it stands before each record.
        """
        result_id = None
        try:
            while True:
                length, start = self._number(0)
                type_id, after_id = self._number(start)
                if not type_id & 1:  # what follows is a record; only the id of a definition is negative
                    break
                layout = struct_layout(self._bytes(after_id, start + length))
                if result_id is None:
                    result_id = type_id + 1
                    self._check_layout(layout)
                self._at += start + length
        except (IndexError, ValueError) as error:
            raise self._not_vegeta() from error
        if result_id != type_id:
            raise self._not_vegeta()
        return np.uint64(type_id)

    def _number(self, skip: int) -> tuple[int, int]:
        """Read the number that begins so many bytes on; returns it and how many bytes on it ends."""
        while True:
            try:
                return unsigned(self._data[self._at : self._end], skip)
            except IndexError:
                if not self._read_more():
                    raise

    def _bytes(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        """Give the bytes from so many on to so many on, reading as needed."""
        if stop > _LONGEST_DEFINITION_BYTES:
            raise ValueError(stop)
        while self._end - self._at < stop:
            if not self._read_more():
                raise IndexError(stop)
        return self._data[self._at + start : self._at + stop]

    def _check_layout(self, layout: tuple[str, tuple[tuple[str, int], ...]] | None) -> None:
        name, fields = layout or ("", ())
        if name != "Result":
            raise ValueError(name)
        same = len(fields) == len(_RESULT_FIELDS) and all(
            name == known and (basic is None or found == basic)
            for (name, found), (known, basic) in zip(fields, _RESULT_FIELDS, strict=True)
        )
        if not same:
            names = ", ".join(name for name, _ in fields)
            raise self.broken(f"results of an unknown vegeta, with the fields {names}")

    def _not_vegeta(self) -> RunBrokenError:
        if self.offset == 0 and self._end == 0:
            return RunBrokenError(f"{self._name}: byte 0: the file is empty: nothing was measured, or nothing was kept")
        return self.broken("this is no vegeta results file, or it was cut before its first result")


def _new_columns(rows: int) -> tuple[Ints, npt.NDArray[np.int32]]:
    return np.empty((6, rows), np.int64), np.empty((4, rows), np.int32)


if __name__ == "__main__":
    compile_ahead()
