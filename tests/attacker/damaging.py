"""Decode damaged results in arrays that fit tightly, to be run where numba checks every index.

`NUMBA_BOUNDSCHECK=1 python -m tests.attacker.damaging FILE TIMES` ends in 1 where the loop leaves its arrays.
"""

import random
import sys
from pathlib import Path

import numpy as np

from attacker.results import gobloop
from attacker.results.gob import _Strings
from tests.attacker.by_vegeta import message_ends

__all__ = ["damaged", "decode_tightly"]

_ROWS = 3
_EXTREMES = (0, 1, 2, 11, 12, 13, 127, 128, 247, 248, 249, 255)


def damaged(records: bytes, randomly: random.Random) -> bytes:
    """Change, replace or cut off some bytes."""
    content = bytearray(records)
    for _ in range(randomly.randint(1, 6)):
        at = randomly.randrange(len(content))
        change = bytes(randomly.choice(_EXTREMES) for _ in range(randomly.randint(1, 9)))
        kind = randomly.random()
        if kind < 0.6:
            content[at] = randomly.choice([change[0], randomly.randrange(256)])
        elif kind < 0.8:
            content[at : at + randomly.randint(0, 9)] = change
        else:
            del content[at + 1 :]
    return bytes(content)


def decode_tightly(content: bytes, type_id: int) -> None:
    """Decode all there is, a few rows at a time, with little room for strings."""
    data = np.frombuffer(content + b"\xff" * gobloop.PADDING_BYTES, np.uint8)
    strings = _Strings(
        slots=np.zeros(16, np.int32),
        starts=np.zeros(8, np.int64),
        lengths=np.zeros(8, np.int64),
        pool=np.zeros(8, np.uint8),
    )
    numbers, texts = np.empty((6, _ROWS), np.int64), np.empty((4, _ROWS), np.int32)
    why, at, row = gobloop.FULL, 0, 0
    while why in (gobloop.FULL, gobloop.STRINGS_FULL):
        before = (at, row, strings.used[0])
        why, at, row = gobloop.decode_rows(
            data, at, len(content), row % _ROWS, np.uint64(type_id), numbers, texts, strings.as_tuple()
        )
        if why == gobloop.STRINGS_FULL:
            strings.grow(len(content) - at)
        assert why != gobloop.FULL or (at, row, strings.used[0]) != before, "it does not get on"
        assert at <= len(content), f"it read to byte {at} of {len(content)}"
        assert ((texts[:, :row] >= 0) & (texts[:, :row] < strings.used[0])).all(), "a string is not there"


def _main(file: str, times: str) -> None:
    content = Path(file).read_bytes()
    definitions = message_ends(content)[3]
    randomly = random.Random(1)
    for _ in range(int(times)):
        decode_tightly(damaged(content[definitions:], randomly), type_id=0x80)


if __name__ == "__main__":
    _main(*sys.argv[1:])
