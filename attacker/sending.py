"""How an attack sends: vegeta's options, by vegeta's names, beside what it sends, how fast and how long."""

from collections.abc import Iterable
from dataclasses import dataclass

from attacker.duration import Duration

__all__ = ["USUAL", "Sending", "contradictions"]

_FIVE_SECONDS = Duration.of_seconds(5)
_UNDER_H2C = (
    "connections",
    "max_connections",
    "keepalive",
    "http2",
    "dns_ttl",
    "insecure",
    "root_certs",
    "cert",
    "key",
    "proxies",
)
"""What vegeta passes over without a word where it speaks HTTP/2 without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is not given is as vegeta has it, but for names, which vegeta looks up once and for ever."""

    workers: int = 10
    """At the start; more are added while all are busy."""
    max_workers: int | None = None
    """No more requests than these are under way at once; None is without a limit."""
    connections: int = 10_000
    """Idle ones kept for each host."""
    max_connections: int = 0
    """For each host, idle or not; 0 is without a limit."""
    keepalive: bool = True
    http2: bool = True
    """Over TLS, where the server speaks it."""
    h2c: bool = False
    """HTTP/2 without TLS, from the first byte."""
    redirects: int = 10
    """More are an error; -1 follows none, and takes a redirect for an answer."""
    max_body: int = -1
    """Bytes kept of each answer's body; -1 is all."""
    dns_ttl: Duration | None = _FIVE_SECONDS
    """How long addresses are kept; 0 is for ever, and None asks for every connection anew."""
    insecure: bool = False
    """Take any certificate of the server's."""
    root_certs: tuple[str, ...] = ()
    """Files of certificates that are trusted in place of the system's."""
    cert: str | None = None
    """The client's."""
    key: str | None = None
    """Of `cert`, where that file does not hold it, too."""
    proxies: bool = False
    """Those that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name in the attacker's environment."""


USUAL = Sending()


def contradictions(sending: Sending, urls: Iterable[str]) -> tuple[str, ...]:
    """Find what vegeta would pass over in silence, a sentence each: what somebody asked for must not just not happen.

    Args:
        sending: the options.
        urls: of the targets, as far as they are known.
    """
    found = (
        _of_h2c(sending),
        _of_h2c_with_tls(sending, urls),
        not sending.keepalive
        and sending.connections != USUAL.connections
        and f"connections is {sending.connections}, but without keepalive no connection is kept: "
        "leave one of the two out",
        sending.insecure
        and bool(sending.root_certs)
        and f"root_certs is {', '.join(sending.root_certs)}, but insecure takes any certificate: "
        "leave one of the two out",
        sending.key is not None
        and sending.cert is None
        and f"key is {sending.key!r} without cert, and vegeta uses neither: give the certificate, too",
        sending.max_workers is not None
        and sending.workers != USUAL.workers
        and sending.workers > sending.max_workers
        and f"workers is {sending.workers}, but max_workers is {sending.max_workers}: give no more than that",
    )
    return tuple(text for text in found if text)


def _of_h2c_with_tls(sending: Sending, urls: Iterable[str]) -> str | None:
    encrypted = next((url for url in urls if url.lower().startswith("https:")), None)
    if not sending.h2c or encrypted is None:
        return None
    return f"h2c is true, which is HTTP/2 without TLS, but there is {encrypted}: give http://, or leave h2c out"


def _of_h2c(sending: Sending) -> str | None:
    ignored = [name for name in _UNDER_H2C if getattr(sending, name) != getattr(USUAL, name)]
    if not sending.h2c or not ignored:
        return None
    return f"h2c is true, and with it vegeta ignores {', '.join(ignored)}: leave those out, or h2c"
