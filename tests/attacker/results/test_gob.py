import contextlib
import io
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attacker.exits import RunBrokenError
from attacker.measuring.sample import MeasuredShard
from attacker.report.figures import Figures
from attacker.report.statistics import figures_of
from attacker.results.gob import GobFile, GobReader, read_gob
from attacker.results.rows import HeldRows
from tests.attacker.building import measured_of
from tests.attacker.by_vegeta import (
    a_record,
    attacked,
    columns_by_vegeta,
    columns_of,
    gob_of,
    message_ends,
)
from tests.attacker.loopback import Loopback

TYPE_DEFINITIONS = 4
HEAD_BYTES = 4  # a record's length and type in these results, each of two bytes
LARGEST = 2**63 - 1
last_ns = int((datetime(2262, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) * 10**9

numbers = st.integers(0, LARGEST) | st.integers(0, 300)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
records = st.builds(
    a_record,
    attack=texts,
    seq=numbers,
    code=st.integers(0, 2**16 - 1),
    timestamp_ns=st.integers(0, last_ns),
    latency=st.integers(-LARGEST, LARGEST) | st.integers(0, 300),
    bytes_out=numbers,
    bytes_in=numbers,
    error=texts,
    body=st.sampled_from(["", "eA==", "eHh4" * 1000]),
    method=texts,
    url=texts,
    headers=st.none() | st.dictionaries(texts, st.lists(texts, max_size=2), max_size=3),
)


def read(content: bytes) -> GobFile:
    return read_gob(io.BytesIO(content), name="results.gob")


class Pipe(io.RawIOBase):
    """A stream that gives no more than so many bytes at a time."""

    def __init__(self, content: bytes, at_most: int) -> None:
        self._content = io.BytesIO(content)
        self._at_most = at_most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._content.readinto(buffer[: self._at_most])


def test_an_attacks_results_are_read_as_vegeta_reads_them(results_of_every_kind: bytes) -> None:
    file = read(results_of_every_kind)

    assert columns_of(file.results) == columns_by_vegeta(results_of_every_kind)
    assert file.trailing_bytes == 0


def test_such_an_attack_meets_answers_and_refusals_and_bodies(results_of_every_kind: bytes) -> None:
    results = read(results_of_every_kind).results

    assert set(results.code.tolist()) == {0, 200, 404, 500}
    assert results.bytes_in.max() == 1024
    assert "connection refused" in " ".join(results.error.values)
    assert set(results.attack.to_list()) == {"every-kind"}


@given(written=st.lists(records, min_size=1, max_size=8))
@example(written=[a_record(error="Zeitüberschreitung: 時間切れ 🕰 \u0000 \u2028 \ufeff")])
@example(written=[a_record(seq=LARGEST, bytes_in=LARGEST, bytes_out=LARGEST, latency=-LARGEST - 1, code=65535)])
@example(written=[a_record(seq=0, code=0, latency=0, bytes_in=0, attack="", error="", method="", url="")])
@settings(max_examples=60)
def test_any_results_are_read_as_vegeta_reads_them(written: list[dict[str, object]]) -> None:
    content = gob_of(written)

    results = read(content).results

    assert len(results) == len(written)
    assert columns_of(results) == columns_by_vegeta(content)


@pytest.mark.parametrize("field", ["seq", "bytes_in", "bytes_out"])
def test_a_number_beyond_any_attack_is_damage_and_not_a_negative_number(field: str) -> None:
    content = gob_of([a_record(), a_record(**{field: LARGEST + 1})])
    begins = message_ends(content)[TYPE_DEFINITIONS]

    with pytest.raises(RunBrokenError, match=rf"^results\.gob: byte {begins}: a damaged record: give a results file"):
        read(content)


def test_a_status_code_beyond_what_vegeta_can_hold_is_damage() -> None:
    content = gob_of([a_record(seq=7, code=65535)])
    assert content.count(b"\x01\xfe\xff\xff") == 1

    with pytest.raises(RunBrokenError, match="a damaged record"):
        read(_longer(content, b"\x01\xfe\xff\xff", b"\x01\xfd\x01\x00\x00"))


def _longer(content: bytes, old: bytes, new: bytes) -> bytes:
    """Replace bytes of the only record, and mend its length."""
    begins = message_ends(content)[TYPE_DEFINITIONS - 1]
    record = content[begins + 1 :].replace(old, new)
    return content[:begins] + bytes([len(record)]) + record


def test_wherever_a_file_is_cut_its_complete_records_are_kept(small_results: bytes) -> None:
    whole = columns_of(read(small_results).results)
    ends = np.array(message_ends(small_results)[TYPE_DEFINITIONS - 1 :])
    cuts = range(ends[0] + HEAD_BYTES, len(small_results) + 1)

    found = [_rows_and_trailing_bytes(small_results[:cut]) for cut in cuts]

    complete = [int(np.searchsorted(ends, cut, side="right")) - 1 for cut in cuts]
    assert len(whole["seq"]) == complete[-1] == 3
    assert [trailing for _, trailing in found] == [cut - ends[kept] for cut, kept in zip(cuts, complete, strict=True)]
    assert [rows for rows, _ in found] == [{name: column[:kept] for name, column in whole.items()} for kept in complete]


def _rows_and_trailing_bytes(content: bytes) -> tuple[dict[str, list[int] | list[str]], int]:
    file = read(content)
    return columns_of(file.results), file.trailing_bytes


@given(data=st.data())
@settings(max_examples=15)
def test_of_a_cut_file_as_much_is_kept_as_vegeta_itself_would_read(small_results: bytes, data: st.DataObject) -> None:
    first_record = message_ends(small_results)[TYPE_DEFINITIONS]
    cut = data.draw(st.integers(first_record, len(small_results)))

    assert columns_of(read(small_results[:cut]).results) == columns_by_vegeta(small_results[:cut])


def test_a_file_cut_before_its_first_result_is_told_of_at_every_byte(small_results: bytes) -> None:
    ends = [0, *message_ends(small_results)[:TYPE_DEFINITIONS]]
    cuts = range(1, ends[-1] + HEAD_BYTES)

    told = [_told(small_results[:cut]) for cut in cuts]

    begins = [max(end for end in ends if end <= cut) for cut in cuts]
    assert told == [
        f"results.gob: byte {byte}: this is no vegeta results file, or it was cut before its first result: "
        "give a results file that vegeta wrote"
        for byte in begins
    ]


def _told(content: bytes) -> str:
    with pytest.raises(RunBrokenError, match="byte") as caught:
        read(content)
    return str(caught.value)


def test_an_empty_file_is_told_of() -> None:
    assert _told(b"") == "results.gob: byte 0: the file is empty: nothing was measured, or nothing was kept"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"GET http://api:5000/health\n", id="targets"),
        pytest.param(b"\x00", id="a zero"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"\xff" * 5000, id="ones"),
        pytest.param(b"\x80" * 5000, id="a number too long to be one"),
        pytest.param(b"PK\x03\x04" + bytes(range(256)) * 40, id="an archive"),
        pytest.param(b'{"seq":1}\n' * 1000, id="JSON"),
        pytest.param(b"1771254421123456789,200,1000000,0,15,,,,0,GET,http://api:5000/,\n", id="CSV"),
    ],
)
def test_a_foreign_file_is_told_of(content: bytes) -> None:
    with pytest.raises(RunBrokenError, match=r"^results\.gob: byte 0: this is no vegeta results file"):
        read(content)


