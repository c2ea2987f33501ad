"""A web server that answers every GET alike and at once, so that what is measured against it is the attacker.

`python -m attacker.trivial_server` prints its URL and serves until SIGTERM. An answer takes a third of the processor
time that a request takes vegeta (`scripts/bench --only cpu`), less than one of Go's own server does: it is one process,
a system call to read, one to answer, and no library between. `GET /cpu` tells its processor time in nanoseconds, and so
whether it was the limit.
"""

import argparse
import resource
import select
import signal
import socket
import sys
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from attacker.exits import RunBrokenError

__all__ = ["CPU_PATH", "cpu_ns_of"]

CPU_PATH = "/cpu"
_END = b"\r\n\r\n"
_BODY = b"ok\n"
_MOST_BYTES = 1 << 16
_BACKLOG = 4096
_ANSWER_S = 5.0


def cpu_ns_of(url: str) -> int:
    """Ask a server of this kind for the processor time that it has used.

    Raises:
        RunBrokenError: it does not answer, or is another kind of server.
    """
    parts = urlsplit(url)
    try:
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_ANSWER_S)
        connection.request("GET", CPU_PATH)
        told = connection.getresponse().read()
        connection.close()
        return int(told)
    except (OSError, HTTPException, ValueError) as error:
        raise RunBrokenError(
            f"{url} does not tell its processor time ({error}): start 'python -m attacker.trivial_server' there"
        ) from error


class _Server:
    """Its connections, and what each has sent of a request that is not complete."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)

    def serve(self, *, until_eof_of: int | None) -> None:
        if until_eof_of is not None:
            self._poll.register(until_eof_of, select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll():
                if number in self._connections:
                    self._answer(number)
                elif number == until_eof_of:
                    return
                else:
                    self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # who wanted to connect has gone
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connection.fileno()
        self._connections[number], self._rest[number] = connection, b""
        self._poll.register(number, select.EPOLLIN)

    def _answer(self, number: int) -> None:
        connection = self._connections[number]
        try:
            data = connection.recv(_MOST_BYTES)
            if data:
                *requests, self._rest[number] = (self._rest[number] + data).split(_END)
                connection.sendall(b"".join(map(_answer_to, requests)))
                return
        except OSError:  # the other side has gone
            pass
        self._poll.unregister(number)
        del self._connections[number], self._rest[number]
        connection.close()


def _answer_to(request: bytes) -> bytes:
    return _response(str(time.process_time_ns()).encode()) if request.startswith(b"GET /cpu ") else _ALIKE


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


_ALIKE = _response(_BODY)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m attacker.trivial_server", description="Answer every GET at once.")
    parser.add_argument("--port", type=int, default=0, help="on the loopback address; 0 finds a free one")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one a connection; vegeta, too, takes what it may have
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", given.port), backlog=_BACKLOG) as listener:
        listener.setblocking(False)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201
        _Server(listener).serve(until_eof_of=0 if given.until_eof else None)


if __name__ == "__main__":
    _main()
