from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.measuring.in_flight import InFlightSearch, Moments, cells_over, chosen_moments
from attacker.measuring.loops import count_cells
from attacker.results.columns import Ints
from tests.attacker.building import START_NS
from tests.attacker.plainly import max_in_flight

spans = st.integers(0, 40) | st.integers(0, 10**12)
requests = st.lists(st.tuples(spans, spans), min_size=1, max_size=60)


def searched(starts_ns: Ints, ends_ns: Ints, *, rows: int, room: int) -> tuple[int, int]:
    """Search with as many cells as are worth it for so many rows; returns the most, and how often it looked."""
    cells = cells_over(int(starts_ns.min()), int(starts_ns.max()), series=1, rows=rows)
    counts = np.zeros((2, cells.number), np.int32)
    assert count_cells(starts_ns, cells.origin_ns, cells.shift, counts[0]) == 0
    before = count_cells(ends_ns, cells.origin_ns, cells.shift, counts[1])
    search, looks = InFlightSearch(cells, counts[0], counts[1], before, room=room), 0
    while not search.is_over:
        marks = np.isin(np.arange(cells.number), search.cells)
        starts, ends = (chosen_moments(moments, cells, marks) for moments in (starts_ns, ends_ns))
        search.learn(Moments([starts[:1], starts[1:]], [ends]))
        looks += 1
    return search.most, looks


@given(sent=requests, rows=st.sampled_from([1, 5, 1000]), room=st.sampled_from([1, 10, 1000]))
@example(sent=[(0, 5), (5, 0)], rows=1, room=1)
@example(sent=[(0, 0), (0, 0)], rows=1, room=1)
def test_the_most_under_way_are_those_that_counting_moment_by_moment_finds(
    sent: Sequence[tuple[int, int]], rows: int, room: int
) -> None:
    starts_ns = START_NS + np.array([after for after, _ in sent], np.int64)
    latency_ns = np.array([lasting for _, lasting in sent], np.int64)

    most, _ = searched(starts_ns, starts_ns + latency_ns, rows=rows, room=room)

    assert most == max_in_flight(starts_ns, latency_ns)


@pytest.mark.parametrize("latency_ns", [10_000, 1_000_000, 400_000_000], ids=["short", "usual", "long"])
def test_of_many_requests_only_a_little_is_looked_into(latency_ns: int) -> None:
    random = np.random.default_rng(3)
    starts_ns = START_NS + np.sort(random.integers(0, 10**10, 200_000))
    ends_ns = starts_ns + random.exponential(latency_ns, len(starts_ns)).astype(np.int64)

    most, looks = searched(starts_ns, ends_ns, rows=200_000, room=20_000)

    assert most == max_in_flight(starts_ns, ends_ns - starts_ns)
    assert looks <= 3
