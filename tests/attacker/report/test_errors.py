import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.errors import normalise_error


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
