"""The steps of a run on a terminal: a line each, with a mark, a bar where its length is known, and its time."""

import time
from dataclasses import dataclass

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from workflows.progress import Event, State

__all__ = ["LiveSteps"]

_MARKS = {State.DONE: Text("✓", "green"), State.FAILED: Text("✗", "red"), State.NOTE: Text("•", "dim")}
_BAR_WIDTH = 14
_OPEN = State.STARTED


@dataclass(slots=True)
class _Line:
    event: Event
    state: State
    began_s: float
    changed_s: float
    """When its length was told."""
    ended_s: float | None = None

    def took_s(self) -> float:
        return (time.monotonic() if self.ended_s is None else self.ended_s) - self.began_s


class LiveSteps:
    """What rich draws anew now and then; `tell` changes it."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []
        self._spinner = Spinner("dots")

    def tell(self, event: Event) -> None:
        """Begin a line, or change or end the one that is open for this step."""
        now_s = time.monotonic()
        if event.state in {State.STARTED, State.NOTE}:
            self._lines.append(_Line(event, event.state, began_s=now_s, changed_s=now_s))
            return
        line = next(line for line in reversed(self._lines) if (line.event.step, line.state) == (event.step, _OPEN))
        if event.state is State.CHANGED:
            line.event, line.changed_s = event, now_s
        else:
            line.state, line.ended_s = event.state, now_s

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        table.add_column(width=8, no_wrap=True, style="bold")
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(width=_BAR_WIDTH, no_wrap=True)
        table.add_column(width=7, no_wrap=True, justify="right")
        for line in self._lines:
            mark = _MARKS.get(line.state, self._spinner)
            table.add_row(mark, line.event.step, Text(line.event.text), _bar(line), _time(line))
        return table


def _bar(line: _Line) -> RenderableType:
    lasts_s = line.event.lasts_s
    if lasts_s is None or line.state is not State.STARTED:
        return ""
    return ProgressBar(total=lasts_s, completed=min(_since_s(line.changed_s), lasts_s), width=_BAR_WIDTH)


def _time(line: _Line) -> str:
    if line.state is State.NOTE:
        return ""
    if line.state is State.STARTED and line.event.lasts_s is not None:
        return f"-{max(0, line.event.lasts_s - _since_s(line.changed_s)):.0f} s"
    return f"{line.took_s():.1f} s"


def _since_s(then_s: float) -> float:
    return time.monotonic() - then_s
