"""How a process hears that it is to stop."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from attacker.stopping import stopped_by_signals


@pytest.fixture(autouse=True)
def the_signals_of_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_a_further_one_insists(number: signal.Signals) -> None:
    insisted = threading.Event()
    stop = stopped_by_signals(insisted=insisted)

    os.kill(os.getpid(), number)
    assert stop.wait(10)
    assert not insisted.is_set()

    os.kill(os.getpid(), signal.SIGTERM)
    assert insisted.wait(10)
