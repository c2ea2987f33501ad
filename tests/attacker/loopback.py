"""A web server on the loopback address, told by the path of a request how to answer it."""

import itertools
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.attacker.http2 import Reply, converse

__all__ = ["Loopback", "Seen", "a_refusing_port", "loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    protocol: str = "HTTP/1.1"
    connection: int = 0
    """Which of the server's connections it came by, in their order."""
    client: str | None = None
    """The common name in the client's certificate, which was checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """A running server; `/?status=404&bytes=1024&wait_s=2&location=/there` says how to answer."""

    port: int
    seen: list[Seen]
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@dataclass
class _State:
    stall_at: int | None
    stall_s: float
    together: threading.Barrier
    seen: list[Seen] = field(default_factory=list)
    stall: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    stalled: bool = False

    def reply(self, request: Seen) -> Reply:
        self.seen.append(request)
        self._stand_still()
        wanted = parse_qs(urlsplit(request.path).query)
        self.closing.wait(float(wanted.get("wait_s", ["0"])[0]))
        with suppress(threading.BrokenBarrierError):
            self.together.wait()
        content = b"x" * int(wanted.get("bytes", ["15"])[0])
        location = [("Location", where) for where in wanted.get("location", ())]
        return int(wanted.get("status", ["200"])[0]), dict([("Content-Length", str(len(content))), *location]), content

    def _stand_still(self) -> None:
        with self.stall:
            if self.stall_at is not None and len(self.seen) >= self.stall_at and not self.stalled:
                self.stalled = True
                self.closing.wait(self.stall_s)

    def close(self) -> None:
        self.closing.set()
        self.together.abort()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, host: str, state: _State, tls: ssl.SSLContext | None, *, h2c: bool) -> None:
        super().__init__((host, 0), _Answers)
        self.state = state
        self.tls = tls
        self.h2c = h2c
        self.connections = itertools.count()

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as client:
            super().finish_request(client, client_address)

    def handle_error(self, *_: object) -> None:
        """Say nothing of visitors that leave without a goodbye."""


class _Answers(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.number = next(self.server.connections)
        agreed = self.connection.selected_alpn_protocol() if isinstance(self.connection, ssl.SSLSocket) else None
        if self.server.h2c or agreed == "h2":
            converse(self.connection, self._reply_2)
        else:
            super().handle()

    def _reply_2(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        return self.server.state.reply(self._seen(method, path, headers, body, "HTTP/2"))

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = self._seen(self.command, self.path, dict(self.headers.items()), body, "HTTP/1.1")
        status, headers, content = self.server.state.reply(request)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  (http.server's names)

    def _seen(self, method: str, path: str, headers: dict[str, str], body: bytes, protocol: str) -> Seen:
        return Seen(
            method=method,
            path=path,
            headers=headers,
            body=body,
            protocol=protocol,
            connection=self.number,
            client=_client_of(self.connection),
        )

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def loopback(
    host: str = "127.0.0.1",
    *,
    stall_at: int | None = None,
    stall_s: float = 0,
    together: int = 1,
    tls: ssl.SSLContext | None = None,
    h2c: bool = False,
) -> Iterator[Loopback]:
    """Serve at a free port until the end.

    Args:
        host: the address to listen at.
        stall_at: the request, by the order in which they come in, at which the whole server stands still once.
        stall_s: for how long.
        together: answer when so many requests are waiting, all at once, or after two seconds.
        tls: with what to encrypt; HTTP/2 is spoken where it is agreed on.
        h2c: speak HTTP/2 without TLS, and nothing else.
    """
    state = _State(stall_at, stall_s, threading.Barrier(together, timeout=2))
    server = _Server(host, state, tls, h2c=h2c)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield Loopback(port=server.server_address[1], seen=state.seen, scheme="https" if tls else "http")
    finally:
        state.close()
        server.shutdown()
        server.server_close()
        serving.join(10)


def _client_of(connection: socket.socket) -> str | None:
    shown: Any = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    names = [value for part in (shown or {}).get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if names else None


@contextmanager
def a_refusing_port() -> Iterator[int]:
    """Hold a port at which nobody listens, so that nobody else can either."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
