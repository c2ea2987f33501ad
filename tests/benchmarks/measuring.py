"""What all benchmarks share: a process and what it took, a line at once, and a row of the table."""

import statistics
import subprocess
import sys
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
    timed = [PYTHON, "-S", str(Path(__file__).with_name("timed.py")), *command]
    wall_s, peak_kib, cpu_s, code = subprocess.run(timed, capture_output=True, text=True, check=True).stdout.split()
    if code != "0":
        raise RuntimeError(f"{command} ended with {code}")
    return Ended(float(wall_s), int(peak_kib) / 1024, float(cpu_s))


def median_of(field: str, ended: Sequence[Ended]) -> float:
    """Give the median of one thing that several processes took."""
    return float(statistics.median(getattr(one, field) for one in ended))
