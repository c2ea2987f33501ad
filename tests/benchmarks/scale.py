"""A hundred million requests to one report: time, and the most memory of the whole process.

The shards are made first, unless they are in the folder already; `--of 4` has four processes share them out as well;
with `--bucket`, these are readers as in pods, which talk and fetch through an emulated bucket.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attacker.measuring.measure import Reader
    from attacker.measuring.sample import Sample
    from attacker.measuring.shared import Shared
    from tests.benchmarks.shards import MadeRun

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS = 3
READERS = "readers.txt"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="the run's, instead of a temporary one")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--shards", type=int, default=20, help="of each target")
    parser.add_argument("--requests", type=int, default=500_000, help="of each shard")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--of", type=int, default=0, help="processes that share the shards out")
    parser.add_argument("--bucket", action="store_true", help="they share out what is in a bucket, as pods do")
    parser.add_argument("--aggregate", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        given.folder = given.folder or Path(scratch)
        (aggregate if given.aggregate else compare)(given)


def compare(given: argparse.Namespace) -> None:
    """Make the shards, and time the step that reports on them, in a process of its own."""
    from tests.benchmarks.measuring import PYTHON, run, tell  # noqa: PLC0415  (the path to it is set below)
    from tests.benchmarks.shards import a_made_run  # noqa: PLC0415

    rows = given.targets * given.shards * given.requests
    a_made_run(given.folder, targets=given.targets, shards=given.shards, requests=given.requests)
    size = sum(file.stat().st_size for file in given.folder.glob("shards/*/results.parquet"))
    tell(f"{rows:,} requests in {given.targets * given.shards} shards, {size / 1e6:,.0f} MB; {os.cpu_count()} cores")
    words = [f"--{name}={getattr(given, name)}" for name in ("folder", "targets", "shards", "requests")]
    reports = set()
    for of in (0, *([given.of] if given.of else [])):
        by_pods = bool(of and given.bucket)
        words += ["--bucket"] if by_pods else []
        with _uploaded(given) if by_pods else nullcontext():
            for _ in range(given.rounds if not of else 1):
                took = run([PYTHON, __file__, *words, f"--of={of}", "--aggregate"])
                reports.add((given.folder / "report.json").read_bytes())
                who = f"{of} {'readers' if given.bucket else 'processes'}, one report" if of else "aggregate"
                tell(
                    f"{who}: {took.wall_s:.1f} s, {took.peak_mib:.0f} MiB, {took.cpu_s:.1f} s of CPU, "
                    f"{rows / took.wall_s / 1e6:.2f} M rows/s"
                )
                if by_pods:
                    tell((given.folder / READERS).read_text(encoding="utf-8"))
    tell("every report.json is the same, byte for byte" if len(reports) == 1 else "THE REPORTS DIFFER")


@contextmanager
def _uploaded(given: argparse.Namespace) -> Iterator[None]:
    """Have the run in an emulated bucket."""
    from attacker.bucket import Bucket  # noqa: PLC0415
    from tests.attacker.conditional_storage import conditional_storage  # noqa: PLC0415
    from tests.benchmarks.shards import RUN  # noqa: PLC0415

    with conditional_storage("results", given.folder / "emulator.log") as url:
        os.environ["STORAGE_EMULATOR_HOST"] = url
        Bucket.connect("results", "").upload(given.folder / "shards", f"runs/{RUN}/shards")
        yield


def _by_readers(given: argparse.Namespace, made: "MadeRun") -> None:
    """Do what the step does where there are readers: they are processes, and each tells what it took."""
    from attacker.bucket import Bucket  # noqa: PLC0415
    from attacker.duration import Duration  # noqa: PLC0415
    from attacker.plan_file import Plan, plan_path, render_plan  # noqa: PLC0415
    from attacker.pods.reading_desk import Desk  # noqa: PLC0415
    from attacker.pods.sharing_out import share_out  # noqa: PLC0415
    from tests.benchmarks.measuring import PYTHON  # noqa: PLC0415
    from workflows.steps import aggregate as step  # noqa: PLC0415

    bucket = Bucket.connect("results", "")
    plan = Plan(run=made.run.id, shards=made.shards, deadline_ns=0, margin=Duration(0))
    bucket.write(plan_path(plan.run), render_plan(plan))
    words = ["-m", "attacker", "read", "--run", plan.run, "--results", "gs://results"]
    timed = [PYTHON, "-S", str(Path(__file__).with_name("timed.py")), PYTHON, *words]
    readers = [
        subprocess.Popen([*timed, str(number)], stdout=subprocess.PIPE, text=True) for number in range(1, given.of + 1)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        shared = share_out(plan, Path(scratch), bucket, Desk(plan.run, bucket, readers=given.of))
        reading = partial(_reading, shared.reader)
        step.aggregate(
            made.loadtest, made.shards, made.run, Path(scratch), doubts=(), reader=reading, rows_in=shared.rows_in
        )
        (given.folder / "report.json").write_bytes((Path(scratch) / "report.json").read_bytes())
    bucket.delete(plan_path(plan.run))
    ended = [reader.communicate()[0].split() for reader in readers]
    most_mib = max(int(peak_kib) for _, peak_kib, _, _ in ended) / 1024
    cpu_s = sum(float(cpu_s) for _, _, cpu_s, _ in ended)
    codes = {int(code) for *_, code in ended}
    told = f"the readers: {most_mib:.0f} MiB at most, {cpu_s:.1f} s of CPU in all, exit codes {codes}"
    (given.folder / READERS).write_text(told, encoding="utf-8")


def aggregate(given: argparse.Namespace) -> None:
    """Do what the step does, all faces of the report included."""
    from attacker.duration import Duration  # noqa: PLC0415
    from attacker.measuring.reading import Here  # noqa: PLC0415
    from attacker.measuring.shared import AtOnce, Shared  # noqa: PLC0415
    from attacker.plan_file import Plan, render_plan  # noqa: PLC0415
    from attacker.share import ShareProcess  # noqa: PLC0415
    from tests.benchmarks.shards import planned  # noqa: PLC0415
    from workflows.steps import aggregate as step  # noqa: PLC0415

    made = planned(given.folder, targets=given.targets, shards=given.shards, requests=given.requests)
    if given.bucket:
        _by_readers(given, made)
        return
    with ExitStack() as stack:
        reader: Callable[[Sequence[Sample]], Reader] = Here
        if given.of:
            file = given.folder / "plan.json"
            file.write_bytes(render_plan(Plan(run=made.run.id, shards=made.shards, deadline_ns=0, margin=Duration(0))))
            shares = [
                stack.enter_context(ShareProcess(file, made.folder, number=number, of=given.of))
                for number in range(given.of)
            ]
            reader = partial(_reading, Shared(AtOnce(shares)))
        step.aggregate(made.loadtest, made.shards, made.run, made.folder, doubts=(), reader=reader)


def _reading(shared: "Shared", _: Sequence["Sample"]) -> "Reader":
    return shared


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
