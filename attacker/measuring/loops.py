"""The hot loops over rows, compiled by numba: they count into arrays that others made, and let other threads run.

Values are counted in bins that a float64 makes by itself: its exponent, and the first `bits` binary digits that follow.
Bin 0 holds what is not positive, the last bin what is `LARGE` or more.
"""

from typing import Any

import numba
import numpy as np
from numba import boolean, int32, int64, types, uint8, uint64, void

__all__ = [
    "LARGE",
    "LARGE_BITS",
    "bins",
    "count_cells",
    "gather",
    "mark_places",
    "mix",
    "most_under_way",
    "notice_twice",
    "pick_chosen",
    "pick_known",
    "remember",
    "tally",
    "tally_by_bucket",
]

LARGE_BITS = 43
LARGE = 1 << LARGE_BITS
"""2.4 hours in nanoseconds."""
_ONE = 1023
"""The exponent of 1.0 as a float64 holds it."""
_MANTISSA_BITS = 52
# Signatures, for what is compiled once and kept must suit rows from every place: some may not be written to.
_VALUES = types.Array(int64, 1, "C", readonly=True)
_SERIES = types.Array(int64, 1, "A", readonly=True)  # or one number for all
_COUNTS = int64[::1]
_TABLE = int64[:, ::1]
_CELLS = int32[::1]
_MARKS = boolean[::1]
_KEYS = uint64[::1]
_FIRST = int32[:, ::1]
_SLOTS = types.Tuple([int64[::1], int64[::1], int64[::1], int64[::1], boolean[::1]])  # type: ignore[no-untyped-call]


def bins(bits: int) -> int:
    """Tell how many bins there are with so many digits."""
    return 2 + (LARGE_BITS << bits)


@numba.njit(cache=True, nogil=True, inline="always")
def _bin(value: Any, bits: Any, as_float: Any, as_bits: Any) -> Any:
    if value <= 0:
        return 0
    if value >= LARGE:
        return 1 + (LARGE_BITS << bits)
    as_float[0] = value
    return 1 + (as_bits[0] >> (_MANTISSA_BITS - bits)) - (_ONE << bits)


@numba.njit(void(_VALUES, int64, _COUNTS, _COUNTS), cache=True, nogil=True)
def tally(values: Any, bits: Any, counts: Any, facts: Any) -> None:
    """Count values in bins; facts: smallest, largest, sum of the upper 32 bits, sum of the lower ones."""
    as_float = np.empty(1, np.float64)
    as_bits = as_float.view(np.int64)
    low, high, upper, lower = facts[0], facts[1], facts[2], facts[3]
    for row in range(values.shape[0]):
        value = values[row]
        counts[_bin(value, bits, as_float, as_bits)] += 1
        low, high = min(low, value), max(high, value)
        upper += value >> 32
        lower += value & 0xFFFFFFFF
    facts[0], facts[1], facts[2], facts[3] = low, high, upper, lower


@numba.njit(void(_VALUES, _VALUES, _VALUES, int64, _TABLE, _TABLE), cache=True, nogil=True)
def tally_by_bucket(values: Any, buckets: Any, failed: Any, bits: Any, counts: Any, facts: Any) -> None:
    """Count values in the bins of their buckets; facts, one row a bucket: smallest, largest, failed requests."""
    as_float = np.empty(1, np.float64)
    as_bits = as_float.view(np.int64)
    for row in range(values.shape[0]):
        value, bucket = values[row], buckets[row]
        counts[bucket, _bin(value, bits, as_float, as_bits)] += 1
        facts[bucket, 0] = min(facts[bucket, 0], value)
        facts[bucket, 1] = max(facts[bucket, 1], value)
        facts[bucket, 2] += failed[row]


@numba.njit(cache=True, nogil=True, inline="always")
def _found_slot(value: Any, slot: Any, low: Any, high: Any, last: Any) -> Any:
    """Find the slot of a value among those of its bin, which stand in a row from `slot` on; -1 where it is in none."""
    while slot >= 0:
        if low[slot] <= value <= high[slot]:
            return slot
        slot = -1 if last[slot] else slot + 1
    return -1


@numba.njit(cache=True, nogil=True, inline="always")
def _steps(value: Any, low: Any, shift: Any) -> Any:
    """Tell how many steps of 2**shift a value is above the lowest; the whole range of int64 may lie between them."""
    return np.int64((np.uint64(value) - np.uint64(low)) >> np.uint64(shift))


@numba.njit(int64(_VALUES, _SERIES, int64, _FIRST, _SLOTS, _COUNTS, _TABLE), cache=True, nogil=True)
def gather(values: Any, series: Any, bits: Any, first: Any, slots: Any, counts: Any, found: Any) -> Any:  # noqa: PLR0913, PLR0917
    """Look at values in slots only: count them finer, or keep them.

    Args:
        values: of any series.
        series: of each value.
        bits: of their bins.
        first: the first slot by series and bin; -1 where there is none.
        slots: low, high, shift (-1: keep), where its counts begin, and whether it is the last of its bin.
        counts: of all slots.
        found: int64[2, at least one a value]: slot and value of each that is kept.

    Returns:
        How many were kept.
    """
    low, high, shift, begin, last = slots
    as_float = np.empty(1, np.float64)
    as_bits = as_float.view(np.int64)
    kept = 0
    for row in range(values.shape[0]):
        value = values[row]
        slot = _found_slot(value, first[series[row], _bin(value, bits, as_float, as_bits)], low, high, last)
        if slot >= 0:
            if shift[slot] >= 0:
                counts[begin[slot] + _steps(value, low[slot], shift[slot])] += 1
            else:
                found[0, kept], found[1, kept] = slot, value
                kept += 1
    return kept


