"""Objectives: bounds on measured figures, such as `p99 < 50ms`, and whether they were met."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from attacker.duration import parse_duration
from attacker.report.figures import Figures, Judged

__all__ = ["OVERALL", "Bound", "Objective", "Unit", "figure_names", "judge", "measure", "parse_objective"]

OVERALL = "overall"
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "=": operator.eq,
}
_COMPARISON = re.compile(r"\s*(<=|>=|==|=|<|>)\s*")
_EXAMPLES = "write a bound such as 'p99 < 50ms', 'success >= 99.9%' or '5ms < p50 < 20ms'"
_LATENCY = ("min", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
_LAG = ("p50", "p99", "max")


class Unit(StrEnum):
    """What a figure is counted in."""

    NS = "duration"
    SHARE = "share"
    PER_S = "rate"
    COUNT = "count"


_SHARES = {"success": "success", "sent_ratio": "attack.sent_ratio", "throttled_ratio": "attack.throttled_ratio"}
_RATES = {
    "rate": "rate_per_s",
    "rate_per_s": "rate_per_s",
    "throughput": "throughput_per_s",
    "throughput_per_s": "throughput_per_s",
}
_COUNTS = {name: name for name in ("requests", "expected", "bytes_in", "bytes_out", "errors")} | {
    name: f"attack.{name}" for name in ("shards", "sent", "seq_gaps", "duplicates", "max_in_flight")
}


def _known_figures() -> dict[str, tuple[str, Unit]]:
    """Map every name a figure can be called by to its path in `report.json` and its unit."""
    known: dict[str, tuple[str, Unit]] = {}
    for names, unit in ((_SHARES, Unit.SHARE), (_RATES, Unit.PER_S), (_COUNTS, Unit.COUNT)):
        for name, path in names.items():
            known[name] = known[path] = (path, unit)
    for name in _LATENCY:
        # Bare, it is what a caller who comes on time has to wait: free of coordinated omission.
        corrected, raw = f"corrected_latency_ns.{name}", f"latency_ns.{name}"
        known |= dict.fromkeys((name, f"corrected.{name}", corrected), (corrected, Unit.NS))
        known |= dict.fromkeys((f"raw.{name}", raw), (raw, Unit.NS))
    for name in _LAG:
        known |= dict.fromkeys((f"lag.{name}", f"attack.lag_ns.{name}"), (f"attack.lag_ns.{name}", Unit.NS))
    known |= dict.fromkeys(("start_skew", "attack.start_skew_ns"), ("attack.start_skew_ns", Unit.NS))
    return known


_FIGURES = _known_figures()
_STATUS = re.compile(r"status_codes\.\d{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bound:
    """One side of an objective: the measured figure stands on the left."""

    sign: str
    value: float

    def holds(self, measured: float) -> bool:
        """Compare."""
        return _OPERATORS[self.sign](measured, self.value)


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound or two on one figure of one target, of every target, or of all together."""

    text: str
    """As its author wrote it, without the target."""
    target: str | None
    """None means each target; `overall` means all together."""
    path: str
    """Where the figure stands in `report.json`."""
    bounds: tuple[Bound, ...]
    unit: Unit = Unit.COUNT


def figure_names() -> tuple[str, ...]:
    """List the names that an objective can use, but for `status_codes.N`."""
    return tuple(_FIGURES)


