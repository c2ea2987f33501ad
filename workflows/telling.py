"""Telling what happens: live on a terminal, in plain lines elsewhere, as JSON lines for machines. Always on stderr."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attacker.command_line import say
from workflows.progress import Event, State, Tell

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

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
    """A line as a step starts, one as it ends, and one every ten seconds of a long one."""
    began: dict[str, float] = {}
    ended: dict[str, threading.Event] = {}

    def remind(step: str, lasts_s: float, end: threading.Event) -> None:
        while not end.wait(_EVERY_S):
            say(f"{step:<9} {min(time.monotonic() - began[step], lasts_s):.0f} s of {lasts_s:.0f} s", to_stderr=True)

    def tell(event: Event) -> None:
        if event.state is State.STARTED:
            began[event.step] = time.monotonic()
            say(f"{event.step:<9} {event.text}", to_stderr=True)
            if event.lasts_s:
                ended[event.step] = threading.Event()
                threading.Thread(
                    target=remind, args=(event.step, event.lasts_s, ended[event.step]), daemon=True
                ).start()
        elif event.state is State.NOTE:
            say(f"{event.step:<9} {event.text}", to_stderr=True)
        else:
            if event.step in ended:
                ended.pop(event.step).set()
            took_s = time.monotonic() - began[event.step]
            say(f"{event.step:<9} {event.state} after {took_s:.1f} s", to_stderr=True)

    try:
        yield tell
    finally:
        for end in ended.values():
            end.set()


@contextmanager
def _live() -> Iterator[Tell]:
    """A line a step with a mark, its time, and a bar where it is known how long it lasts."""
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("[bold]{task.fields[step]:<9}[/bold]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}
    ends: dict[str, threading.Event] = {}

    def tell(event: Event) -> None:
        if event.state is State.NOTE:
            progress.console.print(f"  {event.step:<9} {escape(event.text)}", highlight=False)
        elif event.state is State.STARTED:
            tasks[event.step] = progress.add_task(escape(event.text), step=event.step, total=event.lasts_s)
            ends[event.step] = threading.Event()
            if event.lasts_s:
                _move(progress, tasks[event.step], event.lasts_s, ends[event.step])
        else:
            ends[event.step].set()
            failed = event.state is State.FAILED
            total = progress.tasks[tasks[event.step]].total or 1
            progress.update(tasks[event.step], total=total, completed=total * (not failed))
            progress.stop_task(tasks[event.step])

    with progress:
        try:
            yield tell
        finally:
            for end in ends.values():
                end.set()


def _move(progress: "Progress", task: "TaskID", lasts_s: float, end: threading.Event) -> None:
    began = time.monotonic()

    def run() -> None:
        while not end.wait(0.25):
            # The last hundredth is the answers still under way.
            progress.update(task, completed=min(time.monotonic() - began, 0.99 * lasts_s))

    threading.Thread(target=run, daemon=True).start()
