import io
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from attacker.exits import RunBrokenError
from attacker.results.gob import read_gob
from attacker.results.rows import Piece
from attacker.results.spool import SpooledGob
from tests.attacker.by_vegeta import a_record, gob_of

KEPT = ("timestamp_ns", "seq", "code", "latency_ns")
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def content() -> bytes:
    """More rows than one piece."""
    return gob_of([a_record(seq=seq, latency=seq * 7, code=seq % 600, error=f"{seq % 3}") for seq in range(140_000)])


@contextmanager
def spooled(content: bytes, **options: int) -> Iterator[SpooledGob]:
    with SpooledGob(lambda: io.BytesIO(content), name="results.gob", **options) as rows:
        yield rows


def columns(pieces: list[Piece]) -> dict[str, list[int]]:
    return {name: np.concatenate([piece[name] for piece in pieces]).tolist() for name in KEPT}


@pytest.mark.parametrize("in_memory_bytes", [1 << 26, 1000], ids=["in memory", "in a file"])
def test_what_is_read_again_is_what_was_read_first(content: bytes, in_memory_bytes: int) -> None:
    with spooled(content, in_memory_bytes=in_memory_bytes) as rows:
        first = list(rows.first())
        again = [rows.piece(index, KEPT) for index in reversed(range(rows.pieces))]

    results = read_gob(io.BytesIO(content), name="results.gob").results
    assert columns(again[::-1]) == columns(first) == {name: getattr(results, name).tolist() for name in KEPT}
    assert rows.pieces == 2


def test_a_first_reading_has_the_errors_and_a_later_one_has_not(content: bytes) -> None:
    with spooled(content) as rows:
        first = next(iter(rows.first()))

        assert first.errors is not None
        assert first.errors(first["seq"] < 4).to_list() == ["0", "1", "2", "0"]
        assert rows.piece(0, KEPT).errors is None


def test_how_much_is_cut_off_is_known_after_the_first_reading(content: bytes) -> None:
    with spooled(content[:-5]) as rows:
        kept = sum(len(piece["seq"]) for piece in rows.first())

        assert (kept, rows.trailing_bytes) == (139_999, read_gob(io.BytesIO(content[:-5]), name="cut").trailing_bytes)


def test_where_there_is_no_room_the_remedy_is_told(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "results.gob"
    file.write_bytes(content)
    # A process of its own, for a limit on the size of files is one on all that it writes.
    script = (
        "import sys; from attacker.results.spool import SpooledGob\n"
        "with SpooledGob(lambda: open(sys.argv[1], 'rb'), name='results.gob', in_memory_bytes=10) as rows:\n"
        "    list(rows.first())"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, file],
        cwd=REPOSITORY,
        preexec_fn=_without_room,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "results.gob: what must be kept of it cannot be written (File too large): " in ended.stderr
    assert RunBrokenError.__name__ in ended.stderr


def _without_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
