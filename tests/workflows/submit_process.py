"""`python workflows/submit.py` as its user starts it: a process."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["REPOSITORY", "Told", "start_submit", "submit"]

REPOSITORY = Path(__file__).parents[2]
SUBMIT = (sys.executable, str(REPOSITORY / "workflows" / "submit.py"))


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The lines that say what is wrong."""
        return "\n".join(line for line in self.err.splitlines() if line.startswith("submit: "))


def submit(*options: str, cwd: Path, **environment: str) -> Told:
    """Run it to its end, from a folder that is not the repository."""
    process = start_submit(*options, cwd=cwd, **environment)
    out, err = process.communicate(timeout=100)
    return Told(process.returncode, out, err)


def start_submit(*options: str, cwd: Path, **environment: str) -> "subprocess.Popen[str]":
    """Start it."""
    return subprocess.Popen(
        [*SUBMIT, *options],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
