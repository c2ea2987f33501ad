"""What vegeta measured: one row a request, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Ints", "Results", "Text"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Text:
    """A column of text: a code a row into its distinct values; a value may stand there more than once."""

    codes: npt.NDArray[np.int32]
    values: tuple[str, ...]

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_]) -> "Text":
        """Choose rows."""
        return Text(self.codes[rows], self.values)

    def to_list(self) -> list[str]:
        """Spell out a value a row."""
        return [self.values[code] for code in self.codes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Rows in the order of their file, which is that of completion; all columns are equally long."""

    timestamp_ns: Ints
    """When the request was sent, since 1970."""
    seq: Ints
    """Its place in the shard's schedule, from 0."""
    code: Ints
    """HTTP status; 0 where there was no complete answer."""
    latency_ns: Ints
    bytes_in: Ints
    bytes_out: Ints
    attack: Text
    error: Text
    method: Text
    url: Text

    def __len__(self) -> int:
        return len(self.seq)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_]) -> "Results":
        """Choose rows."""
        return Results(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    @classmethod
    def joined(cls, parts: Sequence["Results"]) -> "Results":
        """Put the rows of several results one after the other; of none, there are none."""
        columns: dict[str, Any] = {
            **{name: _joined_numbers([getattr(part, name) for part in parts]) for name in _NUMBERS},
            **{name: _joined_texts([getattr(part, name) for part in parts]) for name in _TEXTS},
        }
        return cls(**columns)


_NUMBERS = ("timestamp_ns", "seq", "code", "latency_ns", "bytes_in", "bytes_out")
_TEXTS = ("attack", "error", "method", "url")


def _joined_numbers(columns: Sequence[Ints]) -> Ints:
    if len(columns) == 1:
        return columns[0]
    return np.concatenate(columns) if columns else np.empty(0, np.int64)


def _joined_texts(columns: Sequence[Text]) -> Text:
    """Give every distinct value one code over all columns."""
    if len(columns) == 1:
        return columns[0]
    known: dict[str, int] = {}
    codes = []
    for column in columns:
        translation = np.array([known.setdefault(value, len(known)) for value in column.values], np.int32)
        codes.append(translation[column.codes] if len(column.codes) else column.codes)
    return Text(np.concatenate(codes) if codes else np.empty(0, np.int32), tuple(known))
