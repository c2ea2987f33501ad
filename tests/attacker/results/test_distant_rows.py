"""Rows that lie elsewhere are the same rows, and no more of them is fetched than is wanted."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attacker.exits import RunBrokenError
from attacker.results.distant_rows import DistantRows
from attacker.results.parquet import ParquetRows, open_parquet, write_parquet
from attacker.results.rows import PIECE_ROWS
from tests.attacker.many_rows import many_rows

COLUMNS = ("timestamp_ns", "seq", "latency_ns")
ROWS = 2 * PIECE_ROWS + 1000


@dataclass
class Elsewhere:
    """A file that is read by ranges, and what was read of it."""

    content: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)

    def fetch(self, begin: int, end: int) -> bytes:
        self.asked.append((begin, end))
        return self.content[begin:end]

    @property
    def fetched_bytes(self) -> int:
        return sum(end - begin for begin, end in self.asked)


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> ParquetRows:
    file = tmp_path_factory.mktemp("near") / "results.parquet"
    write_parquet([many_rows(ROWS, seed=1)], file)
    return open_parquet(file)


@pytest.fixture
def elsewhere(near: ParquetRows) -> Elsewhere:
    return Elsewhere(near.file.read_bytes())


@pytest.fixture
def distant(elsewhere: Elsewhere, tmp_path: Path) -> DistantRows:
    size = len(elsewhere.content)
    return DistantRows(elsewhere.fetch, tmp_path / "far" / "a.parquet", size_bytes=size, rows=ROWS)


def values(rows: ParquetRows | DistantRows, piece: int) -> list[list[int]]:
    found = rows.piece(piece, COLUMNS)
    return [found[name].tolist() for name in COLUMNS]


def test_each_piece_is_the_one_that_lies_there(distant: DistantRows, near: ParquetRows) -> None:
    assert distant.pieces == near.pieces == 3
    assert [values(distant, piece) for piece in (2, 0, 1)] == [values(near, piece) for piece in (2, 0, 1)]


def test_only_what_is_wanted_is_fetched_and_that_once(
    distant: DistantRows, elsewhere: Elsewhere, near: ParquetRows
) -> None:
    assert values(distant, 1) == values(near, 1)
    once = elsewhere.fetched_bytes
    assert values(distant, 1) == values(near, 1)

    assert elsewhere.fetched_bytes == once < len(elsewhere.content) / 2


def test_several_threads_may_want_it(distant: DistantRows, near: ParquetRows) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda piece: values(distant, piece), [0, 1, 2] * 4))

    assert found == [values(near, piece) for piece in [0, 1, 2] * 4]


def test_what_was_forgotten_is_fetched_again(distant: DistantRows, near: ParquetRows, tmp_path: Path) -> None:
    values(distant, 0)
    distant.forget()

    assert list((tmp_path / "far").iterdir()) == []
    assert values(distant, 0) == values(near, 0)


def test_a_footer_that_is_longer_than_was_thought_is_fetched_whole(
    distant: DistantRows, near: ParquetRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attacker.results.distant_rows._LIKELY_FOOTER_BYTES", 9)

    assert values(distant, 1) == values(near, 1)


def test_bytes_that_do_not_come_are_told_of(near: ParquetRows, tmp_path: Path) -> None:
    size = near.file.stat().st_size
    cut = DistantRows(lambda begin, end: b"x" * (end - begin - 1), tmp_path / "far", size_bytes=size, rows=ROWS)

    with pytest.raises(RunBrokenError, match=r"far: \d+ of \d+ bytes came from place"):
        cut.piece(0, COLUMNS)
