"""Where the columns of a Parquet file lie, told by its last bytes: so that some of it can be read without the rest.

The footer is a structure in Thrift's compact protocol; of it, row groups and the places of their columns are taken.
Source: https://parquet.apache.org/docs/file-format and its parquet.thrift, https://github.com/apache/thrift, doc/specs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from attacker.exits import RunBrokenError

__all__ = ["MAGIC", "TAIL_BYTES", "RowGroup", "footer_bytes", "parse_footer"]

MAGIC = b"PAR1"
"""A file begins and ends with it."""
TAIL_BYTES = 8
"""After the footer: its length, and the magic number."""

# The fields of parquet.thrift.
_ROW_GROUPS = 4
_COLUMNS, _ROWS = 1, 3
_META_DATA = 3
_PATH, _SIZE_BYTES, _FIRST_PAGE, _DICTIONARY = 3, 7, 9, 11

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = frozenset({4, 5, 6})


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Some rows, whose columns lie one after the other."""

    rows: int
    columns: Mapping[str, tuple[int, int]]
    """Where in the file each begins and ends."""

    def place_of(self, columns: Collection[str]) -> tuple[int, int]:
        """Tell where some columns lie, with what is between them. Raises RunBrokenError where one is not there."""
        if missing := set(columns) - self.columns.keys():
            raise RunBrokenError(f"a Parquet file has no column {min(missing)}: attack again")
        places = [self.columns[name] for name in columns]
        return min(begin for begin, _ in places), max(end for _, end in places)


def footer_bytes(tail: bytes) -> int:
    """Tell how long the footer is, by a file's last bytes. Raises RunBrokenError where it is no Parquet file."""
    if len(tail) < TAIL_BYTES or tail[-4:] != MAGIC:
        raise RunBrokenError(f"{tail[-4:]!r} is no end of a Parquet file: attack again")
    return int.from_bytes(tail[-8:-4], "little")


def parse_footer(footer: bytes) -> tuple[RowGroup, ...]:
    """Read the places of all columns. Raises RunBrokenError where it is no footer."""
    try:
        found = _Compact(footer).struct()
        return tuple(_row_group(one) for one in found[_ROW_GROUPS])
    except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunBrokenError(f"{len(footer)} bytes are no footer of a Parquet file: attack again") from error


def _row_group(found: Mapping[int, Any]) -> RowGroup:
    columns = {}
    for one in found[_COLUMNS]:
        about = one[_META_DATA]
        begin = min(place for place in (about[_FIRST_PAGE], about.get(_DICTIONARY)) if place)
        columns[b".".join(about[_PATH]).decode()] = (begin, begin + about[_SIZE_BYTES])
    return RowGroup(rows=found[_ROWS], columns=columns)


class _Compact:
    """Values in Thrift's compact protocol, read one after the other; a structure is a mapping by field numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> dict[int, Any]:
        """Read a structure."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) & 15 != _STOP:
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == _TRUE if kind in {_TRUE, _FALSE} else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in {_LIST, _SET}:
            return self._list()
        if kind == _STRUCT:
            return self.struct()
        if kind in {_BYTE, _TRUE, _FALSE}:  # in a list, a bool is a byte
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"kind {kind} is in no footer")

    def _list(self) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._varint()
        return [self._value(head & 15) for _ in range(length)]

    def _integer(self) -> int:
        folded = self._varint()
        return folded >> 1 ^ -(folded & 1)

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, length: int) -> bytes:
        self._at += length
        if self._at > len(self._data):
            raise IndexError(length)
        return self._data[self._at - length : self._at]
