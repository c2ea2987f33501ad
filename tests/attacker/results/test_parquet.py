from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.exits import RunBrokenError
from attacker.results.columns import Results, Text
from attacker.results.gob import read_gob
from attacker.results.parquet import open_parquet, write_parquet
from attacker.results.rows import PIECE_ROWS
from tests.attacker.building import MS, rows
from tests.attacker.by_vegeta import columns_of

numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
any_rows = st.lists(
    st.tuples(numbers, numbers, st.integers(0, 65535), numbers, numbers, numbers, texts, texts, texts), max_size=20
)


def results_of(written: list[tuple[int, int, int, int, int, int, str, str, str]]) -> Results:
    timestamp_ns, seq, code, latency_ns, bytes_in, bytes_out, error, method, url = (
        zip(*written, strict=True) if written else ((),) * 9
    )
    return Results(
        timestamp_ns=np.array(timestamp_ns, np.int64),
        seq=np.array(seq, np.int64),
        code=np.array(code, np.int64),
        latency_ns=np.array(latency_ns, np.int64),
        bytes_in=np.array(bytes_in, np.int64),
        bytes_out=np.array(bytes_out, np.int64),
        attack=text_of(["the-shard"] * len(written)),
        error=text_of(list(error)),
        method=text_of(list(method)),
        url=text_of(list(url)),
    )


def text_of(spelled: list[str]) -> Text:
    """Give the values a twin each, as several batches of one file have."""
    values = (*dict.fromkeys(spelled), *dict.fromkeys(spelled))
    return Text(np.array([values.index(one) for one in spelled], np.int32), values)


def _columns_in(file: Path) -> dict[str, list[int] | list[str]]:
    return pl.read_parquet(file).to_dict(as_series=False)


def _written_of(results: Results) -> dict[str, list[int] | list[str]]:
    return {name: values for name, values in columns_of(results).items() if name != "attack"}


@given(written=any_rows)
def test_rows_are_read_as_they_were_written(
    written: list[tuple[int, int, int, int, int, int, str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "results.parquet"
    results = results_of(written)

    write_parquet([results[:7], results[7:]], file)

    assert _columns_in(file) == _written_of(results)


def test_vegetas_rows_are_all_there(results_of_every_kind: bytes, tmp_path: Path) -> None:
    raw, file = tmp_path / "results.gob", tmp_path / "results.parquet"
    raw.write_bytes(results_of_every_kind)
    with raw.open("rb") as stream:
        results = read_gob(stream, name="results.gob").results

    write_parquet([results], file)

    assert _columns_in(file) == _written_of(results)


def test_the_columns_have_the_designs_names_and_order(tmp_path: Path) -> None:
    write_parquet([rows([MS] * 3)], tmp_path / "results.parquet")

    frame = pl.read_parquet(tmp_path / "results.parquet")

    assert " ".join(frame.columns) == "timestamp_ns seq code latency_ns bytes_in bytes_out error method url"
    assert frame.null_count().sum_horizontal().to_list() == [0]


def test_a_missing_file_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RunBrokenError, match=r"results\.parquet: these are no rows of a shard \(.*\): attack again"):
        open_parquet(tmp_path / "results.parquet")


def test_a_file_of_other_columns_is_told_of(tmp_path: Path) -> None:
    pl.DataFrame({"seq": [1]}).write_parquet(tmp_path / "results.parquet")

    with pytest.raises(RunBrokenError, match=r"these are no rows of a shard \(.*\): attack again"):
        open_parquet(tmp_path / "results.parquet")


def test_a_file_that_is_cut_anywhere_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    write_parquet([rows([MS] * 3)], file)
    whole = file.read_bytes()

    told = [_told(file, whole[:cut]) for cut in range(0, len(whole), 97)]

    assert all(one.startswith(f"{file}: these are no rows of a shard (") for one in told)


def _told(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    with pytest.raises(RunBrokenError, match="no rows of a shard") as caught:
        open_parquet(file)
    return str(caught.value)


def test_the_pieces_of_a_file_are_its_rows_one_after_the_other(tmp_path: Path) -> None:
    results = rows(range(2 * PIECE_ROWS + 5), error=["", "EOF", "EOF", "late", ""] + [""] * (2 * PIECE_ROWS))
    write_parquet([results[:3], results[3:]], tmp_path / "results.parquet")

    opened = open_parquet(tmp_path / "results.parquet")

    assert (len(opened), opened.pieces) == (2 * PIECE_ROWS + 5, 3)
    pieces = [opened.piece(index, ("latency_ns",)) for index in (2, 0, 1)]
    assert [piece["latency_ns"][0] for piece in pieces] == [2 * PIECE_ROWS, 0, PIECE_ROWS]
    assert np.concatenate([piece["seq"] for piece in opened.first()]).tolist() == list(range(2 * PIECE_ROWS + 5))
    first = next(iter(opened.first()))
    assert first.errors is not None
    assert first.errors(first["seq"] < 5).to_list() == ["", "EOF", "EOF", "late", ""]


def test_a_column_without_a_value_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    write_parquet([rows([MS] * 3)], file)
    pl.read_parquet(file).with_columns(pl.lit(None, pl.Int64).alias("seq")).write_parquet(file)

    with pytest.raises(RunBrokenError, match=r"these are no rows of a shard \(column seq has rows without a value\)"):
        list(open_parquet(file).first())


# Polars ends in a panic there, which is no Exception.
def test_a_page_that_says_that_it_holds_fewer_rows_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"
    write_parquet([rows([MS] * 3)], file)
    whole = file.read_bytes()
    of_3_rows, of_2_rows = b"\x2c\x15\x06", b"\x2c\x15\x04"
    second = whole.index(of_3_rows, whole.index(of_3_rows) + 1)
    file.write_bytes(whole[:second] + of_2_rows + whole[second + 3 :])

    with pytest.raises(RunBrokenError, match=r"these are no rows of a shard \(.*\): attack again"):
        list(open_parquet(file).first())


def test_what_is_raised_while_rows_come_is_raised_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "results.parquet"

    def damaged() -> Iterator[Results]:
        yield rows([MS] * 3)
        raise RunBrokenError("results.gob: byte 7: a damaged record")

    with pytest.raises(RunBrokenError, match=r"^results\.gob: byte 7: a damaged record$"):
        write_parquet(damaged(), file)

    assert pl.read_parquet(file)["seq"].to_list() == [0, 1, 2]


def test_each_group_of_rows_is_a_piece(tmp_path: Path) -> None:
    file, part = tmp_path / "results.parquet", rows(range(PIECE_ROWS // 2 + 1))

    write_parquet([part] * 3, file)

    groups = f"SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata('{file}') ORDER BY 1"
    with duckdb.connect() as database:
        assert database.execute(groups).fetchall() == [(0, PIECE_ROWS), (1, PIECE_ROWS // 2 + 3)]
