from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.measuring import loops
from attacker.measuring.ranks import Found, RankSearch, Room, SlotTable, WideCounts, rank_of
from attacker.results.columns import Ints

LEAST, LARGEST = -(2**63), 2**63 - 1
USUAL, LITTLE = Room(), Room(counters=64, kept=4)
NOTHING_YET = (LARGEST, LEAST, 0, 0)

values = st.lists(
    st.integers(LEAST, LARGEST) | st.integers(0, 5) | st.integers(3_000_000, 3_000_900), min_size=1, max_size=80
)


def ranked(parts: Sequence[Ints], *, bits: int, room: Room) -> tuple[dict[int, int], int]:
    """Find the value of every rank of one series that lies in parts; returns them, and how often it was looked at."""
    counts = np.zeros(loops.bins(bits), np.int64)
    facts = np.array(NOTHING_YET, np.int64)
    for part in parts:
        loops.tally(part, bits, counts, facts)
    n = sum(map(len, parts))
    spread = WideCounts(bits, counts[np.newaxis], facts[0:1], facts[1:2])
    search, looks = RankSearch(spread, [np.arange(1, n + 1)], room=room), 0
    while not search.is_over:
        whole = Found.nothing(search.slots)
        for part in parts:
            whole.join(look(part, search, bits))
        search.learn(whole)
        looks += 1
    return dict(search.values[0]), looks


def look(part: Ints, search: RankSearch, bits: int) -> Found:
    found = Found.nothing(search.slots)
    SlotTable(search.slots, series=1, bits=bits).look(part, np.zeros(len(part), np.int64), found)
    return found


@given(found=values, bits=st.integers(1, 12), room=st.sampled_from([USUAL, LITTLE]), cut=st.integers(0, 80))
@example(found=[0], bits=1, room=LITTLE, cut=0)
@example(found=[LEAST, LARGEST], bits=1, room=LITTLE, cut=1)
@example(found=[7] * 80, bits=12, room=LITTLE, cut=40)
def test_every_rank_has_the_value_that_sorting_gives_it(found: list[int], bits: int, room: Room, cut: int) -> None:
    parts = [np.array(found[:cut], np.int64), np.array(found[cut:], np.int64)]

    by_rank, _ = ranked(parts, bits=bits, room=room)

    assert by_rank == dict(enumerate(sorted(found), start=1))


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(np.full(100_000, 4_000_000), id="all equal"),
        pytest.param(np.repeat([3_000_000, 60_000_000], 50_000), id="two humps"),
        pytest.param(np.append(np.arange(99_999), LARGEST), id="a huge outlier"),
        pytest.param(np.append(np.arange(99_999), LEAST), id="a huge outlier below"),
        pytest.param(np.zeros(100_000, np.int64), id="nothing at all"),
    ],
)
def test_whatever_the_values_a_few_looks_find_every_rank(found: Ints) -> None:
    by_rank, looks = ranked([found], bits=8, room=USUAL)

    assert [by_rank[rank] for rank in range(1, len(found) + 1)] == np.sort(found).tolist()
    assert looks <= 3


@given(found=st.lists(st.integers(-2, 2**44), min_size=1), bits=st.integers(1, 12))
def test_bins_are_in_the_order_of_their_values(found: list[int], bits: int) -> None:
    ordered = np.sort(np.array(found, np.int64))
    numbers = [_bin_of(one, bits) for one in ordered]

    assert numbers == sorted(numbers)
    assert max(numbers) < loops.bins(bits)


def _bin_of(value: int, bits: int) -> int:
    counts, facts = np.zeros(loops.bins(bits), np.int64), np.array(NOTHING_YET, np.int64)
    loops.tally(np.array([value], np.int64), bits, counts, facts)
    return int(np.flatnonzero(counts)[0])


@given(found=values, numerator=st.integers(1, 10_000))
def test_the_value_at_a_rank_is_the_smallest_that_covers_the_share(found: list[int], numerator: int) -> None:
    share = Fraction(numerator, 10_000)

    value = sorted(found)[rank_of(share, len(found)) - 1]

    assert value == min(one for one in found if sum(other <= one for other in found) >= share * len(found))
