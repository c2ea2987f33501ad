import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attacker.results.columns import Results, Text
from tests.attacker.building import MS, rows
from tests.attacker.by_vegeta import columns_of

parts = st.lists(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["", "EOF", "größe"])), max_size=8), max_size=5
)


@given(parts=parts)
def test_joined_rows_are_those_of_the_parts_one_after_the_other(parts: list[list[tuple[int, str]]]) -> None:
    results = [rows([one for one, _ in part], error=[error for _, error in part]) for part in parts]

    joined = Results.joined(results)

    assert len(joined) == sum(map(len, parts))
    assert joined.latency_ns.tolist() == [latency for part in parts for latency, _ in part]
    assert joined.error.to_list() == [error for part in parts for _, error in part]


def test_joined_texts_have_each_value_once() -> None:
    joined = Results.joined([rows([MS] * 2, error=["EOF", ""]), rows([MS] * 2, error=["", "EOF"])])

    assert sorted(joined.error.values) == ["", "EOF"]


def test_of_no_parts_there_are_no_rows() -> None:
    assert columns_of(Results.joined([])) == columns_of(rows([]))


def test_rows_are_chosen_in_all_columns() -> None:
    results = rows([1, 2, 3], error=["a", "b", "c"])

    chosen = results[np.array([True, False, True])]

    assert (chosen.latency_ns.tolist(), chosen.error.to_list(), chosen.seq.tolist()) == ([1, 3], ["a", "c"], [0, 2])
    assert columns_of(results[1:2]) == {name: column[1:2] for name, column in columns_of(results).items()}


def test_a_text_may_hold_a_value_more_than_once() -> None:
    assert Text(np.array([0, 1, 2], np.int32), ("a", "b", "a")).to_list() == ["a", "b", "a"]
