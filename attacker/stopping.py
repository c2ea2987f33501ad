"""How a process is told to stop: SIGINT and SIGTERM set an event with which every wait ends."""

import os
import signal
import threading

from attacker.command_line import say
from attacker.exits import Exit

__all__ = ["stopped_by_signals"]


def stopped_by_signals(
    *, end_within_s: float | None = None, insisted: threading.Event | None = None
) -> threading.Event:
    """Give an event that SIGINT or SIGTERM sets, from now on.

    Args:
        end_within_s: after the first signal, the process is ended, whatever it does, when this time has passed.
        insisted: is set by every further signal.
    """
    stop = threading.Event()

    def set_stop() -> None:
        # Not in the signal's handler: the thread that it interrupts may hold the event's own lock.
        if stop.is_set() and insisted is not None:
            insisted.set()
        if end_within_s is not None and not stop.is_set():
            last = threading.Timer(end_within_s, _give_up, [end_within_s])
            last.daemon = True
            last.start()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=set_stop).start())
    return stop


def _give_up(after_s: float) -> None:
    say(f"not done {after_s:g} s after the signal to stop: what is not uploaded is lost", to_stderr=True)
    os._exit(Exit.BROKEN)
