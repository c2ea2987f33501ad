"""What a run tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Event", "State", "Tell"]


class State(StrEnum):
    """Where a step is."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened in a step."""

    step: str
    state: State
    text: str = ""
    lasts_s: float | None = None
    """How long the step will take, where that is known as it starts."""


Tell = Callable[[Event], None]
