"""A web server on the loopback address, told by the path of a request how to answer it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

__all__ = ["Loopback", "Seen", "a_refusing_port", "loopback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """A running server; `/?status=404&bytes=1024&wait_s=2` says how to answer."""

    port: int
    seen: list[Seen]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class _State:
    seen: list[Seen] = field(default_factory=list)
    stall: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)
    stalled: bool = False


@contextmanager
def loopback(host: str = "127.0.0.1", *, stall_at: int | None = None, stall_s: float = 0) -> Iterator[Loopback]:
    """Serve at a free port until the end.

    Args:
        host: the address to listen at.
        stall_at: the request, by the order in which they come in, at which the whole server stands still once.
        stall_s: for how long.
    """
    state = _State()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            state.seen.append(Seen(method=self.command, path=self.path, headers=dict(self.headers.items()), body=body))
            self._stand_still()
            wanted = parse_qs(urlsplit(self.path).query)
            state.closing.wait(float(wanted.get("wait_s", ["0"])[0]))
            self.send_response(int(wanted.get("status", ["200"])[0]))
            content = b"x" * int(wanted.get("bytes", ["15"])[0])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  (http.server's names)

        def _stand_still(self) -> None:
            with state.stall:
                if stall_at is not None and len(state.seen) >= stall_at and not state.stalled:
                    state.stalled = True
                    state.closing.wait(stall_s)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """Say nothing of visitors that leave without a goodbye."""

    server = Server((host, 0), Answers)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    try:
        yield Loopback(port=server.server_address[1], seen=state.seen)
    finally:
        state.closing.set()
        server.shutdown()
        server.server_close()
        serving.join(10)


@contextmanager
def a_refusing_port() -> Iterator[int]:
    """Hold a port at which nobody listens, so that nobody else can either."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
