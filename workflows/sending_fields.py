"""The fields of a load test that say how vegeta sends: their types, and how people write them."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from attacker.duration import Duration, parse_duration
from workflows.form_text import list_of_lines, none_if_empty

__all__ = [
    "Cert",
    "Connections",
    "DnsTtl",
    "H2c",
    "Http2",
    "Insecure",
    "Keepalive",
    "Key",
    "MaxBody",
    "MaxConnections",
    "MaxWorkers",
    "Proxies",
    "Redirects",
    "RootCerts",
    "Workers",
]

_MOST = 1_000_000
_UNITS_BYTES = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
_SIZE = re.compile(r"(\d+)\s*([kmg]?b)?", re.ASCII | re.IGNORECASE)


def _not_a_bool(value: object) -> object:
    """Refuse `on` and `yes`, which YAML reads as true, and Python counts as 1."""
    if isinstance(value, bool):
        raise ValueError("give a whole number")  # noqa: TRY004  (pydantic wants a ValueError)
    return value


def _parse_max_body(value: object) -> int:
    written = "" if isinstance(value, bool) else str(value).strip()
    if written == "-1":
        return -1
    size = _SIZE.fullmatch(written)
    if size is None or (found := int(size[1]) * _UNITS_BYTES[(size[2] or "").lower()]) >= 1 << 63:
        raise ValueError("give a number of bytes, such as 4096 or 4KB (1KB being 1024), or -1 for all")
    return found


def _parse_dns_ttl(value: object) -> Duration | None:
    if value is None or (not isinstance(value, bool) and str(value).strip() in {"-1", "-1ns"}):
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, 0s for ever, or -1 to ask for every connection anew") from error


def _show_dns_ttl(ttl: Duration | None) -> str:
    return "-1" if ttl is None else str(ttl)


def _as_paths(value: object) -> object:
    """Accept lines of text and vegeta's list with commas as well as a list."""
    return list_of_lines(value.replace(",", "\n")) if isinstance(value, str) else value


def _path(path: str) -> str:
    if not path.strip() or "\x00" in path:
        raise ValueError("give the path of a PEM file")
    return path


def _path_in_a_list(path: str) -> str:
    if "," in path:
        raise ValueError(f"{path!r} has a comma, at which vegeta would cut it in two: give the file another name")
    return _path(path)


_Int = Annotated[int, BeforeValidator(_not_a_bool)]

Workers = Annotated[
    _Int, Field(ge=1, le=_MOST, description="Workers of each attacker at the start; more are added while all are busy.")
]
MaxWorkers = Annotated[
    Annotated[_Int, Field(ge=1, le=_MOST)] | None,
    BeforeValidator(none_if_empty),
    Field(description="Most workers of each attacker, and so requests under way at once; empty is without a limit."),
]
Connections = Annotated[
    _Int, Field(ge=1, le=_MOST, description="Idle connections that each attacker keeps for each host.")
]
MaxConnections = Annotated[
    _Int, Field(ge=0, le=_MOST, description="Most connections of each attacker to each host; 0 is without a limit.")
]
Keepalive = Annotated[bool, Field(description="Use a connection for many requests, not for one each.")]
Http2 = Annotated[bool, Field(description="Speak HTTP/2 over TLS where the server does.")]
H2c = Annotated[bool, Field(description="Speak HTTP/2 without TLS, from the first byte.")]
Redirects = Annotated[
    _Int,
    Field(ge=-1, le=_MOST, description="Redirects that are followed; more are an error. -1 takes one for an answer."),
]
MaxBody = Annotated[
    int,
    BeforeValidator(_parse_max_body),
    Field(description="Bytes kept of each answer, such as 4KB; bytes_in is told of whole answers only. -1 keeps all."),
]
DnsTtl = Annotated[
    Duration | None,
    BeforeValidator(_parse_dns_ttl),
    PlainSerializer(_show_dns_ttl, return_type=str),
    Field(description="How long looked-up addresses are kept; 0s is for ever, -1 asks for every connection."),
]
Insecure = Annotated[bool, Field(description="Take any certificate of the server's without checking it.")]
RootCerts = Annotated[
    tuple[Annotated[str, AfterValidator(_path_in_a_list)], ...],
    BeforeValidator(_as_paths),
    Field(description="PEM file of certificates to trust in place of the system's, where the attackers can read it."),
]
Cert = Annotated[
    Annotated[str, AfterValidator(_path)] | None,
    BeforeValidator(none_if_empty),
    Field(description="PEM file of the client's certificate, where the attackers can read it."),
]
Key = Annotated[
    Annotated[str, AfterValidator(_path)] | None,
    BeforeValidator(none_if_empty),
    Field(description="PEM file of the key to cert, where that file does not hold it, too."),
]
Proxies = Annotated[
    bool,
    Field(description="Send through the proxies of the attackers' environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY."),
]
