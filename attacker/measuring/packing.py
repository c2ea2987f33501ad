"""Questions and answers as bytes, for whoever reads another share of the rows: the same values come out as went in."""

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np

from attacker.exits import RunBrokenError
from attacker.measuring.buckets import Buckets
from attacker.measuring.duplicates import Window
from attacker.measuring.errors import ErrorClass
from attacker.measuring.in_flight import Cells, Moments
from attacker.measuring.looks import Closer, Question, Scale, Spread
from attacker.measuring.outline import Outline, Span
from attacker.measuring.ranks import Found, Slots

__all__ = ["pack", "unpack"]

_TYPES: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (Buckets, Cells, Closer, Found, Moments, Outline, Question, Scale, Slots, Span, Spread, Window)
}
_TREE = "tree"


def pack(value: object) -> bytes:
    """Write a value: what this package asks and answers, numbers, texts, and tuples, lists and mappings of them."""
    arrays: dict[str, Any] = {}
    tree = json.dumps(_plain(value, arrays), separators=(",", ":"))
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **{_TREE: np.frombuffer(tree.encode(), np.uint8)}, **arrays)
    return stream.getvalue()


def unpack(data: bytes) -> Any:
    """Read what `pack` wrote.

    Raises:
        RunBrokenError: it is something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return _value(json.loads(arrays[_TREE].tobytes()), arrays)
    except (ValueError, KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
        raise RunBrokenError(
            f"{len(data)} bytes are no answer of this version: use one image for all readers"
        ) from error


def _plain(value: object, arrays: dict[str, Any]) -> object:
    if isinstance(value, ErrorClass):
        return {"class": value.value}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_plain(one, arrays) for one in value]}
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(key, arrays), _plain(one, arrays)] for key, one in value.items()]}
    name = type(value).__name__
    if name not in _TYPES:
        raise TypeError(f"{name} is nothing that is asked or answered: one of {', '.join(_TYPES)} is")
    fields = dataclasses.fields(_TYPES[name])
    return {name: {field.name: _plain(getattr(value, field.name), arrays) for field in fields}}


def _value(plain: Any, arrays: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    [(name, content)] = plain.items()
    if name == "class":
        return ErrorClass(content)
    if name == "array":
        return arrays[content]
    if name in {"tuple", "list"}:
        values = [_value(one, arrays) for one in content]
        return tuple(values) if name == "tuple" else values
    if name == "pairs":
        return {_value(key, arrays): _value(one, arrays) for key, one in content}
    return _TYPES[name](**{key: _value(one, arrays) for key, one in content.items()})
