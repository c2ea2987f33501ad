"""Telling what happens: live on a terminal, in plain lines elsewhere, as JSON lines for machines. Always on stderr."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from attacker.command_line import say
from workflows.progress import Event, State, Tell

__all__ = ["telling"]

_EVERY_S = 10.0


@contextmanager
def telling(*, as_json: bool) -> Iterator[Tell]:
    """Choose how to tell, and end it properly."""
    if as_json:
        yield _tell_json
    elif sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        with _plain() as tell:
            yield tell


def _tell_json(event: Event) -> None:
    fields = {"step": event.step, "state": event.state, "text": event.text, "lasts_s": event.lasts_s}
    say(json.dumps({"time": round(time.time(), 3), **fields}), to_stderr=True)


@contextmanager
def _plain() -> Iterator[Tell]:
    """A line as a step starts, changes and ends, and one every ten seconds of a long one."""
    began: dict[str, float] = {}
    ended: dict[str, threading.Event] = {}

    def remind(step: str, lasts_s: float, end: threading.Event) -> None:
        began_s = time.monotonic()
        while not end.wait(_EVERY_S):
            say(f"{step:<9} {min(time.monotonic() - began_s, lasts_s):.0f} s of {lasts_s:.0f} s", to_stderr=True)

    def tell(event: Event) -> None:
        if event.state in {State.DONE, State.FAILED}:
            took_s = time.monotonic() - began[event.step]
            say(f"{event.step:<9} {event.state} after {took_s:.1f} s", to_stderr=True)
        else:
            say(f"{event.step:<9} {event.text}", to_stderr=True)
        if event.state is State.NOTE:
            return
        if event.step in ended:
            ended.pop(event.step).set()
        if event.state is State.STARTED:
            began[event.step] = time.monotonic()
        if event.lasts_s:
            ended[event.step] = threading.Event()
            threading.Thread(target=remind, args=(event.step, event.lasts_s, ended[event.step]), daemon=True).start()

    try:
        yield tell
    finally:
        for end in ended.values():
            end.set()


@contextmanager
def _live() -> Iterator[Tell]:
    from rich.console import Console  # noqa: PLC0415  (--help need not wait for it)
    from rich.live import Live  # noqa: PLC0415

    from workflows.live_steps import LiveSteps  # noqa: PLC0415

    steps = LiveSteps()
    with Live(steps, console=Console(stderr=True), refresh_per_second=2, redirect_stdout=False):
        yield steps.tell
