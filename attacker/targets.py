"""Targets: one request to repeat each, as their authors write them and as vegeta takes them."""

import ast
import base64
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

__all__ = ["Target", "check_absolute_url", "default_name", "parse_target_line"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LINE = re.compile(r"(?P<method>[A-Z]+)\s+(?P<url>\S+)(?:\s+(?P<rest>.*))?", re.ASCII | re.DOTALL)
# A colon within a value (`Host: api:5000`, `Referer: http://api/`) begins no header: one is followed by a space.
_NEXT_HEADER = re.compile(r"(?:^|(?<=\s)(?=\S+:\s))(?P<name>[A-Za-z][A-Za-z0-9-]*):\s*", re.ASCII)
_PERHAPS_A_HEADER = re.compile(r"\s[A-Za-z][A-Za-z0-9-]*:", re.ASCII)
_MEDIA_TYPE = re.compile(r"[^\s;]+(\s*;\s*[^\s;]+)*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_JSON_TYPE = re.compile(r"[^;]*[/+]json\s*(;.*)?", re.IGNORECASE)
_RESERVED_NAMES = {".", "..", "overall"}


def _as_statuses(value: object) -> object:
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


_OPEN_HEADERS = {"accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent"}


class Target(BaseModel):
    """One request to repeat. Raises pydantic.ValidationError where it could not be sent as it is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str
    """Letters, digits, `-`, `_` and `.`; taken from method and path where it is not given."""
    method: str = "GET"
    url: str = Field(validation_alias=AliasChoices("url", "path"))
    """A path on the API, or a whole URL."""
    headers: Mapping[str, str] = {}
    json_body: JsonValue = Field(default=None, alias="json")
    text: str | None = None
    expected_status: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], BeforeValidator(_as_statuses)] = ()
    """Status codes that mean success; none means 200 to 399, as vegeta counts."""

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return parse_target_line(value)
        if isinstance(value, dict) and "name" not in value:
            url = value.get("url", value.get("path"))
            return {"name": default_name(str(value.get("method", "GET")), str(url)), **value}
        return value

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        _check_name(self.name)
        _check_method(self.method)
        _check_url(self.url)
        for name, header in self.headers.items():
            _check_header(name, header)
        _check_body(self)
        return self

    def at(self, base_url: str) -> Self:
        """Give this target with its whole URL, a path being one on the API at `base_url`."""
        return self.model_copy(update={"url": base_url.rstrip("/") + self.url}) if self.url.startswith("/") else self

    def without_secrets(self) -> Self:
        """Hide the values of all headers but those known to hold no secret, for logs and reports."""
        shown = {name: value if name.lower() in _OPEN_HEADERS else "***" for name, value in self.headers.items()}
        return self.model_copy(update={"headers": shown})

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers as sent: a JSON body has its content type."""
        named = {name.lower() for name in self.headers}
        implied = {"Content-Type": "application/json"} if self._has_json and "content-type" not in named else {}
        return {**implied, **self.headers}

    @property
    def body(self) -> bytes:
        """The body as sent, in UTF-8."""
        if self._has_json:
            return json.dumps(self.json_body, ensure_ascii=False).encode()
        return (self.text or "").encode()

    @property
    def _has_json(self) -> bool:
        return "json_body" in self.model_fields_set and self.json_body is not None

    def is_success(self, code: int) -> bool:
        """Tell whether a status code is what this target's author expects."""
        return code in self.expected_status if self.expected_status else 200 <= code < 400

    def as_vegeta_json(self) -> str:
        """Render vegeta's JSON target format: one object on one line, the line feed included."""
        target: dict[str, Any] = {"method": self.method, "url": self.url}
        if self.sent_headers:
            target["header"] = {name: [value] for name, value in self.sent_headers.items()}
        if self.body:
            target["body"] = base64.b64encode(self.body).decode()
        # vegeta drops a last line that has no line feed.
        return json.dumps(target) + "\n"


def default_name(method: str, url: str) -> str:
    """Name a target by its request: `GET /health` is `get-health`, `POST /add_users/` is `post-add_users`."""
    try:
        path = urlsplit(url).path.strip("/")
    except ValueError:  # no URL; that is told where URLs are checked
        path = ""
    return f"{method.lower()}-{re.sub(r'[^A-Za-z0-9._-]+', '-', path).strip('-') or 'root'}"


def parse_target_line(line: str) -> dict[str, object]:
    """Read the one-line form `METHOD URL [Header: value]… [BODY]`, the body JSON or a Python literal.

    vegeta itself takes such a line and sends an empty request to a junk path.

    Raises:
        ValueError: a part of the line cannot be read as what its author meant.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError("give METHOD and URL, such as 'GET /health', or the long form")
    method, url, rest = match["method"], match["url"], match["rest"] or ""
    headers_text, body_text = _split_at_body(rest)
    headers = _parse_headers(headers_text)
    fields: dict[str, object] = {"name": default_name(method, url), "method": method, "url": url, "headers": headers}
    if not body_text:
        return fields
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if content_type and not _JSON_TYPE.fullmatch(content_type):
        return {**fields, "text": body_text}
    return {**fields, "json": _parse_literal(body_text)}


def _split_at_body(rest: str) -> tuple[str, str]:
    starts = [position for position in (rest.find("{"), rest.find("[")) if position >= 0]
    return (rest[: min(starts)], rest[min(starts) :].strip()) if starts else (rest, "")


def _parse_headers(text: str) -> dict[str, str]:
    marks = list(_NEXT_HEADER.finditer(text))
    before = text[: marks[0].start()] if marks else text
    if before.strip():
        raise ValueError(
            f"what follows the URL, {before.strip()!r}, is neither a header nor a JSON body: use the long form"
        )
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    headers = {mark["name"]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=False)}
    if len(headers) < len(marks):
        raise ValueError(f"a header is there twice, of {', '.join(mark['name'] for mark in marks)}: keep one of them")
    for name, value in headers.items():
        is_media_type = name.lower() != "content-type" or _MEDIA_TYPE.fullmatch(value)
        if _PERHAPS_A_HEADER.search(value) or not is_media_type:
            raise ValueError(f"the header {name} would be {value!r}: if it is to be something else, use the long form")
    return headers


def _parse_literal(text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the body is nested too deeply: use the long form, with the body as text") from error
    except json.JSONDecodeError as error:
        try:
            value = ast.literal_eval(text)
            json.dumps(value, allow_nan=False)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError(
                f"the body {text!r} is no JSON ({error.msg} at character {error.pos + 1}): mend it"
            ) from error
        return value


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise ValueError(
            f"name is {name!r}: give 1 to 63 letters, digits, '-', '_' and '.', "
            f"other than {', '.join(sorted(_RESERVED_NAMES))}"
        )


def _check_method(method: str) -> None:
    if not re.fullmatch(r"[A-Z]+", method, re.ASCII):
        raise ValueError(f"method is {method!r}: give an HTTP method in capitals, such as GET")


def _check_url(url: str) -> None:
    if re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", url):
        raise ValueError(f"url is {url!r}: a URL has no spaces; write headers and body as fields of their own")
    if _BAD_ESCAPE.search(url.partition("?")[0]):
        raise ValueError(f"url is {url!r}: a '%' stands before two hexadecimal digits: write '%25' for '%' itself")
    if url.startswith("/") and not url.startswith("//"):
        return
    try:
        check_absolute_url(url)
    except ValueError as error:
        shown = "" if "@" in url else f" is {url!r}"
        raise ValueError(f"url{shown}: {error}, or a path such as /health") from error


def check_absolute_url(url: str) -> None:
    """Refuse what is no http or https URL with a host.

    Raises:
        ValueError: with the remedy.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("give a URL with a host, such as http://api:5000/health")
    if "@" in parts.netloc:
        raise ValueError("URLs are written to reports: give credentials as an Authorization header")


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"headers has {name!r}: a header's name holds letters, digits and '-' only")
    if _CONTROL.search(value) or not value.isascii():
        raise ValueError(f"headers.{name} has a character that cannot be sent: give printable ASCII on one line")


def _check_body(target: Target) -> None:
    if target._has_json and target.text is not None:  # noqa: SLF001  (the model's own check)
        raise ValueError("json and text are both given: a request has one body, drop one of them")
    content_type = next((v for name, v in target.sent_headers.items() if name.lower() == "content-type"), "")
    if target._has_json and not _JSON_TYPE.fullmatch(content_type):  # noqa: SLF001
        raise ValueError(f"headers.Content-Type is {content_type!r} over a JSON body: drop the header, or give text")
    try:
        json.dumps([target.json_body, target.text], ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # NaN, or half of a surrogate pair
        raise ValueError(f"the body cannot be sent: {error}: replace that value") from error
    if target.text is None or not target.text:
        return
    if _JSON_TYPE.fullmatch(content_type):
        _check_json_text(target.text, content_type)
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        _check_form_text(target.text)


def _check_json_text(text: str, content_type: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"text is {text!r}, but Content-Type is {content_type!r}: {error.msg} at character {error.pos + 1}; "
            "mend the body or the header"
        ) from error


def _check_form_text(text: str) -> None:
    try:
        parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise ValueError(f"text is {text!r}, but Content-Type says a form: write name=value&name=value") from error
