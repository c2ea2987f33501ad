"""The API under test as a process of this machine: gunicorn, as in its image."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from attacker.exits import RunBrokenError
from workflows.loadtest import LoadTest

__all__ = ["ApiProcess", "reserve_port", "start_api", "stop_api"]

_ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 15.0
_LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running API."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def check_alive(self) -> None:
        """Raise RunBrokenError, with the end of its log, where the API has ended."""
        code = self.process.poll()
        if code is not None:
            raise RunBrokenError(
                f"the API ended with exit code {code}; the end of its log, {self.log}:\n{self._log_tail()}"
            )

    def _log_tail(self) -> str:
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip() or "(it is empty)"


@contextmanager
def reserve_port(port: int) -> Iterator[socket.socket]:
    """Take the API's port before anything is started, so that nobody else answers in its place.

    Raises:
        RunBrokenError: it is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise RunBrokenError(
                f"api_port is {port}: {error.strerror}: stop what listens there, or give another port (--api-port)"
            ) from error
        yield listener


def start_api(loadtest: LoadTest, listener: socket.socket, log: Path) -> ApiProcess:
    """Start gunicorn on a port that is reserved; it is not ready yet."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn_conf.py", "api.main:app"],
            cwd=_ROOT,
            env=os.environ | {"API_BIND": f"fd://{listener.fileno()}", "API_WORKERS": str(loadtest.api_workers)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # a terminal's Ctrl-C is ours to answer
        )
    return ApiProcess(f"http://127.0.0.1:{loadtest.api_port}", log, process)


def stop_api(api: ApiProcess) -> None:
    """Stop gunicorn and its workers: answers that are under way are given, within limits."""
    api.process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        api.process.wait(_STOP_S)
    # The session's id is gunicorn's; what is left of it would hold the port.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(api.process.pid, signal.SIGKILL)
    api.process.wait()
