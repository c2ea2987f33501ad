from collections.abc import Sequence

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.results import Results
from attacker.schedule import max_in_flight, schedule_of, seq_gaps
from tests.attacker.building import MS, START_NS, rows

moments = st.integers(START_NS, START_NS + 20)
spans = st.integers(0, 12)
rows_close_together = st.lists(st.tuples(moments, st.integers(0, 6), spans), max_size=25)


def test_a_request_that_is_sent_when_it_is_due_has_no_lag() -> None:
    schedule = schedule_of(rows([MS] * 4), interval_ns=100 * MS)

    assert schedule is not None
    assert (schedule.origin_ns, schedule.lag_ns.tolist()) == (START_NS, [0, 0, 0, 0])


def test_a_request_that_is_sent_late_has_a_lag_whatever_the_order_of_the_rows() -> None:
    sent = [START_NS + 200 * MS, START_NS + 107 * MS, START_NS]

    schedule = schedule_of(rows([MS] * 3, timestamp_ns=sent, seq=[2, 1, 0]), interval_ns=100 * MS)

    assert schedule is not None
    assert schedule.lag_ns.tolist() == [0, 7 * MS, 0]


def test_the_start_is_found_though_its_first_requests_were_late_or_left_no_row() -> None:
    sent = [START_NS + 130 * MS, START_NS + 200 * MS]

    schedule = schedule_of(rows([MS] * 2, timestamp_ns=sent, seq=[1, 2]), interval_ns=100 * MS)

    assert schedule is not None
    assert (schedule.origin_ns, schedule.lag_ns.tolist()) == (START_NS, [30 * MS, 0])


def test_without_rows_there_is_no_schedule() -> None:
    assert schedule_of(rows([]), interval_ns=100 * MS) is None


@given(
    sent=st.lists(st.tuples(moments, st.integers(0, 10**6)), min_size=1, max_size=25), interval_ns=st.integers(1, 10**9)
)
def test_the_lag_is_how_much_later_than_the_most_punctual_request(
    sent: list[tuple[int, int]], interval_ns: int
) -> None:
    late = [timestamp_ns - seq * interval_ns for timestamp_ns, seq in sent]
    timestamps, places = zip(*sent, strict=True)

    schedule = schedule_of(rows([0] * len(sent), timestamp_ns=timestamps, seq=places), interval_ns=interval_ns)

    assert schedule is not None
    assert schedule.origin_ns == min(late)
    assert schedule.lag_ns.tolist() == [one - min(late) for one in late]


@given(seq=st.lists(st.integers(0, 30)))
@example(seq=[])
@example(seq=[3])
def test_a_gap_is_a_place_below_the_last_that_no_row_has(seq: list[int]) -> None:
    assert seq_gaps(np.array(seq, np.int64)) == len(set(range(max(seq, default=-1) + 1)) - set(seq))


@given(sent=rows_close_together)
@example(sent=[(START_NS, 0, 5), (START_NS + 5, 1, 5)])
@example(sent=[(START_NS, 0, 0), (START_NS, 1, 0)])
def test_as_many_are_in_flight_as_have_started_and_not_ended(sent: list[tuple[int, int, int]]) -> None:
    results = _rows_of(sent)

    assert max_in_flight(results.timestamp_ns, results.latency_ns) == max(
        (_in_flight(sent, moment) for moment, _, _ in sent), default=0
    )


def test_a_request_that_ends_as_another_starts_has_ended_before() -> None:
    results = rows([100 * MS] * 5)

    assert max_in_flight(results.timestamp_ns, results.latency_ns) == 1


def _rows_of(sent: Sequence[tuple[int, int, int]]) -> Results:
    timestamps, places, latencies = zip(*sent, strict=True) if sent else ((), (), ())
    return rows(latencies, timestamp_ns=timestamps, seq=places)


def _in_flight(sent: Sequence[tuple[int, int, int]], moment: int) -> int:
    return sum(start <= moment < start + latency for start, _, latency in sent)
