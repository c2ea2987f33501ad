import json
from pathlib import Path

import pytest

from attacker.evidence import Evidence, sha256_of
from attacker.measuring.sample import MeasuredShard
from attacker.report.assemble import FoundShard
from attacker.report.figures import Figures
from attacker.report.statistics import figures_of
from attacker.report.validity.shards import doubts_on_shard
from attacker.results.parquet import write_parquet
from attacker.run_folder import find_shard, shard_folder
from tests.attacker.building import MS, a_measured_shard, a_shard, an_evidence, measured_of, rows


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run with one shard, whole."""
    folder = shard_folder(tmp_path, "get-health")
    folder.mkdir(parents=True)
    write_parquet([rows([MS] * 100)], folder / "results.parquet")
    evidence = an_evidence(results_sha256=sha256_of(folder / "results.parquet"))
    (folder / "shard.json").write_text(evidence.model_dump_json())
    return tmp_path


def found_in(run_folder: Path) -> FoundShard:
    return find_shard(run_folder, a_shard(), run="the-run")


def _figures(shard: MeasuredShard) -> Figures:
    return figures_of(measured_of([shard]), expected=None)


def test_a_shard_lies_in_a_folder_of_its_name() -> None:
    assert shard_folder(Path("runs/1"), "get-health-0") == Path("runs/1/shards/get-health-0")


def test_a_whole_shard_is_found_with_its_rows_and_evidence(run_folder: Path) -> None:
    found = found_in(run_folder)

    whole = a_measured_shard(rows([MS] * 100), throttled_ratio=0)
    assert _figures(found.measured) == _figures(whole)
    assert found.state.evidence == an_evidence(
        results_sha256=sha256_of(run_folder / "shards/get-health/results.parquet")
    )
    assert doubts_on_shard(found.state) == ()


def test_its_rows_are_measured_by_its_plan(run_folder: Path) -> None:
    shard = a_shard(warmup_requests=7, delay_ns=3)

    measured = find_shard(run_folder, shard, run="the-run").measured

    assert (measured.warmup_requests, measured.interval_ns, measured.delay_ns) == (7, 100 * MS, 3)
    assert measured.throttled_ratio == 0


def test_a_shard_that_left_nothing_is_missing(tmp_path: Path) -> None:
    found = found_in(tmp_path)

    assert (list(found.rows.first()), found.state.evidence) == ([], None)
    assert doubts_on_shard(found.state) == ("shard get-health is missing: it left no evidence",)


def test_a_damaged_reason_is_told_of_too(run_folder: Path) -> None:
    folder = run_folder / "shards/get-health"
    (folder / "shard.json").rename(folder / "absent.json").write_text("{}")

    assert doubts_on_shard(found_in(run_folder).state) == (
        "shard get-health is missing: absent.json cannot be read: reason: Field required",
    )


def test_evidence_that_is_a_folder_is_told_of(run_folder: Path) -> None:
    (run_folder / "shards/get-health/shard.json").unlink()
    (run_folder / "shards/get-health/shard.json").mkdir()

    assert found_in(run_folder).state.trouble == "shard.json cannot be read: Is a directory"


def test_rows_without_evidence_do_not_count(run_folder: Path) -> None:
    (run_folder / "shards/get-health/shard.json").unlink()

    found = found_in(run_folder)

    assert (list(found.rows.first()), found.state.evidence) == ([], None)


def test_a_shard_that_did_not_attack_says_why(run_folder: Path) -> None:
    folder = run_folder / "shards/get-health"
    (folder / "shard.json").rename(folder / "absent.json").write_text('{"reason": "it was late"}')

    assert doubts_on_shard(found_in(run_folder).state) == ("shard get-health is missing: it was late",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "Invalid JSON: EOF while parsing", id="empty"),
        pytest.param(b"{", "Invalid JSON: EOF while parsing", id="cut"),
        pytest.param(b"\xff\xfe", "Invalid JSON", id="no text"),
        pytest.param(b"[]", "Input should be an object", id="no object"),
        pytest.param(b"{}", "run: Field required", id="no fields"),
    ],
)
def test_damaged_evidence_is_told_of_with_its_fault(run_folder: Path, content: bytes, told: str) -> None:
    (run_folder / "shards/get-health/shard.json").write_bytes(content)

    found = found_in(run_folder)

    assert (list(found.rows.first()), found.state.evidence) == ([], None)
    assert str(found.state.trouble).startswith(f"shard.json cannot be read: {told}")


def test_evidence_with_a_field_of_another_kind_is_told_of_with_its_place(run_folder: Path) -> None:
    file = run_folder / "shards/get-health/shard.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "lag_ns": {"p50": "soon", "p99": 1, "max": 1}}))

    trouble = found_in(run_folder).state.trouble

    assert trouble is not None
    assert trouble.startswith("shard.json cannot be read: lag_ns.p50: Input should be a valid integer")


def test_rows_that_are_not_those_that_were_measured_do_not_count(run_folder: Path) -> None:
    write_parquet([rows([2 * MS] * 100)], run_folder / "shards/get-health/results.parquet")

    found = found_in(run_folder)

    assert list(found.rows.first()) == []
    assert doubts_on_shard(found.state)[0].endswith(
        "results.parquet is not what was measured: its sha256 differs from the evidence's"
    )


def test_missing_rows_are_told_of(run_folder: Path) -> None:
    (run_folder / "shards/get-health/results.parquet").unlink()

    found = found_in(run_folder)

    assert list(found.rows.first()) == []
    assert doubts_on_shard(found.state)[0].endswith("results.parquet is missing")


def test_rows_that_are_no_rows_are_told_of_though_their_checksum_is_right(run_folder: Path) -> None:
    folder = run_folder / "shards/get-health"
    (folder / "results.parquet").write_text("no rows")
    evidence = an_evidence(results_sha256=sha256_of(folder / "results.parquet"))
    (folder / "shard.json").write_text(evidence.model_dump_json())

    found = found_in(run_folder)

    assert list(found.rows.first()) == []
    assert "these are no rows of a shard" in doubts_on_shard(found.state)[0]


def test_evidence_is_the_same_after_it_was_written_and_read() -> None:
    evidence = an_evidence(exit_code=None, lag_ns=None, throttled_ratio=None, damage="cut", log="größe\n")

    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence
    assert evidence.model_dump()["schema"] == 1
