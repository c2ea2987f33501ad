"""Errors in classes that a person can act on: what went wrong, on whose side, and one example for all of a class."""

import functools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ClassCount",
    "ErrorClass",
    "Failure",
    "Fault",
    "class_of",
    "count_by_class",
    "failure_of",
    "fault_of",
    "meaning_of",
    "normalise_error",
]


class Fault(StrEnum):
    """Whose an error is: the API's is a measurement, the attacker's spoils it."""

    API = "api"
    ATTACKER = "attacker"


class ErrorClass(StrEnum):
    """What went wrong with a request that did not succeed."""

    REFUSED = "refused"
    RESET = "reset"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    PROTOCOL = "protocol"
    REDIRECTS = "redirects"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    STATUS = "status"
    DNS = "dns"
    PROXY = "proxy"
    PORTS = "ports"
    DESCRIPTORS = "descriptors"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class _Kind:
    fault: Fault
    meaning: str


_KINDS: Mapping[ErrorClass, _Kind] = {
    ErrorClass.REFUSED: _Kind(Fault.API, "nothing listens at that address and port, or its queue is full"),
    ErrorClass.RESET: _Kind(Fault.API, "the connection, or the HTTP/2 stream, was broken off by the other side"),
    ErrorClass.CLOSED: _Kind(Fault.API, "the connection was closed before the answer was complete"),
    ErrorClass.TIMEOUT: _Kind(Fault.API, "no complete answer within the timeout"),
    ErrorClass.UNREACHABLE: _Kind(Fault.API, "no way leads to that address"),
    ErrorClass.TLS: _Kind(Fault.API, "no TLS connection: a certificate is not trusted, or TLS is not spoken there"),
    ErrorClass.PROTOCOL: _Kind(Fault.API, "what came back is not the HTTP that was asked for: see http2 and h2c"),
    ErrorClass.REDIRECTS: _Kind(Fault.API, "more redirects than are followed, or one to nowhere"),
    ErrorClass.HTTP_4XX: _Kind(Fault.API, "the request was not accepted: a status of 400 to 499"),
    ErrorClass.HTTP_5XX: _Kind(Fault.API, "the API failed: a status of 500 to 599"),
    ErrorClass.STATUS: _Kind(Fault.API, "a status that the target does not expect"),
    ErrorClass.DNS: _Kind(Fault.ATTACKER, "the name could not be looked up, so that the API was never asked"),
    ErrorClass.PROXY: _Kind(Fault.ATTACKER, "the proxy of the attacker's environment could not be reached"),
    ErrorClass.PORTS: _Kind(Fault.ATTACKER, "no ephemeral port was left: keep connections alive, or use more shards"),
    ErrorClass.DESCRIPTORS: _Kind(Fault.ATTACKER, "no file descriptor was left: raise the limit, or use more shards"),
    ErrorClass.OTHER: _Kind(Fault.API, "none of the other classes: see the example"),
}
_RULES: tuple[tuple[ErrorClass, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        # First what can happen on the way to anything, be it to a proxy or a name server.
        (ErrorClass.DESCRIPTORS, r"too many open files"),
        (ErrorClass.PORTS, r"bind: address already in use|cannot assign requested address"),
        (ErrorClass.PROXY, r"^proxyconnect "),
        (ErrorClass.DNS, r"(^|: )lookup |no such host"),
        (ErrorClass.REDIRECTS, r"^stopped after \d+ redirects|Location header"),
        (ErrorClass.TIMEOUT, r"Client\.Timeout|deadline exceeded|i/o timeout|handshake timeout|connection timed out"),
        (ErrorClass.TLS, r"\btls: |\bx509: |HTTP response to HTTPS client"),
        (ErrorClass.REFUSED, r"connection refused"),
        (ErrorClass.UNREACHABLE, r"no route to host|network is unreachable|host is (unreachable|down)|network is down"),
        (ErrorClass.PROTOCOL, r"malformed|PROTOCOL_ERROR|looked like an HTTP/1\.1 header|frame too large"),
        (ErrorClass.RESET, r"connection reset|broken pipe|connection abort|stream error: "),
        (ErrorClass.CLOSED, r"\bEOF\b|idle connection|closed network connection|GOAWAY|connection (lost|broken)"),
    )
)
# `Get "http://api/timeout": …`, `malformed HTTP response "…"`: what others wrote says nothing of the class.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_REQUEST = re.compile(r'^[A-Z][a-z]* "": ')
# Go names both ends of a connection: `read tcp 10.1.2.3:54321->10.0.0.1:80: …`. The near one is a new port each time.
_NEAR_END = re.compile(r"\b((?:tcp|udp)[46]? )(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.%\w]*\]):\d+->")
_STREAM = re.compile(r"\b(stream ID |LastStreamID=)\d+")


Failure = tuple[ErrorClass, str]
"""What went wrong with a request: its class, and the text without the attacker's own ports."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many requests failed in one way, and one of their texts."""

    kind: ErrorClass
    count: int
    example: str


def class_of(text: str, status: int) -> ErrorClass:
    """Tell what went wrong with a request that did not succeed.

    Args:
        text: the error as vegeta wrote it.
        status: 0 where there was no complete answer.
    """
    if 400 <= status < 600:
        return ErrorClass.HTTP_4XX if status < 500 else ErrorClass.HTTP_5XX
    if status:
        return ErrorClass.STATUS
    said = _REQUEST.sub("", _QUOTED.sub('""', text))
    return next((kind for kind, pattern in _RULES if pattern.search(said)), ErrorClass.OTHER)


def fault_of(kind: ErrorClass) -> Fault:
    """Tell on whose side the errors of a class are."""
    return _KINDS[kind].fault


def meaning_of(kind: ErrorClass) -> str:
    """Say what a class means, and what can be done where the attacker can do it."""
    return _KINDS[kind].meaning


@functools.lru_cache(maxsize=1 << 14)
def failure_of(text: str, status: int) -> Failure:
    """Tell the class of a request that did not succeed, and its text without what differs from one to the next."""
    return class_of(text, status), normalise_error(text) or _without_text(status)


def count_by_class(failures: Mapping[Failure, int]) -> tuple[ClassCount, ...]:
    """Count failed requests by what went wrong, the most frequent first; which comes first in `failures` is all one.

    Args:
        failures: how many requests failed in each way.

    Returns:
        Each class with the most frequent of its texts.
    """
    texts: dict[ErrorClass, Counter[str]] = {}
    for (kind, example), times in failures.items():
        texts.setdefault(kind, Counter())[example] += times
    counted = (
        ClassCount(kind, found.total(), min(found, key=lambda one: (-found[one], one))) for kind, found in texts.items()
    )
    return tuple(sorted(counted, key=lambda one: (-one.count, one.kind)))


def normalise_error(text: str) -> str:
    """Give the same text to errors that differ only in the attacker's own ephemeral port, or in a stream's number."""
    return _STREAM.sub(r"\1…", _NEAR_END.sub(r"\1", text))


def _without_text(status: int) -> str:
    return f"status {status} is not the expected one"
