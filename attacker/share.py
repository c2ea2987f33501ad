"""`python -m attacker.share PLAN FOLDER NUMBER OF`: answers questions on one share of a run folder's shards.

Questions come in on standard input and answers go out on standard output, each with its length before it, until the
input ends; `ShareProcess` is the other end of it.
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Self

from attacker.exits import LoadTestError, RunBrokenError
from attacker.measuring.outline import Place
from attacker.measuring.reading import Here
from attacker.measuring.sample import Sample
from attacker.measuring.shared import answered
from attacker.plan import Shard
from attacker.plan_file import parse_plan
from attacker.report.assemble import samples_of
from attacker.run_folder import find_shard

__all__ = ["ShareProcess", "share_of"]

_LENGTH_BYTES = 8


class ShareProcess(AbstractContextManager["ShareProcess"]):
    """A process that answers for one share, as long as the context lasts."""

    def __init__(self, plan: Path, folder: Path, *, number: int, of: int) -> None:
        words = [str(plan.resolve()), str(folder.resolve()), str(number), str(of)]
        self._name = f"share {number} of {of}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "attacker.share", *words],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for whoever asks
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def __call__(self, question: bytes) -> bytes:
        """Ask. Raises RunBrokenError where the process has ended instead of answering."""
        assert self._process.stdin is not None  # noqa: S101  (both are pipes)
        assert self._process.stdout is not None  # noqa: S101
        try:
            _write(self._process.stdin, question)
            answer = _read(self._process.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise RunBrokenError(f"{self._name} gave no answer: what it printed says why")
        return answer


def share_of(samples: Sequence[Sample], *, number: int, of: int) -> frozenset[Place]:
    """Share all shards out, every `of`-th to the same."""
    every = [(target, shard) for target, sample in enumerate(samples) for shard in range(len(sample.shards))]
    return frozenset(every[number::of])


def main(plan: str, folder: str, number: str, of: str) -> None:
    """Answer until the input ends."""
    planned = parse_plan(Path(plan).read_bytes())
    shards: Sequence[Shard] = planned.shards
    samples = samples_of([find_shard(Path(folder), shard, run=planned.run) for shard in shards])
    reader = Here(samples, share=share_of(samples, number=int(number), of=int(of)))
    while (question := _read(sys.stdin.buffer)) is not None:
        _write(sys.stdout.buffer, answered(reader, question))


def _read(stream: IO[bytes]) -> bytes | None:
    """Read a message; None where the stream has ended before it, or in it."""
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    data = stream.read(length)
    return data if len(head) == _LENGTH_BYTES and len(data) == length else None


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    stream.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LoadTestError as error:
        sys.stderr.write(f"attacker.share: {error}\n")
        sys.exit(error.exit)
