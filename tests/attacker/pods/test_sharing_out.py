"""However many readers share a run out, the report is the same byte for byte."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.bucket import Bucket
from attacker.exits import RunBrokenError
from attacker.measuring.packing import pack, unpack
from attacker.measuring.shared import AtOnce
from attacker.plan_file import Plan, plan_path
from attacker.pods.reading_desk import Desk, reading_path
from attacker.pods.sharing_out import share_out, shares_of
from attacker.report.assemble import FoundShard, assemble
from attacker.report.figures import Run
from attacker.results.rows import PIECE_ROWS
from attacker.run_folder import find_shard, shard_folder
from tests.attacker.attack_pods import a_bucket
from tests.attacker.many_rows import many_rows, planned_shards, with_twins, write_shard
from tests.attacker.reader_pods import a_run_in, reader_pods, start_reader

bucket = a_bucket

RUN = Run(id="the-run", started="", ended="", engine="argo", loadtest={}, environment={})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two targets with three shards each: one is longer than a piece, one is missing, and some rows are there twice."""
    folder = tmp_path_factory.mktemp("run")
    long, short = many_rows(PIECE_ROWS + 50_000, seed=1), many_rows(2000, seed=2)
    rows = {
        "get-a-0": long,
        "get-a-1": with_twins(short, long[: PIECE_ROWS + 30_000], every=(PIECE_ROWS + 30_000) // 499),
        "get-a-2": with_twins(many_rows(3000, seed=3), short, every=100),
        "get-b-0": with_twins(short, many_rows(700, seed=4), every=1),
        "get-b-1": with_twins(many_rows(900, seed=5), many_rows(700, seed=4), every=100),
    }
    for shard in planned_shards():
        if shard.name in rows:
            write_shard(folder, shard, rows[shard.name])
    return folder


@pytest.fixture
def damaged(run_folder: Path, tmp_path: Path) -> Path:
    """The same with a shard that is not what was measured, one without rows, and one that says why it is not there."""
    write_all(run_folder, tmp_path)
    (shard_folder(tmp_path, "get-b-1") / "results.parquet").write_bytes(b"no rows")
    (shard_folder(tmp_path, "get-a-2") / "results.parquet").unlink()
    shard_folder(tmp_path, "get-b-2").mkdir()
    (shard_folder(tmp_path, "get-b-2") / "absent.json").write_text('{"reason": "it was late"}')
    return tmp_path


def write_all(run_folder: Path, into: Path) -> None:
    for file in run_folder.glob("shards/*/*"):
        copy = into / file.relative_to(run_folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())


def told_by_one(run_folder: Path) -> str:
    found = [find_shard(run_folder, shard, run="the-run") for shard in planned_shards()]
    return told(found)


def told(found: list[FoundShard]) -> str:
    report, _ = assemble(RUN, found, [], simultaneous=True)
    return report.model_dump_json()


def told_by_readers(plan: Plan, bucket: Bucket, folder: Path, *, readers: int) -> str:
    shared = share_out(plan, folder, bucket, Desk(plan.run, bucket, readers=readers))
    found = [find_shard(folder, shard, run=plan.run, rows_in=shared.rows_in) for shard in plan.shards]
    report, _ = assemble(RUN, found, [], simultaneous=True, reader=lambda _: shared.reader)
    assert shared.troubles == bucket.download(f"runs/{plan.run}/shards", folder / "all" / "shards")
    return report.model_dump_json()


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_readers_in_pods_make_the_report_of_one_that_has_everything(
    bucket: Bucket, run_folder: Path, tmp_path: Path, readers: int
) -> None:
    plan = a_run_in(bucket, run_folder)

    with reader_pods(readers, plan.run) as pods:
        told = told_by_readers(plan, bucket, tmp_path, readers=readers)
        bucket.delete(plan_path(plan.run))
        ended = [pod.wait(30) for pod in pods]

    assert told == told_by_one(run_folder)
    assert '"duplicates":0' not in told
    assert ended == [0] * readers
    assert bucket.names(f"{reading_path(plan.run)}/") == ()
    assert len(list(tmp_path.glob("shards/*/shard.json"))) == 5
    assert list(tmp_path.glob("shards/*/results.parquet")) == []


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_what_is_missing_or_damaged_is_told_as_by_one(
    bucket: Bucket, damaged: Path, tmp_path_factory: pytest.TempPathFactory, readers: int
) -> None:
    plan = a_run_in(bucket, damaged)

    with reader_pods(readers, plan.run):
        told = told_by_readers(plan, bucket, tmp_path_factory.mktemp("root"), readers=readers)

    assert told == told_by_one(damaged)
    assert "results.parquet is not what was measured: its sha256 differs" in told
    assert "results.parquet is missing" in told
    assert "it was late" in told


def test_a_run_of_which_nothing_is_left_is_told_as_by_one(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    plan = a_run_in(bucket, tmp_path)

    with reader_pods(2, plan.run):
        told = told_by_readers(plan, bucket, tmp_path, readers=2)

    assert told == told_by_one(tmp_path)


def test_a_reader_that_dies_is_told_of_and_the_others_are_not_waited_for(
    bucket: Bucket, run_folder: Path, tmp_path: Path
) -> None:
    plan = a_run_in(bucket, run_folder)
    desk = Desk(plan.run, bucket, readers=2, patience_s=8)

    with start_reader(1, plan.run) as alive, start_reader(2, plan.run) as dead:
        dead.kill()
        with pytest.raises(RunBrokenError) as broken:
            share_out(plan, tmp_path, bucket, desk)
        alive.send_signal(signal.SIGTERM)
        code = alive.wait(30)

    assert str(broken.value) == (
        "reader 2 of 2 said nothing for 8 s: see what became of its pod, and run again; "
        "the rows of this run are in runs/the-run/shards"
    )
    assert code == 130
    assert len(bucket.names("runs/the-run/shards/")) == 10


def test_what_a_reader_could_not_fetch_is_told_in_the_order_of_the_files(
    bucket: Bucket, run_folder: Path, tmp_path: Path
) -> None:
    plan = a_run_in(bucket, run_folder)

    def reader(question: bytes) -> bytes:
        taken = unpack(question).get("take", ())
        return pack(
            [(f"{name} did not come", "results.parquet is missing", 0) for name, _, is_there in taken if is_there]
        )

    shared = share_out(plan, tmp_path, bucket, AtOnce([reader, reader]))

    present = ["get-a-0", "get-a-1", "get-a-2", "get-b-0", "get-b-1"]
    assert shared.troubles == tuple(f"{name} did not come" for name in present)
    assert shared.damages == dict.fromkeys(present, "results.parquet is missing")


def test_what_a_reader_cannot_read_is_told_by_it(bucket: Bucket, run_folder: Path, tmp_path: Path) -> None:
    plan = a_run_in(bucket, run_folder)
    desk = Desk(plan.run, bucket, readers=1)

    with reader_pods(1, plan.run):
        shared = share_out(plan, tmp_path, bucket, desk)
        with pytest.raises(RunBrokenError, match="bytes are no answer of this version: use one image for all readers"):
            list(desk.ask([b"no question"]))

    assert set(shared.damages.values()) == {None}


@given(sizes=st.dictionaries(st.text(max_size=3), st.integers(0, 1000), max_size=30), number=st.integers(1, 9))
def test_shares_hold_everything_once_and_about_as_much_each(sizes: dict[str, int], number: int) -> None:
    shares = shares_of(sizes, number)

    loads = [sum(sizes[name] for name in share) for share in shares]
    assert sorted(name for share in shares for name in share) == sorted(sizes)
    assert max(loads) - min(loads) <= max(sizes.values(), default=0)
    assert shares == shares_of(dict(reversed(sizes.items())), number)
