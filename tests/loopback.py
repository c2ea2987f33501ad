"""Servers on the loopback address for tests: an API that answers as a test says, and a storage emulator."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["Answer", "a_free_port", "answering", "refuses", "storage_emulator", "wait_until"]

Answer = Callable[[str, str, bytes], tuple[int, bytes]]
"""What a server says to a method, a path and a body: status and body."""


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 20) -> None:
    """Wait, but not for ever, until a condition holds."""
    end = time.monotonic() + timeout_s
    while not (seen := is_so()):
        assert time.monotonic() < end, f"after {timeout_s} s {is_so} was still {seen!r}"
        time.sleep(0.02)


def a_free_port() -> int:
    """Find a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
        return port


def refuses(port: int) -> bool:
    """Tell whether nothing listens at a port."""
    with socket.socket() as visitor:
        return visitor.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Serve what a function says; yields the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = answer(self.command, self.path, body)
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  (the names that http.server calls)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024

        def handle_error(self, *_: object) -> None:
            """Be silent: clients hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def storage_emulator(bucket: str, log: Path) -> Iterator[str]:
    """Run a Google Cloud Storage emulator that has one bucket; yields its URL."""
    port = a_free_port()
    command = [str(Path(sys.executable).parent / "gcp-storage-emulator"), "start", "--host", "127.0.0.1"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--in-memory", "--default-bucket", bucket],
            stdout=stream,
            stderr=stream,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    try:
        wait_until(lambda: not refuses(port) and b"All services started" in log.read_bytes())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
