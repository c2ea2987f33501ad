import random
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attacker.evidence import LagFigures
from attacker.measuring.measured import PERCENTILES
from attacker.recording import Recorded, get_ready, record_rows
from attacker.results.columns import Results
from attacker.results.rows import PIECE_ROWS
from tests.attacker.by_vegeta import a_record, columns_of, gob_of, message_ends
from tests.attacker.corpus import INTERVAL_NS, KINDS, Corpus
from tests.attacker.damaging import damaged
from tests.attacker.plainly import lag_ns, max_in_flight, nearest_rank, seq_gaps

START_NS = 1_771_254_421_000_000_000
MICROSECOND_NS = 1000

close = st.tuples(st.integers(0, 20), st.integers(0, 12), st.integers(0, 12))
apart = st.tuples(st.integers(0, 10**13), st.integers(0, 10**6), st.integers(0, 10**12))
sent_requests = st.lists(close, min_size=1, max_size=25) | st.lists(close | apart, min_size=1, max_size=25)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shard")


def recorded(content: bytes, folder: Path, *, interval_ns: int = INTERVAL_NS, max_body: int = -1) -> Recorded:
    (folder / "results.gob").write_bytes(content)
    return record_rows(folder / "results.gob", folder / "results.parquet", interval_ns=interval_ns, max_body=max_body)


def columns_in(folder: Path) -> dict[str, list[int] | list[str]]:
    return pl.read_parquet(folder / "results.parquet").to_dict(as_series=False)


def reckoned(results: Results, *, interval_ns: int) -> Recorded:
    """Say what is to be recorded of rows, by all of them in memory."""
    late_ns = lag_ns(results, interval_ns=interval_ns)
    p50, p99 = (nearest_rank(late_ns, PERCENTILES[name]) for name in ("p50", "p99"))
    return Recorded(
        records=len(results),
        trailing_bytes=0,
        damage=None,
        lag_ns=LagFigures(p50=p50, p99=p99, max=int(late_ns[-1])),
        seq_gaps=seq_gaps(results.seq.tolist()),
        max_in_flight=max_in_flight(results.timestamp_ns, results.latency_ns),
        cut_bodies=0,
    )


def nothing(damage: str) -> Recorded:
    return Recorded(records=0, trailing_bytes=0, damage=damage, lag_ns=None, seq_gaps=0, max_in_flight=0, cut_bodies=0)


@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind_of_attack_all_rows_are_written_and_measured(
    corpus: dict[str, Corpus], kind: str, folder: Path
) -> None:
    [(file, results), *_] = zip(corpus[kind].files, corpus[kind].results, strict=True)

    found = recorded(file.read_bytes(), folder)

    assert found == reckoned(results, interval_ns=INTERVAL_NS)
    assert columns_in(folder) == {name: column for name, column in columns_of(results).items() if name != "attack"}


@given(sent=sent_requests, interval_ns=st.integers(1, 10**9))
@example(sent=[(0, 0, 5), (5, 1, 5)], interval_ns=5)
@example(sent=[(0, 0, 0), (0, 1, 0)], interval_ns=5)
@example(sent=[(7, 3, 1)], interval_ns=5)
def test_what_is_recorded_is_what_reckoning_with_all_rows_in_memory_finds(
    sent: Sequence[tuple[int, int, int]], interval_ns: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = gob_of(
        [a_record(timestamp_ns=START_NS + after, seq=seq, latency=latency) for after, seq, latency in sent]
    )
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.gob").write_bytes(content)

    found = recorded(content, folder, interval_ns=interval_ns)

    [results] = Corpus(files=(folder / "any.gob",)).results
    assert found == reckoned(results, interval_ns=interval_ns)


def test_more_rows_than_a_piece_are_written_in_pieces(folder: Path) -> None:
    requests = PIECE_ROWS + 10
    content = gob_of([a_record(seq=seq, timestamp_ns=START_NS + seq * MICROSECOND_NS) for seq in range(requests)])

    found = recorded(content, folder, interval_ns=MICROSECOND_NS)

    assert (found.records, found.seq_gaps, found.max_in_flight) == (requests, 0, 1000)
    assert found.lag_ns == LagFigures(p50=0, p99=0, max=0)
    assert columns_in(folder)["seq"] == list(range(requests))


def test_of_a_cut_file_the_complete_rows_are_recorded_and_what_is_left_is_counted(
    small_results: bytes, folder: Path
) -> None:
    *_, last_but_one, end = message_ends(small_results)

    found = recorded(small_results[: end - 1], folder)

    assert (found.records, found.trailing_bytes, found.damage) == (2, end - 1 - last_but_one, None)


def test_of_a_file_that_is_damaged_in_its_middle_no_row_counts(small_results: bytes, folder: Path) -> None:
    *_, last_but_one, _ = message_ends(small_results)
    content = bytearray(small_results)
    content[last_but_one : last_but_one + 2] = b"\x01\x01"

    found = recorded(bytes(content), folder, max_body=0)

    assert found == nothing(
        f"results.gob: byte {last_but_one}: a damaged record: give a results file that vegeta wrote"
    )
    assert pl.read_parquet(folder / "results.parquet").height == 0


@pytest.mark.parametrize(
    "impossible",
    [{"seq": 2**62}, {"latency": 2**62}, {"latency": -(2**63)}, {"timestamp_ns": -1}],
    ids=["a place", "a latency", "a negative latency", "a moment"],
)
def test_a_number_that_no_attack_has_is_damage(impossible: dict[str, int], folder: Path) -> None:
    found = recorded(gob_of([a_record(), a_record(**impossible)]), folder)

    assert found.records == 0
    assert str(found.damage).endswith("a number before it that no attack has: its bytes are damaged")


@pytest.mark.parametrize("content", [b"", b"no results"], ids=["empty", "no gob"])
def test_what_are_no_results_are_damage(content: bytes, folder: Path) -> None:
    found = recorded(content, folder)

    assert found == nothing(str(found.damage))
    assert str(found.damage).startswith("results.gob: byte 0: ")


def test_without_a_file_there_are_no_rows(folder: Path) -> None:
    rows = folder / "results.parquet"

    found = record_rows(folder / "results.gob", rows, interval_ns=INTERVAL_NS, max_body=-1)

    assert found == nothing("vegeta was not started, or wrote nothing")
    assert pl.read_parquet(rows).is_empty()


@given(seed=st.integers(0, 2**32))
def test_bytes_that_are_damaged_anywhere_are_rows_or_told_of(
    results_of_every_kind: bytes, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")

    found = recorded(damaged(results_of_every_kind, random.Random(seed)), folder)

    rows = pl.read_parquet(folder / "results.parquet")
    assert found.records == rows.height
    assert (found.damage is None) >= (found.records > 0)


@pytest.mark.parametrize(("max_body", "cut"), [(-1, 0), (0, 3), (15, 2), (16, 1), (17, 0)])
def test_an_answer_that_fills_what_was_kept_may_have_been_longer(max_body: int, cut: int, folder: Path) -> None:
    lengths = [a_record(bytes_in=length, code=200) for length in (3, 15, 16)]
    failed = a_record(bytes_in=0, code=0)

    found = recorded(gob_of([*lengths, failed]), folder, max_body=max_body)

    assert found.cut_bodies == cut


def test_getting_ready_leaves_nothing_behind(tmp_path: Path) -> None:
    get_ready(tmp_path)

    assert list(tmp_path.iterdir()) == []
