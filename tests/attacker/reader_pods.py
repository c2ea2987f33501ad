"""Reader pods as a cluster runs them, but for the cluster: a process a reader, and a bucket between them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attacker.bucket import Bucket
from attacker.duration import Duration
from attacker.plan_file import Plan, plan_path, render_plan
from tests.attacker.building import START_NS
from tests.attacker.many_rows import planned_shards

__all__ = ["a_run_in", "reader_pods", "start_reader"]

_RESULTS = "gs://results/load-tests"


def a_run_in(bucket: Bucket, run_folder: Path, *, run: str = "the-run", targets: int = 2, shards: int = 3) -> Plan:
    """Upload a run folder, and its plan."""
    planned = planned_shards(targets=targets, shards=shards)
    plan = Plan(run=run, shards=planned, deadline_ns=START_NS, margin=Duration(0))
    bucket.upload(run_folder / "shards", f"runs/{run}/shards")
    bucket.write(plan_path(run), render_plan(plan))
    return plan


def start_reader(number: int, run: str) -> "subprocess.Popen[str]":
    """Start a reader's process."""
    return subprocess.Popen(
        [sys.executable, "-m", "attacker", "read", str(number), "--run", run, "--results", _RESULTS],
        cwd=Path(__file__).parents[2],
        env=os.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def reader_pods(number: int, run: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run so many readers; told to stop where they have not ended themselves."""
    with ExitStack() as stack:
        readers = []
        for reader in range(1, number + 1):
            readers.append(stack.enter_context(start_reader(reader, run)))
            stack.callback(readers[-1].terminate)
        yield readers
