import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from attacker.exits import RunBrokenError
from attacker.trivial_server import cpu_ns_of
from tests.loopback import a_free_port, answering, refuses

COMMAND = [sys.executable, "-m", "attacker.trivial_server"]
Serving = subprocess.Popen[str]


@pytest.fixture
def serving() -> Iterator[Serving]:
    process = subprocess.Popen([*COMMAND, "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.kill()


def url_of(serving: Serving) -> str:
    assert serving.stdout is not None
    return serving.stdout.readline().strip()


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.port is not None
    return socket.create_connection(("127.0.0.1", parts.port), timeout=10)


def received(connection: socket.socket, answers: int) -> bytes:
    found = b""
    while found.count(b"ok\n") < answers:
        found += connection.recv(65536)
    return found


def test_it_answers_every_path_alike_on_one_connection(serving: Serving) -> None:
    client = HTTPConnection(urlsplit(url_of(serving)).netloc, timeout=10)
    answers = []
    for path in ("/", "/health?x=1", "/cpu/else"):
        client.request("GET", path)
        answer = client.getresponse()
        answers.append((answer.status, answer.read()))
    client.close()

    assert answers == [(200, b"ok\n")] * 3


def test_a_request_that_comes_in_pieces_and_two_that_come_at_once_are_answered(serving: Serving) -> None:
    with connected(url_of(serving)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r")
        connection.sendall(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert received(connection, 3).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_who_hangs_up_disturbs_nobody_else(serving: Serving) -> None:
    url = url_of(serving)
    with connected(url) as gone, connected(url) as staying:
        gone.sendall(b"GET / HT")
        gone.close()
        staying.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert received(staying, 1).endswith(b"ok\n")


def test_it_holds_more_connections_than_a_process_may_have_at_first() -> None:
    few = 40
    command = ["sh", "-c", f'ulimit -S -n {few} && exec "$@"', "sh", *COMMAND, "--until-eof"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving,
        ExitStack() as open_,
    ):
        url = url_of(serving)
        connections = [open_.enter_context(connected(url)) for _ in range(2 * few)]
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert {received(connection, 1)[-3:] for connection in connections} == {b"ok\n"}
        serving.kill()


def test_it_tells_its_processor_time_which_only_grows(serving: Serving) -> None:
    url = url_of(serving)

    first_ns, second_ns = cpu_ns_of(url), cpu_ns_of(url)

    assert 0 < first_ns < second_ns < 60_000_000_000


def test_a_server_of_another_kind_is_told_apart() -> None:
    with (
        answering(lambda *_: (404, b"no such page")) as url,
        pytest.raises(
            RunBrokenError, match=r"does not tell its processor time .*start 'python -m attacker.trivial_server'"
        ),
    ):
        cpu_ns_of(url)


def test_a_server_that_does_not_run_is_told() -> None:
    with pytest.raises(RunBrokenError, match="refused"):
        cpu_ns_of(f"http://127.0.0.1:{a_free_port()}")


def test_it_ends_with_its_standard_input(serving: Serving) -> None:
    url = url_of(serving)
    assert serving.stdin is not None

    serving.stdin.close()

    assert serving.wait(10) == 0
    assert refuses(urlsplit(url).port or 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_where_it_is_told_to(number: signal.Signals) -> None:
    port = a_free_port()
    with subprocess.Popen(
        [*COMMAND, "--port", str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert url_of(process) == f"http://127.0.0.1:{port}"

        process.send_signal(number)

        assert process.wait(10) == 0
