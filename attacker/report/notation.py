"""How every face of the report writes a figure: what is missing is a dash, never 0, and what is rounded never lies."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from attacker.duration import in_words
from attacker.report.figures import Checked, Judged, Outcome, Report, VerdictResult
from attacker.report.objectives import Unit, parse_objective
from attacker.report.validity.rules import unit_of

__all__ = [
    "MISSING",
    "bytes_text",
    "changed_rules",
    "checked",
    "count",
    "meaning",
    "measured",
    "moment",
    "notes",
    "objectives",
    "omissions",
    "plain",
    "printable",
    "rate",
    "share",
    "span",
]

MISSING = "\N{EN DASH}"

_SHARES = {"success", "attack.sent_ratio", "attack.throttled_ratio"}
# What XML 1.0 has no place for: most control characters, which can also take over a terminal, and lone surrogates.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNITS_OF_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: int | None) -> str:
    """Write a whole number: `1,234,567`."""
    return MISSING if number is None else f"{number:,}"


def plain(number: float | None, digits: int = 4) -> str:
    """Write a number in four significant figures, or in more, its whole part always in full: `59.98`, `12,346`."""
    if number is None:
        return MISSING
    whole_digits = len(str(int(abs(number)))) if abs(number) >= 1 else 0
    return _without_zeros(f"{number:,.{max(0, digits - whole_digits)}f}")


def rate(per_s: float | None) -> str:
    """Write a rate: `59.98/s`."""
    return MISSING if per_s is None else f"{plain(per_s)}/s"


def share(ratio: float | None, decimals: int = 2) -> str:
    """Write a share as a percentage that says 0% or 100% only where it is exactly that: `99.9996%`."""
    if ratio is None:
        return MISSING
    percent = ratio * 100
    while decimals < 10 and ratio not in {0, 1} and float(f"{percent:.{decimals}f}") in {0, 100}:
        decimals += 1
    return _without_zeros(f"{percent:.{decimals}f}") + "%"


def span(ns: float | None) -> str:
    """Write a span of time in three significant figures: `4.07ms`."""
    return MISSING if ns is None else in_words(ns)


def bytes_text(size_bytes: float | None) -> str:
    """Write a size in decimal units: `1.23 MB`."""
    if size_bytes is None:
        return MISSING
    size, units = size_bytes, iter(_UNITS_OF_BYTES)
    unit = next(units)
    while size >= 999.5 and unit != _UNITS_OF_BYTES[-1]:
        size, unit = size / 1000, next(units)
    return f"{plain(size, digits=3)} {unit}"


def moment(iso: str) -> str:
    """Write a moment for people, in UTC: `2026-02-16 15:07:01 UTC`; what is no ISO 8601 stays as it is."""
    try:
        read = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{(read if read.tzinfo is None else read.astimezone(UTC)):%Y-%m-%d %H:%M:%S} UTC"


def printable(text: str) -> str:
    """Put U+FFFD for each character that would break a document or a terminal."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def measured(judged: Judged) -> str:
    """Write what was measured of an objective in its own unit, exactly enough to tell it from the bounds."""
    if judged.measured is None:
        return MISSING
    try:
        objective = parse_objective(judged.objective)
    except ValueError:
        return plain(judged.measured)
    bounds = {bound.value for bound in objective.bounds} - {judged.measured}
    if "_ns" in objective.path:
        return _told_apart(judged.measured, bounds, span, _long_span)
    if objective.path in _SHARES:
        return _told_apart(judged.measured, bounds, share, lambda ratio: share(ratio, decimals=9))
    return _told_apart(judged.measured, bounds, plain, lambda number: plain(number, digits=12))


def checked(rule: Checked) -> str:
    """Write what was measured of a rule of validity in its own unit."""
    unit, value = unit_of(rule.threshold), rule.measured
    if value is None:
        return MISSING
    if unit is Unit.NS:
        return span(value)
    return share(value) if unit is Unit.SHARE else plain(value)


def changed_rules(report: Report) -> tuple[str, ...]:
    """Say which rules of validity have another threshold than their own, and which that would be."""
    return tuple(
        f"changed for this run: {rule.threshold} instead of {rule.default}" for rule in report.validity if rule.changed
    )


def notes(report: Report) -> tuple[str, ...]:
    """List what is worth knowing of the measurement though it is no doubt, a sentence each."""
    return tuple(one.text for rule in report.validity for one in rule.findings if one.outcome is Outcome.NOTE)


def objectives(report: Report) -> tuple[tuple[str, Judged], ...]:
    """List all objectives, each with the name of its target."""
    of_targets = tuple((target.name, judged) for target in report.targets for judged in target.objectives)
    return of_targets + tuple(("overall", judged) for judged in report.overall_objectives)


def omissions(report: Report) -> tuple[tuple[str, str], ...]:
    """List the targets whose corrected latency differs materially from vegeta's, each with the reason in a sentence."""
    return tuple((target.name, target.omission) for target in report.targets if target.omission)


def meaning(report: Report) -> str:
    """Say what the verdict means."""
    judged = [judged for _, judged in objectives(report)]
    if report.verdict.result is VerdictResult.INVALID:
        return "The measurement cannot be trusted."
    if report.verdict.result is VerdictResult.FAIL:
        missed = sum(one.met is False for one in judged)
        return f"{missed} of {len(judged)} objectives missed."
    return "Every objective is met." if judged else "The measurement can be trusted; no objective was set."


def _told_apart(
    value: float, others: Collection[float], write: Callable[[float], str], write_more: Callable[[float], str]
) -> str:
    """Write more digits where rounding would show one value as if it were another."""
    return (write_more if write(value) in {write(other) for other in others} else write)(value)


def _long_span(ns: float) -> str:
    size, unit = next(((size, unit) for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")) if ns >= size), (1, "ns"))
    return _without_zeros(f"{ns / size:.9f}") + unit


def _without_zeros(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
