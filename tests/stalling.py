"""A web server that answers at once, but for once, when the whole of it stands still; and what it knows of that.

`python -m tests.stalling LOG AT STALL_S` prints its URL, stalls as its AT-th request comes in, and writes for each of
vegeta's requests into LOG, when it is stopped: the place in the schedule, when it came and when it was answered.
"""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["StallingServer", "stalling_server"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
_SEQ = b"x-vegeta-seq: "


@dataclass(frozen=True, slots=True)
class StallingServer:
    """A running server, and its log once it has ended."""

    url: str
    log: Path

    def true_latency_ns(self, *, interval_ns: int, share: float) -> int:
        """Tell how long callers had to wait who came on time: this share of them no longer.

        The schedule begins with the request that came most nearly on time.
        """
        seq, came_ns, answered_ns = np.array(json.loads(self.log.read_text()), np.int64).T
        due_ns = (came_ns - seq * interval_ns).min() + seq * interval_ns
        return int(np.quantile(answered_ns - due_ns, share, method="inverted_cdf"))


@contextmanager
def stalling_server(folder: Path, *, at: int, stall_s: float) -> Iterator[StallingServer]:
    """Run the server in a process of its own, so that nobody else waits for it; its log is there afterwards."""
    log = folder / "stalling.json"
    command = [sys.executable, "-m", __name__, str(log), str(at), str(stall_s)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        try:
            yield StallingServer(serving.stdout.readline().strip(), log)
        finally:
            serving.terminate()
            serving.wait(10)


class _Stall:
    """When the server stands still, and what it has answered."""

    def __init__(self, at: int, stall_s: float) -> None:
        self.answered: list[tuple[int, int, int]] = []
        self._at = at
        self._stall_s = stall_s
        self._requests = 0

    def take(self, head: bytes) -> bytes:
        came_ns = time.time_ns()
        self._requests += 1
        if self._requests == self._at:
            threading.Event().wait(self._stall_s)
        seq = head.lower().partition(_SEQ)[2].split(b"\r\n")[0]
        if seq:
            self.answered.append((int(seq), came_ns, time.time_ns()))
        return _ANSWER


class _Connection(asyncio.Protocol):
    def __init__(self, stall: _Stall) -> None:
        self._stall = stall
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._data = (self._data + data).split(b"\r\n\r\n")
        for head in heads:
            self._transport.write(self._stall.take(head))  # type: ignore[attr-defined]


async def _serve(stall: _Stall) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(stall), "127.0.0.1", 0)
    told_to_stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told_to_stop.set)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)  # noqa: T201
    await told_to_stop.wait()
    server.close()


if __name__ == "__main__":
    the_stall = _Stall(int(sys.argv[2]), float(sys.argv[3]))
    asyncio.run(_serve(the_stall))
    Path(sys.argv[1]).write_text(json.dumps(the_stall.answered))
