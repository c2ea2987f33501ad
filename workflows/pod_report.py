"""The report of a run on a cluster: of all that the attackers left in the bucket, however the run came to its end."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from attacker.api_pods import ApiPods, Snapshot, parse_snapshot, snapshot_path
from attacker.bucket import Bucket
from attacker.exits import Exit
from attacker.measuring.measure import Reader
from attacker.measuring.reading import Here
from attacker.measuring.sample import Sample
from attacker.plan_file import Plan, parse_plan, plan_path, shards_path
from attacker.pods.gate import read_gate
from attacker.pods.reading_desk import Desk, reading_path
from attacker.pods.sharing_out import share_out
from attacker.report.faces.text import render_text
from attacker.report.figures import Report, Run, written_moment
from attacker.report.verdict import EXIT_OF
from attacker.run_folder import FindRows
from workflows.loadtest import LoadTest
from workflows.steps.aggregate import aggregate
from workflows.steps.cluster import Cluster, connect
from workflows.steps.run_pods import living_attackers, why_killed, why_readers_ended, why_unscheduled

__all__ = ["Finished", "Made", "reported"]

_LAST_SHARDS_S = 45.0
"""How long is waited for what attackers that were stopped still upload."""
_LAST_SNAPSHOT_S = 45.0
"""How long is waited for who removes the API: its pod starts together with this one."""
_POLL_S = 0.25
_WIDTH = 100

_FindCluster = Callable[[], Cluster]
"""Connects when it is first asked: most reports need no cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run whose attack is over, be it that it never began."""

    run: str
    started: str
    """When it was, ISO 8601."""
    status: str
    """As Argo calls what it came to so far: Succeeded, Failed or Error."""
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report, and its faces for Argo."""

    report: Report
    summary: str
    html: str

    @property
    def exit(self) -> Exit:
        """The exit code of its verdict."""
        return EXIT_OF[self.report.verdict.result]


def reported(loadtest: LoadTest, finished: Finished, bucket: Bucket) -> Made | None:
    """Report on a run, and upload the report.

    Returns:
        The report; None where there never was anything to measure.

    Raises:
        RunBrokenError: the bucket cannot be read or written.
    """
    data = bucket.read(plan_path(finished.run))
    if data is None:
        return None
    planned = parse_plan(data)
    try:
        gate = read_gate(finished.run, bucket)
        if gate is None or gate.deadline_ns is None:
            return None
        return _made(loadtest, finished, planned, bucket)
    finally:
        bucket.delete(plan_path(finished.run))  # it may hold credentials; and readers end when it is gone


def _made(loadtest: LoadTest, finished: Finished, planned: Plan, bucket: Bucket) -> Made:
    cluster: _FindCluster = cache(lambda: connect(finished.namespace))
    _wait_for_last_shards(planned, cluster, bucket)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with _brought(planned, cluster, folder, bucket, readers=loadtest.readers) as brought:
            is_whole = all((folder / "shards" / shard.name / "shard.json").is_file() for shard in planned.shards)
            made = aggregate(
                loadtest,
                planned.shards,
                _run(loadtest, finished),
                folder,
                doubts=(*_doubts(finished, cluster, is_whole=is_whole), *brought.troubles),
                api=None if loadtest.api_url else _api_pods(finished.run, bucket),
                reader=brought.reader,
                rows_in=brought.rows_in,
            )
        for name in ("report.html", "report.md", "junit.xml", "report.json"):
            bucket.write(f"runs/{finished.run}/{name}", (folder / name).read_bytes())
        html = (folder / "report.html").read_text(encoding="utf-8")
    return Made(report=made, summary=render_text(made, width=_WIDTH, colour=False), html=html)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brought:
    """What was measured, here or where readers have it."""

    troubles: tuple[str, ...]
    reader: Callable[[Sequence[Sample]], Reader] = Here
    rows_in: FindRows | None = None


@contextmanager
def _brought(planned: Plan, cluster: _FindCluster, folder: Path, bucket: Bucket, *, readers: int) -> Iterator[_Brought]:
    """Bring what was measured into a folder; of several readers, each brings a share of it into its own."""
    if readers == 1:
        yield _Brought(troubles=bucket.download(shards_path(planned.run), folder / "shards"))
        return
    desk = Desk(planned.run, bucket, readers=readers, ended=lambda: why_readers_ended(cluster(), run=planned.run))
    try:
        shared = share_out(planned, folder, bucket, desk)
        yield _Brought(troubles=shared.troubles, reader=lambda _: shared.reader, rows_in=shared.rows_in)
    finally:
        bucket.clear(f"{reading_path(planned.run)}/")


def _wait_for_last_shards(planned: Plan, cluster: _FindCluster, bucket: Bucket) -> None:
    """Wait until every shard has said its last, for as long as its pod lives to do so, and not for ever."""
    until = time.monotonic() + _LAST_SHARDS_S
    while not _have_all_ended(planned, bucket) and time.monotonic() < until:
        if not living_attackers(cluster(), run=planned.run):
            return
        time.sleep(_POLL_S)


def _have_all_ended(planned: Plan, bucket: Bucket) -> bool:
    names = bucket.names(f"{shards_path(planned.run)}/")
    ended = {name.split("/")[3] for name in names if name.endswith(("/shard.json", "/absent.json"))}
    return ended >= {shard.name for shard in planned.shards}


def _api_pods(run: str, bucket: Bucket) -> ApiPods:
    """Read what the API's pods were, and wait for what they are: who removes them says so first, and at this time."""
    before = _snapshot(run, "before", bucket)
    after = None
    until = time.monotonic() + _LAST_SNAPSHOT_S
    while before is not None:
        after = _snapshot(run, "after", bucket)
        if after is not None or time.monotonic() >= until:
            break
        time.sleep(_POLL_S)
    return ApiPods(before=before, after=after)


def _snapshot(run: str, moment: str, bucket: Bucket) -> Snapshot | None:
    data = bucket.read(snapshot_path(run, moment))
    return None if data is None else parse_snapshot(data)


def _doubts(finished: Finished, cluster: _FindCluster, *, is_whole: bool) -> tuple[str, ...]:
    """Say what the shards' own evidence does not."""
    if not is_whole:
        return (*why_unscheduled(cluster(), run=finished.run), *why_killed(cluster(), run=finished.run))
    if finished.status != "Succeeded":
        return (f"the run did not come to its end: Argo calls it {finished.status}",)
    return ()


def _run(loadtest: LoadTest, finished: Finished) -> Run:
    return Run(
        id=finished.run,
        started=finished.started,
        ended=written_moment(datetime.now(UTC)),
        engine="argo",
        loadtest=loadtest.as_run(),
        environment={"namespace": finished.namespace, "attacker_image": loadtest.attacker_image},
    )
