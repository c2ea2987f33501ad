"""What a user waits for beside the attack: --help, and a local run."""

import statistics
from pathlib import Path

from tests.benchmarks.measuring import PYTHON, Row, median_of, run

__all__ = ["help_text", "local_run"]

_ATTACK_S = 6


def help_text(*, rounds: int) -> Row:
    """Time --help."""
    wall_s = median_of("wall_s", [run([PYTHON, "workflows/submit.py", "--help"]) for _ in range(rounds)])
    return Row("`submit.py --help`", "-", f"{wall_s:.2f} s", "<= 0.5 s", wall_s <= 0.5)


def local_run(folder: Path, *, rounds: int) -> Row:
    """Time what a local run takes beside warm-up and attack."""
    options = ["--local", "--warmup", "1s", "--duration", f"{_ATTACK_S - 1}s", "--results", str(folder)]
    ended = [run([PYTHON, "workflows/submit.py", *options]) for _ in range(rounds)]
    beside_s = statistics.median(one.wall_s for one in ended) - _ATTACK_S
    return Row("a local run, beside its warm-up and attack", "-", f"{beside_s:.2f} s", "<= 5 s", beside_s <= 5)