def parse_objective(text: str, *, also: Mapping[str, tuple[str, Unit]] = MappingProxyType({})) -> Objective:
    """Read `[TARGET: ]FIGURE OP VALUE` or `[TARGET: ]VALUE OP FIGURE OP VALUE`.

    Args:
        text: the objective.
        also: further figures by name: where each stands, and its unit.

    Raises:
        ValueError: it is neither, the figure does not exist, or a value has not the figure's unit.
    """
    target, colon, rest = text.rpartition(":")
    parts = _COMPARISON.split(rest.strip())
    if colon and not target.strip():
        raise ValueError("name a target before the colon, or leave the colon out")
    if not all(parts):
        raise ValueError(_EXAMPLES)
    if len(parts) == 3:
        name, bounds = parts[0], [(parts[1], parts[2])]
    elif len(parts) == 5:
        name, bounds = parts[2], [(_turned(parts[1]), parts[0]), (parts[3], parts[4])]
    else:
        raise ValueError(_EXAMPLES)
    path, unit = also[name] if name in also else _figure(name)
    return Objective(
        rest.strip(),
        target.strip() or None,
        path,
        tuple(Bound(sign, _parse_value(value, name, unit)) for sign, value in bounds),
        unit,
    )


def judge(objectives: Sequence[Objective], name: str, figures: Figures) -> tuple[Judged, ...]:
    """Judge what applies to the target of this name (or to `overall`); no data is never met."""
    applying = [
        objective
        for objective in objectives
        if objective.target == name or (objective.target is None and name != OVERALL)
    ]
    return tuple(_judged(objective, measure(figures, objective.path)) for objective in applying)


def measure(figures: Figures, path: str) -> float | None:
    """Look a figure up; None where nothing was measured: without a request, no count is 0."""
    if not figures.requests:
        return None
    if _STATUS.fullmatch(path):
        return figures.status_codes.get(path.removeprefix("status_codes."), 0)
    if path == "errors":
        return sum(error.count for error in figures.errors)
    found: object = figures.model_dump()
    head, _, tail = path.partition(".")
    keys = [head, *(tail.split(".", 1) if head == "attack" else [tail] if tail else [])]
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _judged(objective: Objective, measured: float | None) -> Judged:
    met = None if measured is None else all(bound.holds(measured) for bound in objective.bounds)
    return Judged(objective=objective.text, measured=measured, met=met)


def _figure(name: str) -> tuple[str, Unit]:
    if _STATUS.fullmatch(name):
        return name, Unit.COUNT
    if name not in _FIGURES:
        raise ValueError(
            f"there is no figure {name!r}: use one such as p99, raw.p99, mean, success, rate, errors, lag.p99"
        )
    return _FIGURES[name]


def _turned(sign: str) -> str:
    return sign.translate(str.maketrans("<>", "><"))


def _parse_value(text: str, name: str, unit: Unit) -> float:
    if unit is Unit.NS:
        if not re.search(r"[a-zµ]$", text):
            raise ValueError(f"{name} is a time: {text!r} has no unit, write {text}ms or {text}s")
        return _parse_span(text, name)
    percent = unit is Unit.SHARE and text.endswith("%")
    number = text.removesuffix("%").strip() if percent else text.removesuffix("/s") if unit is Unit.PER_S else text
    if not re.fullmatch(r"\d+(\.\d+)?", number, re.ASCII):
        wanted = {Unit.SHARE: "a share such as 99.9% or 0.999", Unit.PER_S: "requests a second, such as 60"}
        raise ValueError(f"{name} is compared with {text!r}: give {wanted.get(unit, 'a count such as 0')}")
    value = float(number)
    if percent and value > 100:
        raise ValueError(f"{name} is a share from 0% to 100%: {text!r} is more")
    if unit is Unit.SHARE and not percent and value > 1:
        raise ValueError(f"{name} is a share from 0 to 1: write {number}% for {text!r}")
    return float(_exact_share(number)) if percent else value


def _parse_span(text: str, name: str) -> int:
    try:
        return parse_duration(text).ns
    except ValueError as error:
        raise ValueError(f"{name} is compared with {text!r}: {error}") from error


def _exact_share(percent: str) -> str:
    """Move the point two places in the text: 99.9 / 100 is not 0.999 in binary."""
    whole, _, fraction = percent.partition(".")
    digits = whole.zfill(3) + fraction
    point = len(digits) - len(fraction) - 2
    return f"{digits[:point]}.{digits[point:]}"
