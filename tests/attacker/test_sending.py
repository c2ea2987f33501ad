from typing import Any

import pytest

from attacker.duration import Duration
from attacker.sending import Sending, contradictions


def contradicted(*urls: str, **options: Any) -> tuple[str, ...]:
    return contradictions(Sending(**options), urls)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing given"),
        pytest.param({"h2c": True, "workers": 3, "max_workers": 5, "redirects": -1, "max_body": 0}, id="h2c"),
        pytest.param({"keepalive": False, "max_connections": 3, "http2": True}, id="no keep-alive"),
        pytest.param({"insecure": True, "cert": "c.pem", "key": "k.pem"}, id="a client's certificate, none checked"),
        pytest.param({"root_certs": ("a.pem", "b.pem"), "cert": "both.pem"}, id="own authorities, one file for both"),
        pytest.param({"max_workers": 5}, id="fewer workers than vegeta starts with"),
        pytest.param({"workers": 5, "max_workers": 5}, id="all workers at the start"),
        pytest.param({"proxies": True, "dns_ttl": None}, id="proxies"),
    ],
)
def test_options_that_go_together_are_not_contradicted(options: dict[str, Any]) -> None:
    assert contradicted("http://api/", **options) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", 5),
        ("max_connections", 5),
        ("keepalive", False),
        ("http2", False),
        ("dns_ttl", Duration(0)),
        ("dns_ttl", None),
        ("insecure", True),
        ("root_certs", ("ca.pem",)),
        ("cert", "cert.pem"),
        ("proxies", True),
    ],
)
def test_what_vegeta_ignores_with_h2c_is_told(name: str, value: object) -> None:
    assert contradicted("http://api/", h2c=True, **{name: value}) == (
        f"h2c is true, and with it vegeta ignores {name}: leave those out, or h2c",
    )


def test_all_that_is_ignored_is_told_at_once() -> None:
    [told] = contradicted(h2c=True, keepalive=False, insecure=True, max_connections=5)

    assert "ignores max_connections, keepalive, insecure: " in told


def test_h2c_is_for_no_address_with_tls() -> None:
    assert contradicted("http://api/", "https://api/a", "HTTPS://api/b", h2c=True) == (
        "h2c is true, which is HTTP/2 without TLS, but there is https://api/a: give http://, or leave h2c out",
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(
            {"connections": 5, "keepalive": False},
            "connections is 5, but without keepalive no connection is kept: leave one of the two out",
            id="connections kept for nothing",
        ),
        pytest.param(
            {"insecure": True, "root_certs": ("a.pem", "b.pem")},
            "root_certs is a.pem, b.pem, but insecure takes any certificate: leave one of the two out",
            id="authorities that are not asked",
        ),
        pytest.param(
            {"key": "k.pem"},
            "key is 'k.pem' without cert, and vegeta uses neither: give the certificate, too",
            id="a key to nothing",
        ),
        pytest.param(
            {"workers": 6, "max_workers": 5},
            "workers is 6, but max_workers is 5: give no more than that",
            id="more workers than there may be",
        ),
    ],
)
def test_what_vegeta_would_pass_over_in_silence_is_told(options: dict[str, Any], told: str) -> None:
    assert contradicted("https://api/", **options) == (told,)
