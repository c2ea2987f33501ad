import os
import subprocess
import sys

import pytest

from api.healthcheck import is_healthy
from tests.api.serving import REPOSITORY, Serving
from tests.loopback import a_free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])  # noqa: S104  (where it was bound to)
def test_a_running_api_is_healthy(running_api: Serving, host: str) -> None:
    assert is_healthy(f"{host}:{running_api.port}")


def test_where_nothing_listens_nothing_is_healthy() -> None:
    assert not is_healthy(f"127.0.0.1:{a_free_port()}")


def test_the_exit_code_says_whether_the_api_is_healthy(running_api: Serving) -> None:
    def exit_code(port: int) -> int:
        argv = [sys.executable, "-m", "api.healthcheck"]
        environment = {**os.environ, "API_BIND": f"127.0.0.1:{port}"}
        return subprocess.run(argv, cwd=REPOSITORY, env=environment, check=False, timeout=30).returncode

    assert (exit_code(running_api.port), exit_code(a_free_port())) == (0, 1)
