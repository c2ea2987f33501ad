import json
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.serving import COMMAND, REPOSITORY, Serving, serving
from tests.loopback import refuses, wait_until

BODY = b'{"id": 4, "name": "user4", "age": "100"}'
HEAD = (
    b"POST /add_users/ HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY)
)


def test_a_request_in_flight_is_answered_before_the_stop(fresh_api: Serving) -> None:
    with socket.create_connection(("127.0.0.1", fresh_api.port), timeout=15) as visitor:
        visitor.sendall(HEAD)
        assert visitor.recv(1000).startswith(b"HTTP/1.1 100 ")  # from here on, the handler awaits the body

        fresh_api.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(fresh_api.port))
        visitor.sendall(BODY)

        assert visitor.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert fresh_api.process.wait(15) == 0


def test_a_stop_is_clean_and_frees_the_port(api_with_three_workers: Serving) -> None:
    workers = api_with_three_workers.workers()

    assert api_with_three_workers.stop() == 0

    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    socket.create_server(("127.0.0.1", api_with_three_workers.port)).close()


# gunicorn's asgi worker waits for an idle connection until graceful_timeout, 20 s.
def test_an_idle_connection_does_not_hold_up_the_stop(fresh_api: Serving) -> None:
    with socket.create_connection(("127.0.0.1", fresh_api.port), timeout=15) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: api\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")

        assert fresh_api.stop(timeout_s=10) == 0


# gunicorn's asgi worker listens anew, with asyncio's default of 100.
def test_the_kernel_queues_as_many_connections_as_it_can() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, serving(inherit=ours.dup()):
        tcp_info = struct.unpack("8B24I", ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))

    longest_queue = tcp_info[13]  # of a listening socket: tcpi_sacked
    assert longest_queue == min(4096, int(Path("/proc/sys/net/core/somaxconn").read_text()))


def a_bound_socket() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


def a_listening_socket() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("a_socket", [a_bound_socket, a_listening_socket])
def test_an_inherited_socket_is_served_by_all_workers_until_the_stop(a_socket: Callable[[], socket.socket]) -> None:
    with serving(workers=3, inherit=a_socket()) as api:
        wait_until(lambda: len(api.workers()) == 3)
        assert api.client.get("/users_name/0").json() == "user1"
        assert api.stop() == 0
        assert refuses(api.port)


def test_as_many_workers_run_as_asked_for(api_with_three_workers: Serving) -> None:
    wait_until(lambda: len(api_with_three_workers.workers()) == 3)


@pytest.mark.parametrize("workers", ["four", "0", "-1", "2.5", ""])
def test_a_bad_number_of_workers_is_told_in_one_line(workers: str) -> None:
    started = subprocess.run(
        [sys.executable, *COMMAND],
        cwd=REPOSITORY,
        env={"API_WORKERS": workers},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert started.stderr == f"API_WORKERS is {workers!r}: give a whole number of 1 or more, such as 4\n"
    assert started.returncode == 1


def test_no_file_is_written(tmp_path: Path) -> None:
    here = str(tmp_path)

    with serving(workers=2, folder=tmp_path, HOME=here, TMPDIR=here, XDG_RUNTIME_DIR=here) as api:
        api.client.post("/add_users/", json={"id": 4, "name": "user4", "age": "100"})
        api.client.get("/users_name/9")
        written = list(tmp_path.rglob("*"))

    assert written == []
    assert list(tmp_path.rglob("*")) == []


def test_the_start_is_logged_and_a_request_is_not(fresh_api: Serving) -> None:
    fresh_api.client.get("/users_name/0")

    assert f"Listening at: http://127.0.0.1:{fresh_api.port}" in fresh_api.log()
    assert "users_name" not in fresh_api.log()


def test_the_image_starts_the_api_as_these_tests_do() -> None:
    dockerfile = (REPOSITORY / "api/Dockerfile").read_text()

    commands = re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)

    assert [json.loads(command) for command in commands] == [["python", *COMMAND]]
