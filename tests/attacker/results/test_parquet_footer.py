"""Where the columns of a Parquet file lie, as its own footer says."""

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.exits import RunBrokenError
from attacker.results.parquet_footer import MAGIC, TAIL_BYTES, footer_bytes, parse_footer


def footer_of(content: bytes) -> bytes:
    length = footer_bytes(content[-TAIL_BYTES:])
    return content[-TAIL_BYTES - length : -TAIL_BYTES]


@given(
    rows=st.integers(1, 50),
    group=st.integers(1, 60),
    names=st.lists(st.text("abcö_", min_size=1), min_size=1, unique=True),
)
def test_all_columns_of_all_groups_lie_one_after_the_other_before_the_footer(
    tmp_path_factory: pytest.TempPathFactory, rows: int, group: int, names: list[str]
) -> None:
    file = tmp_path_factory.mktemp("any") / "a.parquet"
    columns = {name: np.arange(rows) * number for number, name in enumerate(names)}
    pl.DataFrame(columns).write_parquet(file, row_group_size=group)

    content = file.read_bytes()
    groups = parse_footer(footer_of(content))

    places = [place for one in groups for place in one.columns.values()]
    assert sum(one.rows for one in groups) == rows
    assert {tuple(one.columns) for one in groups} == {tuple(columns)}
    assert places[0][0] == len(MAGIC)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(places))
    assert places[-1][1] <= len(content) - TAIL_BYTES - len(footer_of(content))


def test_a_page_header_stands_where_a_column_begins(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(tmp_path / "a", compression="uncompressed")
    content = (tmp_path / "a").read_bytes()

    [group] = parse_footer(footer_of(content))

    begin, end = group.place_of(["a"])
    assert struct.pack("<qq", 1, 2) in content[begin:end]
    assert group.place_of(["b", "a"]) == (begin, group.columns["b"][1])


def test_a_column_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a")
    [group] = parse_footer(footer_of((tmp_path / "a").read_bytes()))

    with pytest.raises(RunBrokenError, match="a Parquet file has no column seq: attack again"):
        group.place_of(["a", "seq"])


@pytest.mark.parametrize("tail", [b"", b"PAR1", b"\0\0\0\0PAR2"], ids=["empty", "short", "other"])
def test_what_ends_otherwise_is_no_parquet_file(tail: bytes) -> None:
    with pytest.raises(RunBrokenError, match=r"is no end of a Parquet file: attack again"):
        footer_bytes(tail)


@given(data=st.binary(max_size=200))
def test_what_is_no_footer_is_told_of_or_has_no_groups(data: bytes) -> None:
    try:
        assert len(parse_footer(data)) * 2 <= len(data)
    except RunBrokenError as error:
        assert str(error) == f"{len(data)} bytes are no footer of a Parquet file: attack again"  # noqa: PT017


def test_a_footer_that_is_cut_is_told_of(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a")

    with pytest.raises(RunBrokenError, match="bytes are no footer of a Parquet file"):
        parse_footer(footer_of((tmp_path / "a").read_bytes())[:-20])
