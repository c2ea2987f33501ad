"""Whoever reads which rows, and in which order they lie: the figures are those of all of them, to the last digit."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attacker.duration import Duration
from attacker.evidence import sha256_of
from attacker.exits import RunBrokenError
from attacker.measuring.measure import Reader, measure
from attacker.measuring.measured import Measured
from attacker.measuring.packing import pack, unpack
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.measuring.shared import AtOnce, Shared, answered
from attacker.plan import Shard
from attacker.plan_file import Plan, render_plan
from attacker.report.assemble import FoundShard, assemble
from attacker.report.faces.plots import plots_of
from attacker.report.faces.series import distribution_of, time_series_of
from attacker.report.figures import Run, VerdictResult
from attacker.report.statistics import figures_of
from attacker.results.columns import Results
from attacker.results.parquet import write_parquet
from attacker.results.rows import HeldRows
from attacker.run_folder import find_shard, shard_folder
from attacker.share import ShareProcess
from tests.attacker.building import MS, START_NS, a_shard, a_target, an_evidence, rows

INTERVAL_NS = MS
RUN = Run(id="the-run", started="", ended="", engine="local", loadtest={}, environment={})

BEGIN_OF_A_PAGE = (0xFD2FB528).to_bytes(4, "little")
"""Of what zstd compressed."""

seeds = st.integers(0, 2**32)


def some_rows(random: np.random.Generator, n: int) -> Results:
    """Make rows of two humps, some late, some failed, some twice, and some missing."""
    seq = np.sort(random.choice(n + 5, n)) if n else np.empty(0, np.int64)
    sent_ns = START_NS + seq * INTERVAL_NS + random.integers(0, 3, n) * random.integers(0, 40 * MS, n)
    latency_ns = np.where(random.random(n) < 0.7, random.integers(1, 5, n) * MS, random.integers(0, 90 * MS, n))
    code = random.choice([200, 200, 200, 404, 503, 0], n)
    errors = np.where(code == 0, random.choice(["EOF", "read tcp 10.0.0.1:4->10.0.0.2:5: i/o timeout"], n), "")
    return rows(
        latency_ns.tolist(), timestamp_ns=sent_ns.tolist(), seq=seq.tolist(), code=code.tolist(), error=errors.tolist()
    )


def some_targets(seed: int) -> list[list[Results]]:
    """Make the rows of one to three targets of one to four shards."""
    random = np.random.default_rng(seed)
    return [
        [some_rows(random, int(random.integers(0, 120))) for _ in range(random.integers(1, 5))]
        for _ in range(random.integers(1, 4))
    ]


def samples_of(targets: Sequence[Sequence[Results]], *, piece_rows: int = 1 << 17) -> list[Sample]:
    return [
        Sample(
            shards=tuple(
                MeasuredShard(rows=HeldRows(one, piece_rows), interval_ns=INTERVAL_NS, warmup_requests=3)
                for one in shards
            )
        )
        for shards in targets
    ]


def told(samples: Sequence[Sample], reader: Reader) -> str:
    """Say all that is ever said of what was measured: figures, and what is drawn."""
    each, whole = measure(samples, reader)
    figures = [figures_of(one, expected=None).model_dump() for one in (*each, whole)]
    return json.dumps([figures, [_drawn(one) for one in each]])


def _drawn(one: Measured) -> str:
    return repr((time_series_of(one), distribution_of(one)))


def a_tree(samples: Sequence[Sample], shares: Sequence[frozenset[tuple[int, int]]], random: Random) -> Reader:
    """Have a reader for each share, joined two or three at a time, up to one root."""
    nodes: list[Reader] = [Here(samples, share=share) for share in shares]
    while len(nodes) > 1:
        taken = [nodes.pop(random.randrange(len(nodes))) for _ in range(min(len(nodes), random.choice([2, 3])))]
        nodes.append(Shared(AtOnce([partial(answered, node) for node in taken])))
    return nodes[0]


@given(
    seed=seeds,
    parts=st.integers(1, 6),
    piece_rows=st.sampled_from([1, 7, 1 << 17]),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_readers_in_a_tree_of_any_shape_find_what_one_reader_finds(
    seed: int, parts: int, piece_rows: int, random: Random
) -> None:
    samples = samples_of(some_targets(seed), piece_rows=piece_rows)
    places = [(target, shard) for target, sample in enumerate(samples) for shard in range(len(sample.shards))]
    random.shuffle(places)

    tree = a_tree(samples, [frozenset(places[part::parts]) for part in range(parts)], random)

    assert told(samples, tree) == told(samples, Here(samples))


@given(seed=seeds, piece_rows=st.sampled_from([1, 7, 50]), random=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_no_order_of_rows_shards_or_pieces_changes_a_digit(seed: int, piece_rows: int, random: Random) -> None:
    targets = some_targets(seed)
    shuffled = [[_shuffled(shard, random) for shard in random.sample(shards, len(shards))] for shards in targets]

    one, other = samples_of(targets), samples_of(shuffled, piece_rows=piece_rows)

    assert told(one, Here(one)) == told(other, Here(other))


def _shuffled(results: Results, random: Random) -> Results:
    order = list(range(len(results)))
    random.shuffle(order)
    return Results.joined([results[place : place + 1] for place in order])


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of two targets with three shards each, and its plan beside them."""
    random = np.random.default_rng(11)
    for shard in _planned():
        folder = shard_folder(tmp_path, shard.name)
        folder.mkdir(parents=True)
        write_parquet([some_rows(random, 3000)], folder / "results.parquet")
        digits = sha256_of(folder / "results.parquet")
        evidence = an_evidence(shard=shard.name, target=shard.target.name, results_sha256=digits)
        (folder / "shard.json").write_text(evidence.model_dump_json())
    plan = Plan(run="the-run", shards=_planned(), deadline_ns=START_NS, margin=Duration(0))
    (tmp_path / "plan.json").write_bytes(render_plan(plan))
    return tmp_path


