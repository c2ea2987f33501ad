"""The hot loop that decodes vegeta's results: gob messages in a buffer to rows of columns.

Compiled by numba on first use and kept; `python -m attacker.results.gob` compiles it ahead.
Source: https://pkg.go.dev/encoding/gob, and the Result struct of vegeta's lib/results.go.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["CORRUPT", "FOREIGN", "FULL", "MORE", "PADDING_BYTES", "STRINGS_FULL", "decode_rows"]

MORE, FULL, FOREIGN, CORRUPT, STRINGS_FULL = range(5)
"""Why the loop stopped: it needs more bytes or rows, met another type's message or a damaged one, or more strings."""

PADDING_BYTES = 16
"""How far behind the data a number may be read before it is seen to be damaged."""

_LARGEST = (1 << 63) - 1
_LARGEST_CODE = (1 << 16) - 1
_UNIX_EPOCH_S = 62_135_596_800  # seconds from year 1, where Go's time begins


@numba.njit(cache=True, nogil=True, inline="always")
def _unsigned(data: Any, at: Any) -> Any:
    """Read an unsigned number: a byte below 128 itself, else the negated count of big-endian bytes that follow."""
    first = data[at]
    if first < 128:
        return np.uint64(first), at + 1
    length = 256 - np.int64(first)
    if length > 8:
        return np.uint64(0), np.int64(1) << 62
    value = np.uint64(0)
    for k in range(length):
        value = (value << np.uint64(8)) | np.uint64(data[at + 1 + k])
    return value, at + 1 + length


@numba.njit(cache=True, nogil=True, inline="always")
def _same(data: Any, at: Any, pool: Any, start: Any, length: Any) -> Any:
    for k in range(length):  # noqa: SIM110  (numba compiles the loop, not all())
        if data[at + k] != pool[start + k]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _intern(data: Any, at: Any, length: Any, strings: Any) -> Any:
    """Give the code of a string, keeping it where it is new; -1 where there is no room. Codes are exact."""
    slots, starts, lengths, used, pool = strings
    mask = np.uint64(slots.shape[0] - 1)
    key = np.uint64(0xCBF29CE484222325)  # FNV-1a
    for k in range(length):
        key = (key ^ np.uint64(data[at + k])) * np.uint64(0x100000001B3)
    slot = np.int64((key ^ (key >> np.uint64(32))) & mask)
    while slots[slot] != 0:
        code = slots[slot]
        if lengths[code] == length and _same(data, at, pool, starts[code], length):
            return code
        slot = np.int64((np.uint64(slot) + np.uint64(1)) & mask)
    code = used[0]
    if code >= starts.shape[0] or used[1] + length > pool.shape[0]:
        return -1
    slots[slot], starts[code], lengths[code] = code, used[1], length
    for k in range(length):
        pool[used[1] + k] = data[at + k]
    used[0] += 1
    used[1] += length
    return code


@numba.njit(cache=True, nogil=True)
def decode_rows(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0915, PLR0917  (one loop, for speed)
    data: Any, at: Any, end: Any, row: Any, type_id: Any, numbers: Any, texts: Any, strings: Any
) -> Any:
    """Decode the messages in data[at:end] into rows from `row` on.

    Args:
        data: bytes, with PADDING_BYTES behind the end.
        at: where the first message begins.
        end: where the bytes end.
        row: the first row to write.
        type_id: vegeta's Result in this stream.
        numbers: int64[6, rows]: timestamp_ns, seq, code, latency_ns, bytes_in, bytes_out.
        texts: int32[4, rows]: codes of attack, error, method, url.
        strings: what `_intern` keeps.

    Returns:
        Why it stopped, where the first undecoded message begins, and the first unwritten row.
    """
    starts, lengths, pool = strings[1], strings[2], strings[4]
    rows = numbers.shape[1]
    while at < end:
        if row >= rows:
            return FULL, at, row
        length, p = _unsigned(data, at)
        if p > end:
            # A number longer than 8 bytes is no length at all, however many bytes were to come.
            return (CORRUPT if data[at] >= 128 and data[at] < 248 else MORE), at, row
        if length > np.uint64(1 << 40) or length < np.uint64(2):
            return CORRUPT, at, row
        stop = p + np.int64(length)
        if stop > end:
            return MORE, at, row
        found, p = _unsigned(data, p)
        if found != type_id:
            return FOREIGN, at, row
        for k in range(6):
            numbers[k, row] = 0
        for k in range(4):
            texts[k, row] = 0
        field = np.int64(-1)
        ended = False
        while p < stop:
            delta, p = _unsigned(data, p)
            if delta == 0:
                ended = p == stop
                break
            if delta > np.uint64(12) or p > stop:
                return CORRUPT, at, row
            field = field + np.int64(delta)
            if field == 11:  # headers are last: on to the end of the message
                ended = True
                break
            value, p = _unsigned(data, p)
            if p > stop:
                return CORRUPT, at, row
            if field == 2 and value > np.uint64(_LARGEST_CODE):
                return CORRUPT, at, row
            if field != 4 and value > np.uint64(_LARGEST):  # a latency has its sign in the last bit
                return CORRUPT, at, row
            if field == 1:
                numbers[1, row] = np.int64(value)
            elif field == 2:
                numbers[2, row] = np.int64(value)
            elif field == 4:
                half = np.int64(value >> np.uint64(1))
                numbers[3, row] = ~half if value & np.uint64(1) else half
            elif field == 5:
                numbers[5, row] = np.int64(value)
            elif field == 6:
                numbers[4, row] = np.int64(value)
            elif field > 11 or value > np.uint64(stop - p):
                return CORRUPT, at, row
            else:
                size = np.int64(value)
                if field == 3:  # time.Time's MarshalBinary: version, seconds, nanoseconds, zone
                    if size < 15 or size > 16 or data[p] < 1 or data[p] > 2:
                        return CORRUPT, at, row
                    seconds = np.int64(0)
                    for k in range(8):
                        seconds = (seconds << 8) | np.int64(data[p + 1 + k])
                    nanoseconds = np.int64(0)
                    for k in range(4):
                        nanoseconds = (nanoseconds << 8) | np.int64(data[p + 9 + k])
                    numbers[0, row] = (seconds - _UNIX_EPOCH_S) * 1_000_000_000 + nanoseconds
                elif field != 8:  # the body is passed over
                    column = 0 if field == 0 else (1 if field == 7 else field - 7)
                    last = texts[column, row - 1] if row > 0 else np.int32(0)
                    if last != 0 and lengths[last] == size and _same(data, p, pool, starts[last], size):
                        texts[column, row] = last
                    else:
                        code = _intern(data, p, size, strings)
                        if code < 0:
                            return STRINGS_FULL, at, row
                        texts[column, row] = code
                p += size
        if not ended:
            return CORRUPT, at, row
        at = stop
        row += 1
    return MORE, at, row
