"""Request rates in vegeta's notation: `60`, `1000/3s`, `1/2s`."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from attacker.duration import Duration, parse_duration

__all__ = ["Rate", "RateField", "parse_rate"]

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A constant rate: `requests` sent evenly in every `per_ns` nanoseconds."""

    requests: int
    per_ns: int

    @property
    def interval_ns(self) -> int:
        """Nanoseconds from one request to the next, cut to whole ones as vegeta's ConstantPacer does."""
        return self.per_ns // self.requests

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return self.requests * _SECOND_NS / self.per_ns

    def requests_in(self, duration: Duration) -> int:
        """How many whole requests fall into a span."""
        return self.requests * duration.ns // self.per_ns

    def shared_by(self, shards: int) -> "Rate":
        """Give the rate of each of several equal shards, exactly: the span grows, the requests stay."""
        return Rate(self.requests, self.per_ns * shards)

    def over(self, share: "Rate") -> int:
        """Tell how many shares of at most such a rate it takes to make this one, exactly."""
        return -(-self.requests * share.per_ns // (self.per_ns * share.requests))

    def __str__(self) -> str:
        return f"{self.requests}/{'s' if self.per_ns == _SECOND_NS else Duration(self.per_ns)}"


def parse_rate(text: object) -> Rate:
    """Read a rate: whole requests a second, or `N/UNIT` or `N/DURATION`.

    Raises:
        ValueError: no rate, not positive, a fraction of a request, or above one request a nanosecond.
    """
    if isinstance(text, Rate):
        return text
    requests_text, _, per_text = str(text).strip().partition("/")
    if re.fullmatch(r"\d*\.\d+", requests_text, re.ASCII):
        raise ValueError("a fraction of a request cannot be sent: give whole requests over a longer time, such as 1/2s")
    if not re.fullmatch(r"\d+", requests_text, re.ASCII) or isinstance(text, bool):
        raise ValueError("give requests a second, such as 60, or over another time, such as 1000/3s or 1/2s")
    per_ns = _parse_per(per_text).ns if "/" in str(text) else _SECOND_NS
    rate = Rate(int(requests_text), per_ns)
    if rate.requests == 0 or rate.per_ns == 0:
        raise ValueError("give a rate above zero, such as 60; a rate without a schedule cannot be measured against one")
    if rate.interval_ns == 0:
        raise ValueError("give at most one request a nanosecond, 1000000000/s")
    return rate


def _parse_per(text: str) -> Duration:
    return parse_duration(f"1{text}" if text[:1].isalpha() else text)


RateField = Annotated[Rate, BeforeValidator(parse_rate), PlainSerializer(str, return_type=str)]
"""A pydantic field that is written and read as a rate's text."""
