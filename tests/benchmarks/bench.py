"""The benchmarks of docs/benchmarks.md, side by side in one run: every comparison takes turns and tells medians.

Parts: report (2 and 10 million results; beside vegeta report, and beside vegeta encode with polars), percentiles (two
humps), aggregate (100 million requests of 200 shards), stall (beside wrk, hey and vegeta), cpu (of an attack, beside
vegeta), run (what a user waits for).
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from tests.benchmarks.attacker_cpu import cpu_a_request  # noqa: E402  (the path to it is set above)
from tests.benchmarks.measuring import PYTHON, Row, median_of, run, tell  # noqa: E402
from tests.benchmarks.percentile_errors import errors_on_two_humps  # noqa: E402
from tests.benchmarks.report_speed import (  # noqa: E402
    beside_encode_and_polars,
    beside_vegeta_report,
    reading_alone,
)
from tests.benchmarks.results_files import attack_trivial_server, repeated  # noqa: E402
from tests.benchmarks.run_cost import help_text, local_run  # noqa: E402
from tests.benchmarks.shards import a_made_run  # noqa: E402
from tests.benchmarks.stall_tails import p99_after_a_stall  # noqa: E402

LEAST_RESULTS = 2_000_000
TIMES = 5
LEAST_ROUNDS = 3
"""Of what takes minutes."""
LONGEST_S, MOST_MIB = 60, 512
"""Of a hundred million requests."""
HEADING = "| what | against | measured | bar | met |\n|---|---|---|---|---|"


def main() -> None:
    """Measure and print."""
    given = _arguments()
    tell(f"{machine()}, medians of {given.rounds} rounds")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        for part in given.only or PARTS:
            tell(f"{part}:")
            for row in PARTS[part](Path(folder), given):
                rows.append(row)
                tell(f"{row.what}, against {row.beside}: {row.measured} (bar: {row.bar})")
    if given.markdown:
        tell(
            "\n".join([f"\n{machine()}, medians of {given.rounds} rounds:\n", HEADING, *(one.markdown for one in rows)])
        )


def machine() -> str:
    """Tell what this was measured on."""
    told = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in told if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores of {model}, {platform.platform()}, Python {platform.python_version()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given several times")
    parser.add_argument("--rounds", type=int, default=5, help="of every comparison; those of minutes have 3 at most")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/benchmarks.md at the end")
    parser.add_argument("--file", type=Path, help="2 million results that vegeta wrote, instead of a new attack's")
    parser.add_argument("--scratch", type=Path, help="a folder with 10 GB of room, instead of the system's own")
    return parser.parse_args()


def _report(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    results = given.file or attack_trivial_server(folder, least_results=LEAST_RESULTS)
    yield reading_alone(results, rounds=given.rounds)
    yield beside_vegeta_report(results, "2 M", bar=2.5, rounds=given.rounds)
    rounds = min(LEAST_ROUNDS, given.rounds)
    many = repeated(results, TIMES)
    yield beside_vegeta_report(many, "10 M", bar=5, rounds=rounds)
    yield beside_encode_and_polars(many, "10 M", folder / "results.csv", bar=10, rounds=rounds)


def _aggregate(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    made = folder / "made"
    a_made_run(made, targets=10, shards=20, requests=500_000)
    command = [PYTHON, str(Path(__file__).with_name("scale.py")), f"--folder={made}", "--aggregate"]
    took = [run(command) for _ in range(min(LEAST_ROUNDS, given.rounds))]
    wall_s, peak_mib = median_of("wall_s", took), max(one.peak_mib for one in took)
    yield Row(
        "aggregate 100 M requests, 200 shards, all plots",
        "-",
        f"{wall_s:.1f} s, {peak_mib:,.0f} MiB",
        "<= 60 s, <= 512 MiB",
        wall_s <= LONGEST_S and peak_mib <= MOST_MIB,
    )


def _cpu(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    # One pair differs by a twentieth, the bar is a fiftieth.
    yield from cpu_a_request(folder, rounds=6 * given.rounds + 1)


def _run(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    yield help_text(rounds=given.rounds)
    yield local_run(folder, rounds=given.rounds)


PARTS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Row]]] = {
    "report": _report,
    "percentiles": lambda folder, given: errors_on_two_humps(folder, rounds=given.rounds),
    "aggregate": _aggregate,
    "stall": lambda folder, given: p99_after_a_stall(folder, rounds=given.rounds),
    "cpu": _cpu,
    "run": _run,
}


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    main()
