from collections.abc import Collection, Iterator, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attacker.measuring.duplicates import ALWAYS, Window, count_duplicates, pieces_in
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.results.columns import Ints, Results
from attacker.results.rows import HeldRows, Piece, piece_of
from tests.attacker.building import MS, START_NS, rows

Row = tuple[int, int, int]

said = st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 2))
targets = st.lists(st.lists(st.lists(said, max_size=12), min_size=1, max_size=3), min_size=1, max_size=3)


def a_sample(shards: Sequence[Sequence[Row]]) -> Sample:
    return Sample(shards=tuple(MeasuredShard(rows=HeldRows(_rows(shard), piece_rows=5)) for shard in shards))


def _rows(said: Sequence[Row]) -> Results:
    timestamps, places, latencies = zip(*said, strict=True) if said else ((), (), ())
    return rows(latencies, timestamp_ns=[START_NS + one for one in timestamps], seq=places)


@given(said=targets)
def test_a_duplicate_is_a_row_of_the_same_target_that_says_what_another_says(said: list[list[list[Row]]]) -> None:
    samples = [a_sample(shards) for shards in said]

    counted = count_duplicates(samples, Here(samples).outlines())

    every = [[row for shard in shards for row in shard] for shards in said]
    assert counted == tuple(len(rows) - len(set(rows)) for rows in every)


# Of millions of requests, two of the same place in two shards do go out in the same nanosecond.
def test_two_shards_requests_of_one_nanosecond_are_no_duplicates() -> None:
    samples = [a_sample([[(0, 7, 3)], [(0, 7, 4)]])]

    assert count_duplicates(samples, Here(samples).outlines()) == (0,)


class ReadOnce(HeldRows):
    """Rows that cannot be read again."""

    def piece(self, index: int, columns: Collection[str]) -> Piece:
        raise AssertionError(f"piece {index} is read again, for {columns}")

    def first(self) -> Iterator[Piece]:
        yield piece_of(self.results)


def test_a_file_alone_that_has_each_place_once_is_not_read_again() -> None:
    samples = [Sample(shards=(MeasuredShard(rows=ReadOnce(_rows([(0, 7, 3), (0, 8, 3)]))),))]

    assert count_duplicates(samples, Here(samples).outlines()) == (0,)


@given(said=targets, cut=st.integers(0, 21))
def test_the_counts_of_windows_add_up(said: list[list[list[Row]]], cut: int) -> None:
    samples = [a_sample(shards) for shards in said]
    outlines = Here(samples).outlines()
    windows = [Window(ALWAYS.from_ns, START_NS + cut), Window(START_NS + cut, ALWAYS.until_ns)]

    parts = [count_duplicates(samples, outlines, window=window) for window in windows]

    assert tuple(map(sum, zip(*parts, strict=True))) == count_duplicates(samples, outlines)


def test_of_a_shard_only_the_pieces_are_read_of_which_something_was_sent_in_the_window() -> None:
    outlines = Here([a_sample([[(10 * n, n, 0) for n in range(20)], [(100, 0, 0)], []])]).outlines()

    # Pieces of five rows: from 0 to 40, from 50 to 90, from 100 to 140, from 150 to 190.
    wanted = list(pieces_in(Window(START_NS + 90, START_NS + 101), outlines))

    assert wanted == [(0, 0, 1), (0, 0, 2), (0, 1, 0)]
    assert list(pieces_in(ALWAYS, outlines)) == [(0, 0, piece) for piece in range(4)] + [(0, 1, 0)]
    assert not list(pieces_in(Window(START_NS, START_NS + 100), outlines))  # one shard alone sent, each place but once


def test_a_file_that_is_there_twice_is_counted_row_by_row_however_large() -> None:
    latencies: Ints = np.random.default_rng(5).integers(0, 100 * MS, 1_100_000)
    twice = rows(latencies.tolist())
    samples = [Sample(shards=tuple(MeasuredShard(rows=HeldRows(twice)) for _ in range(2)))]

    assert count_duplicates(samples, Here(samples).outlines()) == (1_100_000,)