def _planned() -> tuple[Shard, ...]:
    names = [(target, f"{target}-{index}") for target in ("get-a", "get-b") for index in range(3)]
    return tuple(a_shard(name=name, target=a_target(name=target)) for target, name in names)


def found_in(run_folder: Path) -> list[FoundShard]:
    return [find_shard(run_folder, shard, run="the-run") for shard in _planned()]


def test_processes_that_share_a_run_out_make_the_same_report_byte_for_byte(run_folder: Path) -> None:
    alone, alone_measured = assemble(RUN, found_in(run_folder), [], simultaneous=True)

    with ExitStack() as stack:
        shares = [
            stack.enter_context(ShareProcess(run_folder / "plan.json", run_folder, number=number, of=3))
            for number in range(3)
        ]
        pairs = Shared(AtOnce(shares[:2]))
        root = Shared(AtOnce([partial(answered, pairs), shares[2]]))
        together, measured = assemble(RUN, found_in(run_folder), [], simultaneous=True, reader=lambda _: root)

    assert together.model_dump_json() == alone.model_dump_json()
    assert together.overall.requests == 18_000
    assert plots_of(measured["get-a"], name="get-a") == plots_of(alone_measured["get-a"], name="get-a")


@pytest.fixture
def run_folder_with_a_damaged_page(run_folder: Path) -> Path:
    """One shard's rows were damaged before their checksum was taken, as by the disk that they were written to."""
    folder = shard_folder(run_folder, "get-a-1")
    file = folder / "results.parquet"
    file.write_bytes(file.read_bytes().replace(BEGIN_OF_A_PAGE, b"....", 1))
    evidence = an_evidence(shard="get-a-1", target="get-a", results_sha256=sha256_of(file))
    (folder / "shard.json").write_text(evidence.model_dump_json())
    return run_folder


def test_a_damaged_page_costs_the_rows_of_its_shard_and_no_others(run_folder_with_a_damaged_page: Path) -> None:
    report, _ = assemble(RUN, found_in(run_folder_with_a_damaged_page), [], simultaneous=True)

    assert report.verdict.result == VerdictResult.INVALID
    [reason] = [reason for reason in report.verdict.reasons if "get-a-1" in reason]
    assert reason.startswith("shard get-a-1 cannot be used: ")
    assert "results.parquet: these are no rows of a shard (" in reason
    assert [target.requests for target in report.targets] == [6000, 9000]
    (shard_folder(run_folder_with_a_damaged_page, "get-a-1") / "results.parquet").unlink()
    without, _ = assemble(RUN, found_in(run_folder_with_a_damaged_page), [], simultaneous=True)
    assert report.overall == without.overall


def test_processes_that_share_a_run_out_tell_of_a_damaged_page_as_one_does(
    run_folder_with_a_damaged_page: Path,
) -> None:
    folder = run_folder_with_a_damaged_page
    alone, _ = assemble(RUN, found_in(folder), [], simultaneous=True)

    with ExitStack() as stack:
        shares = [
            stack.enter_context(ShareProcess(folder / "plan.json", folder, number=number, of=2)) for number in range(2)
        ]
        together, _ = assemble(RUN, found_in(folder), [], simultaneous=True, reader=lambda _: Shared(AtOnce(shares)))

    assert together.model_dump_json() == alone.model_dump_json()


def test_a_process_that_cannot_answer_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")

    with (
        ShareProcess(tmp_path / "plan.json", tmp_path, number=1, of=2) as share,
        pytest.raises(RunBrokenError, match="share 1 of 2 gave no answer: what it printed says why"),
    ):
        share(pack(None))


@given(seed=seeds)
@settings(max_examples=20)
def test_what_is_asked_and_answered_is_the_same_after_it_was_packed(seed: int) -> None:
    samples = samples_of(some_targets(seed))
    outlines = Here(samples).outlines()

    again = unpack(pack(outlines))

    assert again == outlines
    assert replace(again[0, 0], rows=1) == replace(outlines[0, 0], rows=1)


@pytest.mark.parametrize("data", [b"", b"no answer", pack(None)[:-30]], ids=["empty", "other", "cut"])
def test_what_is_no_answer_is_told_of(data: bytes) -> None:
    with pytest.raises(RunBrokenError, match=rf"{len(data)} bytes are no answer of this version"):
        unpack(data)