@given(content=st.binary(min_size=1, max_size=300))
def test_any_foreign_bytes_are_told_of(content: bytes) -> None:
    with pytest.raises(RunBrokenError, match=r"^results\.gob: byte \d+: this is no vegeta results file"):
        read(content)


def test_results_of_an_unknown_vegeta_are_told_of_with_their_fields(small_results: bytes) -> None:
    of_another_version = small_results.replace(b"\x07Latency", b"\x07Elapsed", 1)

    with pytest.raises(
        RunBrokenError, match=r"byte 0: results of an unknown vegeta, with the fields Attack, .*, Elapsed"
    ):
        read(of_another_version)


def test_two_files_in_one_are_told_of_at_the_byte_where_the_second_begins(small_results: bytes) -> None:
    second = len(small_results)

    with pytest.raises(
        RunBrokenError, match=rf"byte {second}: another file's results begin here, .*: give each file by itself$"
    ):
        read(small_results + small_results)


@given(data=st.data())
@settings(max_examples=400)
def test_damage_anywhere_gives_rows_or_a_clear_error(results_of_every_kind: bytes, data: st.DataObject) -> None:
    places = st.integers(0, len(results_of_every_kind) - 1)
    changes = data.draw(st.dictionaries(places, st.integers(0, 255), min_size=1, max_size=6))
    damaged = np.frombuffer(results_of_every_kind, np.uint8).copy()
    damaged[list(changes)] = list(changes.values())

    _figures_or_a_clear_error(damaged.tobytes())


@given(data=st.data())
@settings(max_examples=200)
def test_damage_to_the_structure_gives_rows_or_a_clear_error(small_results: bytes, data: st.DataObject) -> None:
    ends = [0, *message_ends(small_results)[:-1]]
    near_a_messages_head = st.builds(sum, st.tuples(st.sampled_from(ends), st.integers(0, 40)))
    at = data.draw(near_a_messages_head)
    extreme = st.sampled_from([b"\x00", b"\x01", b"\x0b", b"\x0c", b"\x7f", b"\x80", b"\xf7", b"\xf8", b"\xff"])
    change = b"".join(data.draw(st.lists(extreme | st.binary(max_size=1), max_size=12)))
    replaced = data.draw(st.integers(0, 12))

    _figures_or_a_clear_error(small_results[:at] + change + small_results[at + replaced :])


