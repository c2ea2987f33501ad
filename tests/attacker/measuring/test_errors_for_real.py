"""Each class of errors as the real vegeta tells of it, provoked by what makes it happen in earnest."""

import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trustme

from attacker.measuring.errors import ErrorClass
from attacker.measuring.sample import MeasuredShard, is_answered
from attacker.report.figures import ErrorCount
from attacker.report.statistics import figures_of
from attacker.results.columns import Results
from attacker.results.gob import read_gob
from attacker.results.rows import HeldRows
from tests.attacker.building import measured_of
from tests.attacker.by_vegeta import attacked
from tests.attacker.failing import HANG_UP, RESET, a_name_server, a_server_that_ends_with
from tests.attacker.loopback import Loopback, a_refusing_port, loopback
from tests.attacker.own_network import attacked_in_own_network, why_there_is_none

SIX = ("-rate=30/s", "-duration=199ms")
"""Six requests, or fewer where the machine is slow."""

needs_own_network = pytest.mark.skipif(bool(why_there_is_none()), reason=why_there_is_none())


def results_of(content: bytes) -> Results:
    return read_gob(io.BytesIO(content), name="results.gob").results


def errors_of(content: bytes, *, is_success: Callable[[int], bool] = is_answered) -> tuple[ErrorCount, ...]:
    shard = MeasuredShard(rows=HeldRows(results_of(content)))
    return figures_of(measured_of([shard], is_success=is_success), expected=None).errors


def the_only_error(content: bytes, *, is_success: Callable[[int], bool] = is_answered) -> tuple[ErrorClass, str]:
    """Give the class of all requests, and its example."""
    [error] = errors_of(content, is_success=is_success)
    assert error.count == len(results_of(content)) > 0
    return error.class_, error.example


@contextmanager
def a_server_with_a_certificate_of_its_own() -> Iterator[Loopback]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with loopback(tls=tls) as server:
        yield server


def test_where_nobody_listens_connections_are_refused() -> None:
    with a_refusing_port() as nobody:
        kind, example = the_only_error(attacked([f"http://127.0.0.1:{nobody}/"], *SIX))

    assert kind == ErrorClass.REFUSED
    assert example == f'Get "http://127.0.0.1:{nobody}/": dial tcp 127.0.0.1:{nobody}: connect: connection refused'


def test_a_server_that_breaks_connections_off_resets_them_and_no_port_of_ours_is_told() -> None:
    with a_server_that_ends_with(RESET) as url:
        content = attacked([url], *SIX)

    kind, example = the_only_error(content)
    assert kind == ErrorClass.RESET
    assert example.endswith(": read: connection reset by peer")
    assert "->" not in example
    assert len(set(results_of(content).error.to_list())) > 1


