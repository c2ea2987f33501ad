"""What all benchmarks share: a process and what it took, a line at once, and a row of the table."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PYTHON", "REPOSITORY", "VEGETA", "Ended", "Row", "median_of", "run", "tell"]

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
VEGETA = str(Path(PYTHON).parent / "vegeta")


@dataclass(frozen=True, slots=True)
class Ended:
    """What a finished process took."""

    wall_s: float
    peak_mib: float
    cpu_s: float
    """Its own, and of the children that it waited for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    what: str
    beside: str
    """What it is measured against, in the same run."""
    measured: str
    bar: str
    is_met: bool

    @property
    def markdown(self) -> str:
        """The line in a Markdown table."""
        return f"| {self.what} | {self.beside} | {self.measured} | {self.bar} | {'yes' if self.is_met else '**no**'} |"


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


def run(command: Sequence[str]) -> Ended:
    """Run a process to its end; its output is not kept."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Ended(wall_s, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def median_of(field: str, ended: Sequence[Ended]) -> float:
    """Give the median of one thing that several processes took."""
    return float(statistics.median(getattr(one, field) for one in ended))
