import re
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.measuring.errors import (
    ClassCount,
    ErrorClass,
    Failure,
    Fault,
    class_of,
    count_by_class,
    failure_of,
    fault_of,
    meaning_of,
    normalise_error,
)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(
            "read tcp 10.1.2.3:54321->10.0.0.1:80: read: connection reset by peer",
            "read tcp 10.0.0.1:80: read: connection reset by peer",
            id="a connection that broke",
        ),
        pytest.param(
            'Get "http://api/": dial tcp 0.0.0.0:0->10.0.0.1:80: connect: connection refused',
            'Get "http://api/": dial tcp 10.0.0.1:80: connect: connection refused',
            id="a connection that was refused",
        ),
        pytest.param(
            "read tcp [::1]:54321->[2001:db8::1]:80: i/o timeout",
            "read tcp [2001:db8::1]:80: i/o timeout",
            id="version 6",
        ),
        pytest.param(
            "write tcp6 [fe80::1%eth0]:54321->[fe80::2]:80: broken pipe",
            "write tcp6 [fe80::2]:80: broken pipe",
            id="version 6 with a zone",
        ),
        pytest.param(
            "lookup api on 10.96.0.10:53: read udp 10.1.2.3:54321->10.96.0.10:53: i/o timeout",
            "lookup api on 10.96.0.10:53: read udp 10.96.0.10:53: i/o timeout",
            id="a name that was not found",
        ),
    ],
)
def test_the_attackers_own_port_is_taken_out(error: str, told: str) -> None:
    assert normalise_error(error) == told


@pytest.mark.parametrize(
    "error",
    [
        "",
        "500 Internal Server Error",
        "dial tcp 10.0.0.1:80: connect: connection refused",
        'Get "http://api/a:80->b:90": EOF',
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        "größe tcp",
    ],
)
def test_what_names_no_port_of_the_attackers_stays_as_it_is(error: str) -> None:
    assert normalise_error(error) == error


@given(ports=st.lists(st.integers(1, 65535), min_size=1, max_size=20), error=st.text(max_size=20))
def test_errors_that_differ_in_the_port_only_are_the_same(ports: list[int], error: str) -> None:
    assert len({normalise_error(f"read tcp 10.1.2.3:{port}->10.0.0.1:80: {error}") for port in ports}) == 1


@given(error=st.text())
def test_what_is_the_same_already_stays_the_same(error: str) -> None:
    assert normalise_error(normalise_error(error)) == normalise_error(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('Get "http://api/": dial tcp 10.0.0.1:80: connect: connection refused', "refused"),
        ('Get "http://api/": read tcp 10.1.2.3:54321->10.0.0.1:80: read: connection reset by peer', "reset"),
        ('Post "http://api/": write tcp 10.1.2.3:54321->10.0.0.1:80: write: broken pipe', "reset"),
        ('Get "https://api/": stream error: stream ID 7; INTERNAL_ERROR; received from peer', "reset"),
        ('Get "http://api/": EOF', "closed"),
        ("unexpected EOF", "closed"),
        ('Get "http://api/": http: server closed idle connection', "closed"),
        ('Get "https://api/": http2: server sent GOAWAY and closed the connection; LastStreamID=1999', "closed"),
        ('Get "https://api/": http2: client connection lost', "closed"),
        (
            'Get "http://api/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            "timeout",
        ),
        ("context deadline exceeded (Client.Timeout or context cancellation while reading body)", "timeout"),
        ('Get "https://api/": net/http: TLS handshake timeout', "timeout"),
        ('Get "http://api/": dial tcp 10.0.0.1:80: connect: connection timed out', "timeout"),
        ('Get "http://api/": dial tcp 10.0.0.1:80: connect: no route to host', "unreachable"),
        ('Get "http://api/": dial tcp 10.0.0.1:80: connect: network is unreachable', "unreachable"),
        (
            'Get "https://api/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
            "tls",
        ),
        ('Get "https://api/": remote error: tls: certificate required', "tls"),
        ('Get "https://api/": http: server gave HTTP response to HTTPS client', "tls"),
        (
            'Get "http://api/": net/http: HTTP/1.x transport connection broken: malformed HTTP response "EOF"',
            "protocol",
        ),
        ('Get "https://api/": connection error: PROTOCOL_ERROR', "protocol"),
        ('Get "/b": stopped after 10 redirects', "redirects"),
        ('Get "http://api/": dial tcp: lookup api on 10.96.0.10:53: no such host', "dns"),
        ("dial tcp: lookup api on 10.96.0.10:53: read udp 10.1.2.3:5->10.96.0.10:53: i/o timeout", "dns"),
        ("lookup api on 10.96.0.10:53: read udp 10.1.2.3:5->10.96.0.10:53: read: connection refused", "dns"),
        ('Get "http://api/": proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused', "proxy"),
        ('Get "http://api/": dial tcp 0.0.0.0:0->10.0.0.1:80: bind: address already in use', "ports"),
        ("dial tcp 10.1.2.3:0->10.0.0.1:80: connect: cannot assign requested address", "ports"),
        ("proxyconnect tcp: dial tcp 0.0.0.0:0->10.0.0.9:3128: bind: address already in use", "ports"),
        ('Get "http://api/": dial tcp 0.0.0.0:0->10.0.0.1:80: socket: too many open files', "descriptors"),
        ("lookup api on 10.96.0.10:53: dial udp 10.96.0.10:53: socket: too many open files", "descriptors"),
        ('Get "http://api/": net/http: invalid header field name "{"', "other"),
        ("", "other"),
    ],
)
def test_what_vegeta_writes_is_of_the_class_that_a_person_acts_on(error: str, kind: str) -> None:
    assert class_of(error, 0) == kind


