"""`attacker report` beside `vegeta report`, as whole processes in turns, on 2 and on 10 million results.

On the 10 million also beside what else gives exact percentiles: `vegeta encode` to CSV, read by polars.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
VEGETA = str(Path(PYTHON).parent / "vegeta")
SIZES = {2_000_000: (5, 2.5), 10_000_000: (3, 5.0)}
"""Of each number of results: how many rounds, and how many times as fast as vegeta's report is the goal."""
ENCODED_GOAL = 10.0
EXACT = """
import sys, polars as pl
latency = pl.scan_csv(sys.stdin.buffer.read(), has_header=False).select("column_3").collect()["column_3"]
print([latency.quantile(share, "higher") for share in (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)])
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, choices=SIZES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        maker = Path(folder) / "maker"
        source = REPOSITORY / "tests/benchmarks/results_maker"
        subprocess.run(["go", "build", "-o", maker, "."], cwd=source, check=True)  # noqa: S607
        for number in SIZES if given.only is None else (given.only,):
            compare(maker, Path(folder) / f"{number}.gob", number)


def compare(maker: Path, results: Path, number: int) -> None:
    """Time both reports on so many results."""
    rounds, goal = SIZES[number]
    with results.open("wb") as stream:
        subprocess.run([maker, str(number)], stdout=stream, check=True)
    tell(f"{number:,} results, {results.stat().st_size / 1e6:,.0f} MB")
    ours, theirs = [PYTHON, "-m", "attacker", "report", str(results)], [VEGETA, "report", str(results)]
    run(ours)
    taken = [(run(theirs), run(ours)) for _ in range(rounds)]
    tell_of("vegeta report (approximate)", [one for one, _ in taken])
    tell_of("attacker report (exact)", [other for _, other in taken])
    ratio = statistics.median(one[0] / other[0] for one, other in taken)
    tell(f"attacker report is {ratio:.2f} times as fast (goal: {goal})")
    if number == max(SIZES):
        encoded = encode_and_rank(results)
        tell_of("vegeta encode | polars (exact)", [encoded])
        ratio = encoded[0] / statistics.median(other[0] for _, other in taken)
        tell(f"attacker report is {ratio:.2f} times as fast (goal: {ENCODED_GOAL})")


def encode_and_rank(results: Path) -> tuple[float, float]:
    """Have vegeta write CSV, and polars find the percentiles in it."""
    began = time.perf_counter()
    with subprocess.Popen([VEGETA, "encode", "-to=csv", str(results)], stdout=subprocess.PIPE) as encoding:
        ranking = subprocess.Popen([PYTHON, "-c", EXACT], stdin=encoding.stdout, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(ranking.pid, 0)
    if status:
        raise RuntimeError(f"polars ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def run(command: Sequence[str]) -> tuple[float, float]:
    """Run a process to its end; returns its seconds, and its most memory in MiB. Its output is not kept."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def tell_of(name: str, taken: Sequence[tuple[float, float]]) -> None:
    """Print the medians."""
    took_s, peak_mib = (statistics.median(values) for values in zip(*taken, strict=True))
    tell(f"{name:<32}{took_s:7.2f} s, {peak_mib:6.0f} MiB")


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
