"""Gob's own types: numbers, and the definitions of structs that stand before the first record of a stream.

Source: https://pkg.go.dev/encoding/gob.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["struct_layout", "unsigned"]

_STRUCT, _COMMON_NAME, _COMMON_ID, _STRUCT_FIELDS = 2, 0, 1, 1  # field numbers of gob's own wireType


def unsigned(data: npt.NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Read a number; raises IndexError where it goes on behind the data, ValueError where it is none."""
    first = int(data[at])
    if first < 128:
        return first, at + 1
    stop = at + 1 + 256 - first
    if first < 248:
        raise ValueError(first)
    if stop > len(data):
        raise IndexError(stop)
    return int.from_bytes(data[at + 1 : stop].tobytes(), "big"), stop


def _signed(data: npt.NDArray[np.uint8], at: int) -> tuple[int, int]:
    value, at = unsigned(data, at)
    return (~(value >> 1) if value & 1 else value >> 1), at


def _common(data: npt.NDArray[np.uint8], at: int) -> tuple[str, int, int]:
    """Read a name and a type id; returns them and where they end."""
    name, type_id, number = "", 0, -1
    while True:
        delta, at = unsigned(data, at)
        if delta == 0:
            return name, type_id, at
        number += delta
        if number == _COMMON_NAME:
            length, at = unsigned(data, at)
            name, at = data[at : at + length].tobytes().decode(), at + length
        elif number == _COMMON_ID:
            type_id, at = _signed(data, at)
        else:
            raise ValueError(number)


def struct_layout(data: npt.NDArray[np.uint8]) -> tuple[str, tuple[tuple[str, int], ...]] | None:
    """Read a type definition; returns a struct's name and its fields' names and type ids, None for other kinds."""
    kind, at = unsigned(data, 0)
    if kind - 1 != _STRUCT:
        return None
    fields: list[tuple[str, int]] = []
    name, number = "", -1
    while True:
        delta, at = unsigned(data, at)
        if delta == 0:
            return name, tuple(fields)
        number += delta
        if number == 0:
            name, _, at = _common(data, at)
        elif number == _STRUCT_FIELDS:
            count, at = unsigned(data, at)
            for _ in range(count):
                field_name, type_id, at = _common(data, at)
                fields.append((field_name, type_id))
        else:
            raise ValueError(number)
