"""How long an exact report takes, beside vegeta's own and beside vegeta encode with polars; reading alone."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from attacker.results.gob import GobReader
from tests.benchmarks.measuring import PYTHON, VEGETA, Row, median_of, run, tell
from tests.benchmarks.results_files import size_of

__all__ = ["beside_encode_and_polars", "beside_vegeta_report", "reading_alone"]

_LEAST_READ_PER_S = 2_500_000


def ours(results: Path) -> list[str]:
    """Give the command line of this project's report."""
    return [PYTHON, "-m", "attacker", "report", str(results)]


def reading_alone(results: Path, *, rounds: int) -> Row:
    """Decode all columns in this process, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    speeds = []
    count = 0
    for _ in range(rounds + 1):
        with results.open("rb", buffering=0) as stream:
            began = time.perf_counter()
            count = sum(map(len, GobReader(stream, str(results)).batches()))
            speeds.append(count / (time.perf_counter() - began))
    os.sched_setaffinity(0, cores)
    per_s = statistics.median(speeds[1:])
    tell(f"results file: {count:,} requests, {size_of(results) / 1e6:,.0f} MB")
    return Row(
        "reading results alone, one core", "-", f"{per_s / 1e6:.2f} M/s", ">= 2.5 M/s", per_s >= _LEAST_READ_PER_S
    )


def beside_vegeta_report(results: Path, label: str, *, bar: float, rounds: int) -> Row:
    """Time both reports in turns, as whole processes."""
    return _beside(
        results, f"report on {label} results", "`vegeta report`", [VEGETA, "report", str(results)], bar, rounds
    )


def beside_encode_and_polars(results: Path, label: str, scratch: Path, *, bar: float, rounds: int) -> Row:
    """Time the report and what people write themselves in turns, as whole processes."""
    script = str(Path(__file__).with_name("encode_polars.py"))
    theirs = [PYTHON, script, str(results), str(scratch)]
    return _beside(results, f"report on {label} results", "`vegeta encode` + polars", theirs, bar, rounds)


def _beside(results: Path, what: str, beside: str, other: Sequence[str], bar: float, rounds: int) -> Row:
    theirs, own = [], []
    run(ours(results))
    for _ in range(rounds):
        theirs.append(run(other))
        own.append(run(ours(results)))
    ratio = statistics.median(their.wall_s / our.wall_s for their, our in zip(theirs, own, strict=True))
    times = " against ".join(
        f"{median_of('wall_s', all_):.2f} s, {median_of('peak_mib', all_):,.0f} MiB" for all_ in (own, theirs)
    )
    return Row(what, beside, f"{ratio:.2f}x ({times})", f">= {bar:g}x", ratio >= bar)
