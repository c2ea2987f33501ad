"""A real gunicorn process that serves the API."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import httpx

from tests.loopback import a_free_port, refuses, wait_until

__all__ = ["COMMAND", "REPOSITORY", "Serving", "serving"]

REPOSITORY = Path(__file__).parents[2]
COMMAND = ("-m", "gunicorn", "-c", "api/gunicorn_conf.py", "api.main:app")
"""What follows `python`, from the folder that holds `api`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A gunicorn process that answers."""

    process: subprocess.Popen[bytes]
    port: int
    client: httpx.Client
    log: Callable[[], str]
    """All that it wrote to stderr so far."""

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self, *, timeout_s: float = 15) -> int:
        """Ask it to stop and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@contextmanager
def serving(
    *, workers: int = 1, inherit: socket.socket | None = None, folder: Path = REPOSITORY, **environment: str
) -> Iterator[Serving]:
    """Start the API in a folder, at a free port or on a socket that is handed over, and stop it in the end."""
    port = inherit.getsockname()[1] if inherit else a_free_port()
    bind = f"fd://{inherit.fileno()}" if inherit else f"127.0.0.1:{port}"
    settings = {"API_BIND": bind, "API_WORKERS": str(workers), "PYTHONPATH": str(REPOSITORY), **environment}
    argv = [sys.executable, *(str(REPOSITORY / word) if "/" in word else word for word in COMMAND)]
    with TemporaryFile() as log, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        process = subprocess.Popen(
            argv, cwd=folder, env={**os.environ, **settings}, stderr=log, pass_fds=[inherit.fileno()] if inherit else []
        )

        def said() -> str:
            return os.pread(log.fileno(), 1_000_000, 0).decode()

        def answers() -> bool:
            assert process.poll() is None, said()
            return not refuses(port)

        try:
            if inherit:
                inherit.close()
            wait_until(answers)
            client.get("/health", timeout=15).raise_for_status()
            api = Serving(process=process, port=port, client=client, log=said)
            wait_until(lambda: len(api.workers()) == workers and all(map(_has_own_signals, api.workers())))
            yield api
        finally:
            process.terminate()
            process.wait(30)


def _has_own_signals(worker: int) -> bool:
    """Tell whether a worker hears SIGTERM: one that is just forked takes it for its parent's, and does not end.

    Only the parent catches SIGHUP.
    """
    [caught] = re.findall(r"^SigCgt:\s*(\w+)", Path(f"/proc/{worker}/status").read_text(), re.MULTILINE)
    return not int(caught, 16) & 1 << (signal.SIGHUP - 1)
