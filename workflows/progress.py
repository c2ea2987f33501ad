"""What a run tells while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Event", "State", "Tell"]


class State(StrEnum):
    """Where a step is."""

    STARTED = "started"
    CHANGED = "changed"
    """It goes on, and there is more to say of it."""
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
    """How long the step will take from now on, where that is known."""


Tell = Callable[[Event], None]
