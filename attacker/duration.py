"""Spans of time as people write them: `300ms`, `1m30s`, `60s`."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainSerializer

__all__ = ["Duration", "DurationField", "in_words", "parse_duration"]

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONGEST_NS = (1 << 63) - 1  # what vegeta keeps a span in
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in whole nanoseconds; its text is the shortest exact one in a single unit up to seconds."""

    ns: int

    @classmethod
    def of_seconds(cls, seconds: int) -> Self:
        """Make a duration of whole seconds."""
        return cls(seconds * 1_000_000_000)

    @property
    def s(self) -> float:
        """The span in seconds."""
        return self.ns / 1_000_000_000

    def __str__(self) -> str:
        unit = next(unit for unit in ("s", "ms", "us", "ns") if self.ns % _UNIT_NS[unit] == 0)
        return f"{self.ns // _UNIT_NS[unit]}{unit}"


def parse_duration(text: object) -> Duration:
    """Read Go's notation (`1m30s`, `1.5s`), or a bare number as seconds.

    Raises:
        ValueError: the text is no duration, negative, finer than a nanosecond, or longer than vegeta can hold.
    """
    if isinstance(text, Duration):
        return text
    written = "" if isinstance(text, bool) else str(text).strip()
    if re.fullmatch(r"\d+(\.\d+)?", written, re.ASCII):
        written += "s"
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        raise ValueError("give a duration such as 500ms, 60s or 1m30s")
    ns = sum((Fraction(number) * _UNIT_NS[unit] for number, unit in parts), Fraction(0))
    if ns.denominator != 1:
        raise ValueError("a nanosecond is the shortest span: give a duration such as 500ms or 60s")
    if ns > _LONGEST_NS:
        raise ValueError("292 years is the longest span: give a duration such as 500ms or 60s")
    return Duration(int(ns))


def in_words(ns: float) -> str:
    """Write a span for people: three significant figures in the unit that suits it (`4.07ms`, `960ms`, `1.2s`)."""
    unit, size = next(((u, n) for u, n in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)) if abs(ns) >= n * 0.9995), ("ns", 1))
    value = ns / size
    whole_digits = len(str(int(abs(value))))
    text = f"{value:.{max(0, 3 - whole_digits)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


DurationField = Annotated[Duration, BeforeValidator(parse_duration), PlainSerializer(str, return_type=str)]
"""A pydantic field that is written and read as a duration's text."""