@numba.njit(int64(_VALUES, uint8[::1]), cache=True, nogil=True)
def mark_places(seq: Any, seen: Any) -> Any:
    """Mark each place in a bitmap, which has room for it; returns how many were new."""
    new = 0
    for row in range(seq.shape[0]):
        place = seq[row]
        bit = np.uint8(1 << (place & 7))
        if not seen[place >> 3] & bit:
            seen[place >> 3] |= bit
            new += 1
    return new


@numba.njit(int64(_VALUES, int64, int64, _CELLS), cache=True, nogil=True)
def count_cells(moments_ns: Any, origin_ns: Any, shift: Any, counts: Any) -> Any:
    """Count moments in cells of time from the origin on, those after the last cell in none; returns those before."""
    before = 0
    for row in range(moments_ns.shape[0]):
        after = moments_ns[row] - origin_ns
        if after < 0:
            before += 1
        elif (after >> shift) < counts.shape[0]:
            counts[after >> shift] += 1
    return before


@numba.njit(int64(_VALUES, int64, int64, _MARKS, _COUNTS), cache=True, nogil=True)
def pick_chosen(moments_ns: Any, origin_ns: Any, shift: Any, chosen: Any, found: Any) -> Any:
    """Find the moments that are in marked cells of time; returns how many, they are in `found`."""
    picked = 0
    for row in range(moments_ns.shape[0]):
        cell = (moments_ns[row] - origin_ns) >> shift
        if 0 <= cell < chosen.shape[0] and chosen[cell]:
            found[picked] = moments_ns[row]
            picked += 1
    return picked


@numba.njit(int64(_COUNTS, _COUNTS, int64, int64, _COUNTS, _COUNTS), cache=True, nogil=True)
def most_under_way(starts_ns: Any, ends_ns: Any, origin_ns: Any, shift: Any, cells: Any, at_begin: Any) -> Any:
    """Tell the most that were under way at one moment of some cells of time.

    Args:
        starts_ns: those in the cells, in order.
        ends_ns: likewise.
        origin_ns: where the first of all cells begins.
        shift: a cell lasts 2**shift nanoseconds.
        cells: in order; each has a start.
        at_begin: how many were under way when each began.
    """
    most, under_way = np.int64(0), np.int64(0)
    number, end = -1, 0
    for row in range(starts_ns.shape[0]):
        cell = (starts_ns[row] - origin_ns) >> shift
        if number < 0 or cells[number] != cell:
            while number < 0 or cells[number] != cell:
                number += 1
            under_way = at_begin[number]
            while end < ends_ns.shape[0] and (ends_ns[end] - origin_ns) >> shift < cell:
                end += 1
        while end < ends_ns.shape[0] and ends_ns[end] <= starts_ns[row]:
            under_way -= 1
            end += 1
        under_way += 1
        most = max(most, under_way)
    return most


@numba.njit(void(_VALUES, _VALUES, _VALUES, uint64, _KEYS), cache=True, nogil=True)
def mix(timestamp_ns: Any, seq: Any, latency_ns: Any, salt: Any, keys: Any) -> None:
    """Make a key of each row, the same for the same row and never 0. Source: the finaliser of splitmix64."""
    for row in range(keys.shape[0]):
        key = np.uint64(salt)
        for part in (timestamp_ns[row], seq[row], latency_ns[row]):
            key = (key ^ np.uint64(part)) + np.uint64(0x9E3779B97F4A7C15)
            key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            key ^= key >> np.uint64(31)
        keys[row] = max(key, np.uint64(1))


@numba.njit(int64(_KEYS, uint64, uint64, _KEYS, _KEYS), cache=True, nogil=True)
def notice_twice(keys: Any, least: Any, most: Any, filter_words: Any, found: Any) -> Any:
    """Put the keys from `least` to `most` into a Bloom filter, each within one word of it.

    Returns:
        How many were in it already, or seemed to be: those are in `found`.
    """
    mask = np.uint64(filter_words.shape[0] - 1)
    noticed = 0
    for row in range(keys.shape[0]):
        key = keys[row]
        if key < least or key > most:
            continue
        spread = key * np.uint64(0xD6E8FEB86659FD93)
        spread ^= spread >> np.uint64(32)
        word = np.int64((spread >> np.uint64(24)) & mask)
        bits = np.uint64(0)
        for field in range(4):
            bits |= np.uint64(1) << ((spread >> np.uint64(6 * field)) & np.uint64(63))
        if filter_words[word] & bits == bits:
            found[noticed] = key
            noticed += 1
        filter_words[word] |= bits
    return noticed


@numba.njit(void(_KEYS, _KEYS), cache=True, nogil=True)
def remember(keys: Any, table: Any) -> None:
    """Put keys into a hash table that is at least twice as large; 0 marks what is free."""
    mask = np.uint64(table.shape[0] - 1)
    for row in range(keys.shape[0]):
        slot = keys[row] & mask
        while table[np.int64(slot)] != np.uint64(0) and table[np.int64(slot)] != keys[row]:
            slot = (slot + np.uint64(1)) & mask
        table[np.int64(slot)] = keys[row]


@numba.njit(int64(_KEYS, _KEYS, _COUNTS), cache=True, nogil=True)
def pick_known(keys: Any, table: Any, found: Any) -> Any:
    """Find the rows whose keys are in the table; returns how many, their numbers are in `found`."""
    mask = np.uint64(table.shape[0] - 1)
    known = 0
    for row in range(keys.shape[0]):
        slot = keys[row] & mask
        while table[np.int64(slot)] != np.uint64(0):
            if table[np.int64(slot)] == keys[row]:
                found[known] = row
                known += 1
                break
            slot = (slot + np.uint64(1)) & mask
    return known