def _figures_or_a_clear_error(content: bytes) -> Figures | None:
    with contextlib.suppress(RunBrokenError):
        file = read(content)
        assert 0 <= file.trailing_bytes <= len(content)
        return figures_of(
            measured_of([MeasuredShard(rows=HeldRows(file.results), interval_ns=1_000_000)]), expected=None
        )
    return None


# numba checks no index unless it is told to, so a read outside of an array goes unseen in the tests above.
def test_damage_never_leads_the_loop_out_of_its_arrays(results_of_every_kind: bytes, tmp_path: Path) -> None:
    file = tmp_path / "results.gob"
    file.write_bytes(results_of_every_kind)

    checked = subprocess.run(
        [sys.executable, "-m", "tests.attacker.damaging", file, "5000"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=100,
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("at_most", [1, 2, 7, 1000])
def test_a_pipe_may_give_as_few_bytes_at_a_time_as_it_likes(results_of_every_kind: bytes, at_most: int) -> None:
    whole = read(results_of_every_kind)

    from_a_pipe = read_gob(Pipe(results_of_every_kind, at_most), name="a pipe")  # type: ignore[arg-type]

    assert columns_of(from_a_pipe.results) == columns_of(whole.results)
    assert from_a_pipe.trailing_bytes == 0


def test_a_real_pipe_is_read_to_its_end(results_of_every_kind: bytes) -> None:
    records = results_of_every_kind[message_ends(results_of_every_kind)[TYPE_DEFINITIONS - 1] :]
    out, into = os.pipe()

    def write_more_than_a_pipe_holds() -> None:
        with open(into, "wb") as stream:  # noqa: PTH123  (a pipe has no path)
            stream.write(results_of_every_kind + 20 * records)

    writer = threading.Thread(target=write_more_than_a_pipe_holds)
    writer.start()
    with open(out, "rb", buffering=0) as stream:  # noqa: PTH123
        file = read_gob(stream, name="a pipe")
    writer.join(10)

    assert len(file.results) == 21 * len(read(results_of_every_kind).results)


def test_an_answer_larger_than_the_readers_buffer_is_passed_over(loopback_api: Loopback) -> None:
    urls = [f"{loopback_api.url}/?bytes={size}" for size in (6_000_000, 1)]
    content = attacked(urls, "-rate=20/s", "-duration=190ms")

    results = read(content).results

    assert len(content) > 6_000_000
    assert columns_of(results) == columns_by_vegeta(content)


def test_a_file_cut_in_a_large_first_answer_has_no_result_yet(loopback_api: Loopback) -> None:
    content = attacked([f"{loopback_api.url}/?bytes=2000000"], "-rate=20/s", "-duration=40ms")

    file = read(content[:1_500_000])

    assert (len(file.results), file.trailing_bytes) == (0, 1_500_000 - message_ends(content)[TYPE_DEFINITIONS - 1])


@pytest.fixture(scope="module")
def many_results() -> bytes:
    """More rows than a batch, and more distinct strings than the reader has room for at first."""
    return gob_of([a_record(seq=seq, latency=seq * 7, error=f"failure {seq % 5000}") for seq in range(140_000)])


def test_rows_over_several_batches_and_thousands_of_strings_are_read_as_vegeta_reads_them(many_results: bytes) -> None:
    results = read(many_results).results

    assert len(results.error.values) > 5000
    assert columns_of(results) == columns_by_vegeta(many_results)


def test_batches_come_one_by_one_and_hold_all_rows_in_order(many_results: bytes) -> None:
    batches = list(GobReader(io.BytesIO(many_results), "results.gob").batches())

    assert len(batches) == 2
    assert np.concatenate([batch.seq for batch in batches]).tolist() == list(range(140_000))


def test_a_file_may_end_where_a_batch_does(many_results: bytes) -> None:
    content = many_results[: message_ends(many_results)[TYPE_DEFINITIONS - 1 + 2**17]]

    batches = list(GobReader(io.BytesIO(content), "results.gob").batches())

    assert [len(batch) for batch in batches] == [2**17]


def test_a_file_cut_late_gives_its_batches_and_tells_of_the_bytes_behind_them(many_results: bytes) -> None:
    reader = GobReader(io.BytesIO(many_results[:-5]), "results.gob")

    batches = list(reader.batches())

    assert batches[-1].seq[-1] == 139_998
    assert reader.trailing_bytes == len(many_results) - 5 - message_ends(many_results)[-2]
