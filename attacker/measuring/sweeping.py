"""Going over the rows of shards: each piece once, by two threads, in bounded memory."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["THREADS", "each"]

THREADS = 2

Work = TypeVar("Work")
Made = TypeVar("Made")


def each(works: Iterable[Work], do: Callable[[Made, Work], None], start: Callable[[], Made]) -> tuple[Made, ...]:
    """Do all works, each thread into a value of its own; returns the values.

    What is done lets other threads run (numba and polars do); which thread does what is left to chance, so the values
    must come to the same whatever is in which.
    """
    queue, lock = iter(works), threading.Lock()

    def work_on() -> Made:
        made = start()
        for work in _taken(queue, lock):
            do(made, work)
        return made

    with ThreadPoolExecutor(THREADS) as threads:
        return tuple(one.result() for one in [threads.submit(work_on) for _ in range(THREADS)])


def _taken(queue: Iterator[Work], lock: threading.Lock) -> Iterator[Work]:
    while True:
        with lock:
            taken = list(itertools.islice(queue, 1))
        if not taken:
            return
        yield taken[0]