@pytest.mark.parametrize(
    "last_words",
    [HANG_UP, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    ids=["without an answer", "in the middle of one"],
)
def test_a_server_that_hangs_up_closes_connections(last_words: bytes) -> None:
    with a_server_that_ends_with(last_words) as url:
        kind, example = the_only_error(attacked([url], *SIX))

    assert kind == ErrorClass.CLOSED
    assert example.endswith("EOF")


def test_a_server_that_is_too_slow_runs_into_the_timeout(loopback_api: Loopback) -> None:
    kind, example = the_only_error(attacked([f"{loopback_api.url}/?wait_s=30"], *SIX, "-timeout=50ms"))

    assert kind == ErrorClass.TIMEOUT
    assert "Client.Timeout exceeded" in example


def test_a_name_that_nobody_knows_is_an_error_of_dns() -> None:
    with a_name_server() as (address, asked):
        kind, example = the_only_error(attacked(["http://nowhere.example/"], *SIX, f"-resolvers={address}"))

    assert kind == ErrorClass.DNS
    assert example.startswith('Get "http://nowhere.example/": lookup nowhere.example on ')
    assert asked != []


# Both a name server and the API can refuse: that of the name server is no refusal of the API's.
def test_a_name_server_that_refuses_is_an_error_of_dns() -> None:
    with a_refusing_port() as nobody:
        content = attacked(["http://nowhere.example/"], *SIX, f"-resolvers=127.0.0.1:{nobody}")

    kind, example = the_only_error(content)
    assert kind == ErrorClass.DNS
    assert "connection refused" in example


def test_a_certificate_of_an_unknown_authority_is_an_error_of_tls() -> None:
    with a_server_with_a_certificate_of_its_own() as server:
        kind, example = the_only_error(attacked([server.url], *SIX))

    assert kind == ErrorClass.TLS
    assert example.endswith("x509: certificate signed by unknown authority")


def test_a_server_without_tls_is_an_error_of_tls(loopback_api: Loopback) -> None:
    kind, _ = the_only_error(attacked([loopback_api.url.replace("http:", "https:")], *SIX))

    assert kind == ErrorClass.TLS


@pytest.mark.parametrize("last_words", [b"SSH-2.0-OpenSSH_9.2 EOF timeout\r\n", b"\0\0\0\4\0\0\0\0\0"], ids=repr)
def test_a_server_that_speaks_something_else_is_an_error_of_the_protocol(last_words: bytes) -> None:
    with a_server_that_ends_with(last_words) as url:
        assert the_only_error(attacked([url], *SIX))[0] == ErrorClass.PROTOCOL


def test_more_redirects_than_are_followed_are_an_error_of_redirects(loopback_api: Loopback) -> None:
    url = f"{loopback_api.url}/?status=302&location=/there"

    assert the_only_error(attacked([url], *SIX, "-redirects=0")) == (
        ErrorClass.REDIRECTS,
        'Get "/there": stopped after 0 redirects',
    )


def test_a_proxy_that_is_not_there_is_an_error_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_refusing_port() as nobody:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{nobody}")
        kind, example = the_only_error(attacked(["http://api.example/"], *SIX))

    assert kind == ErrorClass.PROXY
    assert "connection refused" in example


@pytest.mark.parametrize(("status", "kind"), [(404, ErrorClass.HTTP_4XX), (503, ErrorClass.HTTP_5XX)])
def test_an_answer_that_is_an_error_is_one_of_its_class(loopback_api: Loopback, status: int, kind: ErrorClass) -> None:
    found, example = the_only_error(attacked([f"{loopback_api.url}/?status={status}"], *SIX))

    assert found == kind
    assert example.startswith(str(status))


def test_the_targets_expected_status_decides_what_an_error_is(loopback_api: Loopback) -> None:
    not_found = attacked([f"{loopback_api.url}/?status=404"], *SIX)
    found = attacked([f"{loopback_api.url}/?status=200"], *SIX)

    assert errors_of(not_found, is_success={404}.__contains__) == ()
    assert the_only_error(found, is_success={404}.__contains__) == (
        ErrorClass.STATUS,
        "status 200 is not the expected one",
    )


def test_with_few_file_descriptors_they_run_out(loopback_api: Loopback) -> None:
    few = ("sh", "-c", 'ulimit -n 24 && exec "$@"', "sh")

    [error] = errors_of(attacked([f"{loopback_api.url}/?wait_s=1"], "-rate=200/s", "-duration=299ms", by=few))

    assert (error.class_, error.fault) == ("descriptors", "attacker")
    assert error.example.endswith("socket: too many open files")


@needs_own_network
def test_with_twenty_ports_they_run_out() -> None:
    content = attacked_in_own_network(40000, 40019)

    [error] = errors_of(content)
    assert (error.class_, error.fault) == ("ports", "attacker")
    assert error.example.endswith(": bind: address already in use")
    assert len(results_of(content)) - error.count == 20


@needs_own_network
def test_an_address_that_no_way_leads_to_is_unreachable() -> None:
    kind, example = the_only_error(attacked_in_own_network())

    assert kind == ErrorClass.UNREACHABLE
    assert example.endswith("connect: network is unreachable")


def test_of_many_kinds_at_once_each_is_counted_with_its_example(loopback_api: Loopback) -> None:
    ways = [f"{loopback_api.url}/?status={status}" for status in (200, 404, 503)]
    with a_refusing_port() as nobody, a_server_that_ends_with(RESET) as resetting:
        content = attacked([*ways, f"http://127.0.0.1:{nobody}/", resetting], "-rate=50/s", "-duration=399ms")

    found = {error.class_: error for error in errors_of(content)}
    failed = [code for code in results_of(content).code.tolist() if code != 200]
    assert set(found) == {"http_4xx", "http_5xx", "refused", "reset"}
    assert sum(error.count for error in found.values()) == len(failed)
    assert all(error.example for error in found.values())
