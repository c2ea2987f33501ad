"""Questions and answers between a run's report and its readers, pods that talk through files in the bucket.

`reading/READER/question-1` is answered by `answer-1`, or by `failure-1` which says why not; each is written once. The
plan is the sign that there is somebody who asks: where it is gone, the report is made, or there is none to make.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from attacker.barrier import Files, Wait
from attacker.exits import LoadTestError, RunBrokenError
from attacker.measuring.shared import Ask
from attacker.plan_file import plan_path

__all__ = ["Desk", "answer_in_turn", "reading_path"]

_POLL_S = 0.5
_READERS_A_LOOK = 40
"""So many readers look at the bucket every half second without crowding it; more of them look less often."""
_SILENT_READER_S = 300.0
"""To start its pod, to download what it is to read, and to read it once, each."""
_SILENT_REPORT_S = 600.0
"""Longer than a reader may be silent: until then, who asks waits for another one."""


def reading_path(run: str) -> str:
    """Tell where the questions and answers of a run lie in the bucket."""
    return f"runs/{run}/reading"


class Desk:
    """Where a run's readers are asked, each by a thread of its own."""

    def __init__(self, run: str, files: Files, *, readers: int, patience_s: float = _SILENT_READER_S) -> None:
        """Name who is to be asked.

        Args:
            run: the run's id.
            files: the bucket.
            readers: how many there are, from 1 on.
            patience_s: how long each may take for an answer.
        """
        self.asks: tuple[Ask, ...] = tuple(partial(self._ask, number) for number in range(1, readers + 1))
        """One a reader. Raises RunBrokenError where that one, or another one meanwhile, fails or says nothing."""
        self._run = run
        self._files = files
        self._patience_s = patience_s
        self._poll_s = _POLL_S * max(1, readers // _READERS_A_LOOK)
        self._turns = [0] * readers
        self._lock = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._looked_s = 0.0
        self._failure: RunBrokenError | None = None
        self._failed = threading.Event()

    def _ask(self, reader: int, question: bytes) -> bytes:
        self._turns[reader - 1] += 1
        turn, folder = self._turns[reader - 1], f"{reading_path(self._run)}/{reader}"
        try:
            self._files.write(f"{folder}/question-{turn}", question)
            return self._answer(reader, f"{folder}/answer-{turn}", f"{folder}/failure-{turn}")
        except RunBrokenError as error:
            with self._lock:
                self._failure = self._failure or error
            self._failed.set()
            raise self._failure from error

    def _answer(self, reader: int, answer: str, failure: str) -> bytes:
        until_s = time.monotonic() + self._patience_s
        while not self._failed.is_set():
            names = self._listed()
            if answer in names:
                return self._files.read(answer) or b""
            if failure in names:
                raise RunBrokenError((self._files.read(failure) or b"").decode(errors="replace"))
            if time.monotonic() >= until_s:
                raise RunBrokenError(
                    f"reader {reader} of {len(self._turns)} said nothing for {self._patience_s:g} s: see what "
                    f"became of its pod, and run again; the rows of this run are in runs/{self._run}/shards"
                )
            self._failed.wait(self._poll_s)
        raise self._failure or RunBrokenError("another reader failed: see its log")

    def _listed(self) -> tuple[str, ...]:
        """List all answers, once for all who wait."""
        with self._lock:
            if time.monotonic() >= self._looked_s + self._poll_s:
                self._names = self._files.names(f"{reading_path(self._run)}/")
                self._looked_s = time.monotonic()
            return self._names


def answer_in_turn(
    reader: int,
    run: str,
    files: Files,
    answer: Callable[[bytes], bytes],
    *,
    wait: Wait,
    patience_s: float = _SILENT_REPORT_S,
) -> bool:
    """Answer one question after the other, until there is nobody who asks any more.

    Returns:
        False where it was told to stop before.

    Raises:
        RunBrokenError: nobody asks, although there is a plan; or files cannot be read or written.
    """
    folder, turn, heard_s = f"{reading_path(run)}/{reader}/", 1, time.monotonic()
    while not wait(_POLL_S):
        asked = f"{folder}question-{turn}"
        question = files.read(asked) if asked in files.names(folder) else None
        if question is not None:
            _answer(f"{folder}answer-{turn}", f"{folder}failure-{turn}", question, files, answer)
            turn, heard_s = turn + 1, time.monotonic()
        elif plan_path(run) not in files.names(plan_path(run)):
            for name in files.names(folder):  # an answer that came too late
                files.delete(name)
            return True
        elif time.monotonic() >= heard_s + patience_s:
            raise RunBrokenError(f"nobody asked for {patience_s:g} s: see what became of the step report of run {run}")
    told = f"reader {reader} was told to stop before the report was made: see what became of its pod, and run again"
    files.write(f"{folder}failure-{turn}", told.encode())
    return False


def _answer(into: str, failure: str, question: bytes, files: Files, answer: Callable[[bytes], bytes]) -> None:
    try:
        answered = answer(question)
    except LoadTestError as error:
        files.write(failure, str(error).encode())
    except Exception as error:
        files.write(failure, f"a reader failed, by a defect of the program: {error!r}".encode())
        raise
    else:
        files.write(into, answered)