@pytest.mark.parametrize(
    "error",
    [
        'Get "http://api/lookup timeout too many open files": EOF',
        'Get "http://api/?q=\\"connection refused": EOF',
        'Get "http://api/x509: tls: ": EOF',
    ],
)
def test_what_stands_in_an_address_says_nothing_of_the_class(error: str) -> None:
    assert class_of(error, 0) == ErrorClass.CLOSED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, "status") for status in (100, 200, 302, 399, 600, 65535)),
        *((status, "http_4xx") for status in (400, 404, 499)),
        *((status, "http_5xx") for status in (500, 503, 599)),
    ],
)
def test_an_answer_is_of_the_class_of_its_status_whatever_its_text(status: int, kind: str) -> None:
    assert class_of("404 i/o timeout", status) == kind


def test_what_the_attacker_lacks_is_its_own_fault_and_all_else_the_apis() -> None:
    own = {kind for kind in ErrorClass if fault_of(kind) is Fault.ATTACKER}

    assert own == {ErrorClass.PORTS, ErrorClass.DESCRIPTORS, ErrorClass.DNS, ErrorClass.PROXY}


@pytest.mark.parametrize("kind", ErrorClass)
def test_each_class_says_what_it_means(kind: ErrorClass) -> None:
    assert re.fullmatch(r"[a-z].{20,90}[^.]", meaning_of(kind))


def counted(failures: Iterable[tuple[str, int, int]]) -> tuple[ClassCount, ...]:
    """Count failures, each with its text, its status and how often it happened."""
    counts: Counter[Failure] = Counter()
    for text, status, times in failures:
        counts[failure_of(text, status)] += times
    return count_by_class(counts)


def test_a_class_is_shown_by_its_most_frequent_text_and_of_equals_by_the_first_in_the_alphabet() -> None:
    found = counted([("429 b", 429, 2), ("400 c", 400, 3), ("404 a", 404, 3), ("500 z", 500, 9)])

    assert found == (
        ClassCount(kind=ErrorClass.HTTP_5XX, count=9, example="500 z"),
        ClassCount(kind=ErrorClass.HTTP_4XX, count=8, example="400 c"),
    )


failures = st.lists(
    st.tuples(st.sampled_from(["EOF", "i/o timeout", "", "odd"]), st.sampled_from([0, 200, 404]), st.integers(1, 9)),
    max_size=30,
)


@given(failures=failures, randomly=st.randoms())
def test_in_which_order_failures_come_is_all_one(failures: list[tuple[str, int, int]], randomly: Random) -> None:
    shuffled = randomly.sample(failures, len(failures))

    assert counted(shuffled) == counted(failures)
    assert sum(one.count for one in counted(failures)) == sum(times for _, _, times in failures)


def test_thousands_of_ephemeral_ports_and_streams_are_one_error() -> None:
    resets = ((f"read tcp 10.1.2.3:{port}->10.0.0.1:80: read: connection reset by peer", 0, 1) for port in range(9999))
    streams = ((f"stream error: stream ID {2 * n + 1}; CANCEL; received from peer", 0, 1) for n in range(9999))

    [found] = counted([*resets, *streams])

    assert (found.kind, found.count) == (ErrorClass.RESET, 19998)
    assert found.example == "read tcp 10.0.0.1:80: read: connection reset by peer"
