"""Speeds, side by side in one run: the report on a large results file, reading alone, a local run's cost, and --help.

Every comparison takes turns (A B A B …) and tells medians, because machines drift.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
VEGETA = str(Path(PYTHON).parent / "vegeta")
LEAST_RESULTS = 2_000_000
BYTES_A_RESULT = 170  # a little less than one of the trivial server's takes
LONGEST_ATTACK_S = 400
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Ended:
    """What a finished process took."""

    wall_s: float
    peak_mib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, help="results that vegeta wrote, instead of a new attack's")
    given = parser.parse_args()
    tell(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        results = given.file or attack_trivial_server(Path(folder))
        reading(results)
        reports(results)
        help_text()
        local_run(Path(folder))


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


def attack_trivial_server(folder: Path) -> Path:
    """Let vegeta attack a server that answers at once until the results file is large enough."""
    server, results = folder / "trivial_server", folder / "results.gob"
    subprocess.run(["go", "build", "-o", server, "."], cwd=REPOSITORY / "tests/benchmarks/trivial_server", check=True)  # noqa: S607
    with subprocess.Popen([server], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        address = serving.stdout.readline().strip()
        targets = folder / "targets"
        targets.write_text(f"GET http://{address}/health\n")
        options = ["-rate=0", "-max-workers=32", f"-duration={LONGEST_ATTACK_S}s", "-timeout=5s"]
        with subprocess.Popen([VEGETA, "attack", *options, f"-targets={targets}", f"-output={results}"]) as attack:
            while attack.poll() is None and size_of(results) < LEAST_RESULTS * BYTES_A_RESULT * 1.15:
                time.sleep(1)
            attack.send_signal(signal.SIGINT)
        serving.terminate()
    return results


def size_of(file: Path) -> int:
    """Give a file's size in bytes; 0 before it is there."""
    return file.stat().st_size if file.exists() else 0


def run(command: Sequence[str]) -> Ended:
    """Run a process to its end; its output is not kept."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return Ended(wall_s, usage.ru_maxrss / 1024)


def reading(results: Path) -> None:
    """Decode all columns in this process, on one core."""
    from attacker.gob import read_gob  # noqa: PLC0415

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    speeds = []
    count = 0
    for _ in range(ROUNDS + 1):
        with results.open("rb", buffering=0) as stream:
            began = time.perf_counter()
            count = len(read_gob(stream, name=str(results)).results)
            speeds.append(count / (time.perf_counter() - began))
    os.sched_setaffinity(0, cores)
    tell(f"results file: {count:,} requests, {size_of(results) / 1e6:,.0f} MB")
    if count < LEAST_RESULTS:
        raise RuntimeError(f"{count} requests are too few: at least {LEAST_RESULTS} are wanted")
    tell(f"reading alone, one core:   {statistics.median(speeds[1:]) / 1e6:6.2f} M results/s (goal: 2.5)")


def reports(results: Path) -> None:
    """Time `attacker report` and `vegeta report` in turns, as whole processes."""
    ours, theirs = [], []
    run([PYTHON, "-m", "attacker", "report", str(results)])
    for _ in range(ROUNDS):
        theirs.append(run([VEGETA, "report", str(results)]))
        ours.append(run([PYTHON, "-m", "attacker", "report", str(results)]))
    for name, all_ in (("vegeta report (approximate)", theirs), ("attacker report (exact)", ours)):
        wall_s, peak_mib = (statistics.median(getattr(one, field) for one in all_) for field in ("wall_s", "peak_mib"))
        tell(f"{name:<28}{wall_s:6.2f} s, {peak_mib:6.0f} MiB")
    ratios = [their.wall_s / our.wall_s for their, our in zip(theirs, ours, strict=True)]
    tell(f"attacker report is {statistics.median(ratios):.2f} times as fast (goal: 2; memory within 1024 MiB)")


def help_text() -> None:
    """Time --help."""
    ended = [run([PYTHON, "workflows/submit.py", "--help"]) for _ in range(ROUNDS)]
    tell(f"submit.py --help:          {statistics.median(one.wall_s for one in ended):6.2f} s (goal: 0.5)")


def local_run(folder: Path) -> None:
    """Time what a local run takes beside warm-up and attack."""
    options = ["--local", "--warmup", "1s", "--duration", "5s", "--results", str(folder)]
    ended = [run([PYTHON, "workflows/submit.py", *options]) for _ in range(ROUNDS)]
    beside = statistics.median(one.wall_s for one in ended) - 6
    tell(f"local run beside 6 s of attack: {beside:.2f} s (goal: 5)")


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    sys.path.insert(0, str(REPOSITORY))
    main()
