"""What a reader's pod does: fetch its share of a run's shards, and answer what the report asks about them."""

import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from attacker.bucket import AT_ONCE, Bucket
from attacker.command_line import say
from attacker.exits import Exit, RunBrokenError
from attacker.measuring.duplicates import COLUMNS, Window, pieces_in
from attacker.measuring.outline import Outlines, Place
from attacker.measuring.packing import pack, unpack
from attacker.measuring.reading import Here
from attacker.measuring.sample import Sample
from attacker.measuring.shared import answered
from attacker.plan import Shard
from attacker.plan_file import Plan, parse_plan, plan_path, shards_path
from attacker.pods.reading_desk import answer_in_turn
from attacker.report.assemble import measured_shard
from attacker.results.distant_rows import DistantRows
from attacker.results.parquet import ROWS_FILE
from attacker.results.rows import Rows
from attacker.run_folder import NO_ROWS, find_rows, shard_folder
from attacker.targets import Target

__all__ = ["read_in_pod"]


def read_in_pod(reader: int, run: str, bucket: Bucket, *, stop: threading.Event) -> int:
    """Answer for a share of a run's shards, until its report is made.

    Args:
        reader: which one of the run's this is, from 1 on.
        run: the run's id.
        bucket: where the run lies.
        stop: when it is set, nothing more is answered.

    Returns:
        The process's exit code.

    Raises:
        RunBrokenError: nobody asks, or the bucket cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="read-") as scratch:
        share = _Share(run, bucket, Path(scratch))
        is_over = answer_in_turn(reader, run, bucket, share, wait=stop.wait)
    say(f"reader {reader} of run {run}: {'the report is made' if is_over else 'told to stop'}", to_stderr=True)
    return Exit.PASS if is_over else Exit.INTERRUPTED


class _Share:
    """Answers on its own shards, and on what is there twice in all of them."""

    def __init__(self, run: str, bucket: Bucket, folder: Path) -> None:
        self._run = run
        self._bucket = bucket
        self._folder = folder
        self._own: Mapping[str, Rows] = {}
        self._here: Here | None = None

    def __call__(self, question: bytes) -> bytes:
        asked = unpack(question)
        if isinstance(asked, Mapping) and "take" in asked:
            return pack(self._take(asked["take"]))
        if isinstance(asked, Mapping):
            self._learn(asked["all"])
            return pack(None)
        if self._here is None:
            raise RunBrokenError("a reader was asked before it was told what to read: use one image for all pods")
        return answered(self._here, question)

    def _take(self, shards: Sequence[tuple[str, str, bool]]) -> Sequence[tuple[str | None, str | None, int]]:
        """Fetch shards, of each the name, the checksum, and whether its rows are there.

        Returns:
            Why it could not be fetched, what is wrong with its rows, and how many they are, of each.
        """
        place = shards_path(self._run)
        names = {shard: f"{place}/{shard}/{ROWS_FILE}" for shard, _, _ in shards}
        there = [names[shard] for shard, _, is_there in shards if is_there]
        troubles = self._bucket.fetch(there, place, self._folder / "shards")
        found = {shard: find_rows(shard_folder(self._folder, shard) / ROWS_FILE, sha) for shard, sha, _ in shards}
        self._own = {shard: rows for shard, (rows, _) in found.items()}
        say(f"{len(found)} shards, {sum(map(_rows_of, self._own.values())):,} requests", to_stderr=True)
        return tuple((troubles.get(names[shard]), damage, _rows_of(rows)) for shard, (rows, damage) in found.items())

    def _learn(self, shards: Mapping[str, tuple[int, int]]) -> None:
        """Hear of all shards that left evidence: how many rows each has, and the size of its file in bytes."""
        data = self._bucket.read(plan_path(self._run))
        if data is None:
            raise RunBrokenError(f"{self._bucket.address(plan_path(self._run))} is not there any more: run it again")
        present = _by_target(parse_plan(data), shards)
        samples = [
            Sample(
                shards=tuple(measured_shard(one, self._rows(one.name, *shards[one.name])) for one in of_target),
                is_success=target.is_success,
            )
            for target, of_target in present
        ]
        share = {
            (target, number)
            for target, (_, of_target) in enumerate(present)
            for number, shard in enumerate(of_target)
            if shard.name in self._own
        }
        self._here = _HereAndFar(samples, share=share)

    def _rows(self, shard: str, rows: int, size_bytes: int) -> Rows:
        """Give the rows of a shard of its own, or of another reader's."""
        if shard in self._own or not rows:
            return self._own.get(shard, NO_ROWS)
        fetch = partial(self._bucket.read_range, f"{shards_path(self._run)}/{shard}/{ROWS_FILE}")
        return DistantRows(fetch, self._folder / "far" / shard / ROWS_FILE, size_bytes=size_bytes, rows=rows)


class _HereAndFar(Here):
    """Reads rows of which others lie elsewhere, when duplicates are looked for in them."""

    def __init__(self, samples: Sequence[Sample], *, share: Collection[Place]) -> None:
        super().__init__(samples, share=share)
        self._all = samples

    def duplicates(self, outlines: Outlines, window: Window) -> Sequence[int]:
        """Count each target's duplicates; what lies elsewhere is fetched first, several pieces at a time."""
        wanted = [
            (rows, piece)
            for target, number, piece in pieces_in(window, outlines)
            if isinstance(rows := self._all[target].shards[number].rows, DistantRows)
        ]
        try:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(lambda one: one[0].bring(one[1], COLUMNS), wanted))
            return super().duplicates(outlines, window)
        finally:
            for rows in {id(rows): rows for rows, _ in wanted}.values():
                rows.forget()


def _by_target(plan: Plan, present: Collection[str]) -> list[tuple[Target, list[Shard]]]:
    """Give each target's shards that left evidence, in the plan's order: that is how a report numbers them."""
    by_name: dict[str, tuple[Target, list[Shard]]] = {}
    for shard in plan.shards:
        _, of_target = by_name.setdefault(shard.target.name, (shard.target, []))
        of_target += [shard] if shard.name in present else []
    return list(by_name.values())


def _rows_of(rows: Rows) -> int:
    return len(rows) if isinstance(rows, Sized) else 0
