"""Questions and answers between a run's report and its readers, pods that talk through files in the bucket.

`reading/READER/question-1` is answered by `answer-1`, or by `failure-1` which says why not; each is written once. The
plan is the sign that there is somebody who asks: where it is gone, the report is made, or there is none to make.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from attacker.bucket import AT_ONCE
from attacker.exits import LoadTestError, RunBrokenError
from attacker.plan_file import plan_path, shards_path
from attacker.pods.barrier import Files, Wait

__all__ = ["Desk", "answer_in_turn", "reading_path"]

_POLL_S = 0.5
_READERS_A_LOOK = 40
"""So many readers look at the bucket every half second without crowding it; more of them look less often."""
_SILENT_READER_S = 300.0
"""To start its pod, to download what it is to read, and to read it once, each."""
_LOOK_AFTER_S = 5.0
"""How often readers that do not answer are looked after."""
_SILENT_REPORT_S = 600.0
"""Longer than a reader may be silent: until then, who asks waits for another one."""


def reading_path(run: str) -> str:
    """Tell where the questions and answers of a run lie in the bucket."""
    return f"runs/{run}/reading"


class Desk:
    """Where all readers of a run are asked, one question after the other."""

    def __init__(
        self,
        run: str,
        files: Files,
        *,
        readers: int,
        patience_s: float = _SILENT_READER_S,
        ended: Callable[[], tuple[str, ...]] = lambda: (),
        look_after_s: float = _LOOK_AFTER_S,
    ) -> None:
        """Name who is to be asked.

        Args:
            run: the run's id.
            files: the bucket.
            readers: how many there are, from 1 on.
            patience_s: how long they may take for an answer.
            ended: says of each reader that has ended, and so will not answer, how that came.
            look_after_s: how often that is asked while an answer is waited for.
        """
        self.number = readers
        self._run = run
        self._files = files
        self._patience_s = patience_s
        self._ended = ended
        self._look_after_s = look_after_s
        self._poll_s = _POLL_S * max(1, readers // _READERS_A_LOOK)
        self._turn = 0
        self._names: tuple[str, ...] = ()

    def ask(self, questions: Sequence[bytes]) -> Iterator[bytes]:
        """Ask each reader; its answer is read when the one before it has been taken, for they are large.

        Raises:
            RunBrokenError: a reader failed, or says nothing; or files cannot be read or written.
        """
        self._turn += 1
        asked = [self._path(reader, "question") for reader in range(1, self.number + 1)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self._files.write, asked, questions))
        until_s = time.monotonic() + self._patience_s
        for reader in range(1, self.number + 1):
            yield self._answer(reader, until_s)

    def _answer(self, reader: int, until_s: float) -> bytes:
        answer = self._path(reader, "answer")
        looked_after_s = time.monotonic()
        while answer not in self._names:
            now_s, ended = time.monotonic(), tuple[str, ...]()
            if now_s >= looked_after_s + self._look_after_s:
                # Before the look at what they said: one may have answered, or said why not, and then ended.
                looked_after_s, ended = now_s, self._ended()
            self._look()
            if answer in self._names:
                break
            if ended:
                raise RunBrokenError(f"{'; '.join(ended)}; run again; {self._rest}")
            if now_s >= until_s:
                raise RunBrokenError(
                    f"reader {reader} of {self.number} said nothing for {self._patience_s:g} s: see what became of "
                    f"its pod, and run again; {self._rest}"
                )
            time.sleep(self._poll_s)
        return self._files.read(answer) or b""

    def _look(self) -> None:
        """See what all have said by now; the first that failed is quoted."""
        self._names = self._files.names(f"{reading_path(self._run)}/")
        for failure in (name for name in self._names if "/failure-" in name):
            raise RunBrokenError((self._files.read(failure) or b"").decode(errors="replace"))

    @property
    def _rest(self) -> str:
        return f"the rows of this run are in {shards_path(self._run)}"

    def _path(self, reader: int, what: str) -> str:
        return f"{reading_path(self._run)}/{reader}/{what}-{self._turn}"


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
