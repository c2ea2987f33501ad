"""Attack pods as a cluster runs them, but for the cluster: a process a shard, and a bucket between them."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from attacker.bucket import Bucket
from attacker.duration import Duration, parse_duration
from attacker.plan import Load, plan
from attacker.plan_file import Plan, plan_path, render_plan
from attacker.rate import parse_rate
from attacker.report.assemble import FoundShard
from attacker.run_folder import find_shard
from attacker.sending import USUAL, Sending
from attacker.targets import Target
from tests.attacker.conditional_storage import conditional_storage

__all__ = ["a_bucket", "ended", "found_in", "plan_in", "start_pod"]

_RESULTS = "gs://results/load-tests"
_LONGEST_S = 90


@pytest.fixture
def a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with conditional_storage("results", tmp_path / "emulator.log") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        yield Bucket.connect("results", "load-tests")


def plan_in(
    bucket: Bucket,
    url: str,
    *,
    targets: Sequence[str | dict[str, object]] = ("GET /a",),
    duration: str = "1s",
    shards: int = 1,
    deadline_s: float = 30,
    sequential: bool = False,
    sending: Sending = USUAL,
) -> Plan:
    """Write the plan of a run into the bucket: 20/s."""
    load = Load(
        rate=parse_rate(20),
        warmup=Duration(0),
        duration=parse_duration(duration),
        shards=shards,
        timeout=parse_duration("30s"),
        sending=sending,
    )
    planned = Plan(
        run=f"run-{secrets.token_hex(4)}",
        shards=plan([Target.model_validate(target) for target in targets], load, base_url=url),
        deadline_ns=time.time_ns() + int(deadline_s * 1e9),
        margin=parse_duration("1500ms"),
        sequential=sequential,
    )
    bucket.write(plan_path(planned.run), render_plan(planned))
    return planned


def start_pod(
    shard: str, run: str, *options: str, before: Sequence[str] = (), **environment: str
) -> "subprocess.Popen[str]":
    """Start a shard's process, by way of the program `before`."""
    command = [sys.executable, "-m", "attacker", "attack", shard, "--run", run, "--results", _RESULTS, "--cpus", "1"]
    return subprocess.Popen(
        [*before, *command, *options],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(pods: Sequence["subprocess.Popen[str]"]) -> list[int]:
    """Wait for processes; returns their exit codes."""
    for pod in pods:
        pod.communicate(timeout=_LONGEST_S)
    return [pod.returncode for pod in pods]


def found_in(bucket: Bucket, plan: Plan, into: Path) -> list[FoundShard]:
    """Read back what a run's shards left in the bucket."""
    assert bucket.download(f"runs/{plan.run}/shards", into / plan.run / "shards") == ()
    return [find_shard(into / plan.run, shard, run=plan.run) for shard in plan.shards]
