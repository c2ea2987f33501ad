"""This machine's clock against the storage server's."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.bucket import Bucket
from attacker.pods.clock import ClockedFiles, compare
from tests.attacker.attack_pods import a_bucket

bucket = a_bucket

MS = 1_000_000


def test_the_offset_lies_within_the_time_that_the_answer_took() -> None:
    # Made at 5,000 ms of the server's clock, between 1,000 and 1,010 ms of this one: 3,990 to 4,001 ms ahead.
    clock = compare(before_ns=1000 * MS, made_ns=5000 * MS, after_ns=1010 * MS)

    assert (clock.offset_ns, clock.uncertainty_ns) == (3_995_500_000, 5_500_000)


@given(offset=st.integers(-(10**12), 10**12), there=st.integers(0, 10**9), back=st.integers(0, 10**9))
def test_the_true_offset_is_never_outside_of_what_is_told(offset: int, there: int, back: int) -> None:
    before_ns = 1_771_254_421_123_456_789
    made_ns = (before_ns + there + offset) // MS * MS

    clock = compare(before_ns=before_ns, made_ns=made_ns, after_ns=before_ns + there + back)

    assert abs(clock.offset_ns - offset) <= clock.uncertainty_ns + 1
    assert clock.uncertainty_ns <= (there + back + MS) // 2 + 1


def ahead_by(ns: int) -> Callable[[], int]:
    return lambda: time.time_ns() + ns


@pytest.mark.parametrize("ahead_ns", [0, 2_000_000_000, -70_000_000_000])
def test_a_clock_that_is_wrong_is_found_by_writing_a_file(bucket: Bucket, ahead_ns: int) -> None:
    files = ClockedFiles(bucket, ahead_by(ahead_ns))

    files.write("ready", b"")

    assert files.clock is not None
    assert abs(files.clock.offset_ns + ahead_ns) <= files.clock.uncertainty_ns
    assert files.clock.uncertainty_ns < 5_000_000_000


def test_the_most_certain_comparison_is_kept(bucket: Bucket) -> None:
    slowly: Iterator[int] = iter([0, 10**12])
    files = ClockedFiles(bucket, lambda: next(slowly, time.time_ns()))
    files.write("first", b"")
    uncertain = files.clock

    files.write("second", b"")

    assert uncertain is not None
    assert files.clock is not None
    assert files.clock.uncertainty_ns < uncertain.uncertainty_ns == 500_000_500_000


def test_all_else_is_done_by_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    files = ClockedFiles(bucket, time.time_ns)

    assert files.create("a/b", b"1")
    assert not files.create("a/b", b"2")
    assert (files.names("a/"), files.read("a/b")) == (("a/b",), b"1")
    files.delete("a/b")
    assert (files.names("a/"), files.clock, list(tmp_path.glob("b"))) == ((), None, [])
