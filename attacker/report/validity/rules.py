"""The rules of validity, one table: what must hold for a measurement to be trusted, and what for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from attacker.report.objectives import Bound, Unit, parse_objective

__all__ = [
    "LAG_NOTE_NS",
    "LAG_NOTE_SHARE",
    "RULES",
    "THROTTLING_NOTE_RATIO",
    "Rule",
    "RuleName",
    "Threshold",
    "Thresholds",
    "thresholds_of",
    "unit_of",
]


class RuleName(StrEnum):
    """What a rule is called in `report.json`."""

    RUN = "run"
    SHARDS = "shards"
    EXIT = "exit"
    SENT = "sent"
    LAG = "lag"
    WORKERS = "workers"
    SKEW = "skew"
    CLOCKS = "clocks"
    GAPS = "gaps"
    TWICE = "twice"
    THROTTLING = "throttling"
    MEMORY = "memory"
    ATTACKER_ERRORS = "attacker_errors"
    DNS = "dns"
    API_PODS = "api_pods"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold, and why a measurement of which it does not hold cannot be trusted."""

    name: RuleName
    threshold: str
    """In the objectives' language where a figure is compared, else in words."""
    reason: str
    note: str = ""
    """From where on it is worth a note, though no doubt."""
    is_adjustable: bool = True


RULES: Mapping[RuleName, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            RuleName.RUN,
            "it came to its end",
            "a run that was interrupted or broke did not measure what was planned",
            is_adjustable=False,
        ),
        Rule(
            RuleName.SHARDS,
            "each is there once, whole, and of this plan",
            "what a missing or cut shard measured is in no percentile, and a stranger's is in all",
            is_adjustable=False,
        ),
        Rule(
            RuleName.EXIT,
            "vegeta ended by itself with 0",
            "what a vegeta that was killed had under way is lost, and that is the slowest",
            is_adjustable=False,
        ),
        Rule(
            RuleName.SENT,
            "sent_ratio >= 99%",
            "an API that got less than the load says nothing of how it stands the load",
        ),
        Rule(
            RuleName.LAG,
            "lag.p99 <= 100ms",
            "requests that the attacker sends late make another load, and their latency is partly its own",
            note="above 5ms and a tenth of p99, or where max_workers explains it",
        ),
        Rule(
            RuleName.WORKERS,
            "max_in_flight < max_workers",
            "with all workers waiting, requests are sent as answers come, not as they are due",
            note="always: the corrected latency counts that wait",
            is_adjustable=False,
        ),
        Rule(
            RuleName.SKEW,
            "start_skew <= 500ms",
            "shards that start apart put less than the whole rate on the API at either end",
        ),
        Rule(
            RuleName.CLOCKS,
            "clock_spread <= start_skew",
            "by clocks that differ, shards that started apart seem to have started together",
            is_adjustable=False,
        ),
        Rule(
            RuleName.GAPS,
            "seq_gaps <= 0",
            "requests that were sent and of which no row is left are in no percentile",
        ),
        Rule(
            RuleName.TWICE,
            "duplicates <= 0",
            "requests that are there twice weigh twice in every percentile",
        ),
        Rule(
            RuleName.THROTTLING,
            "throttled_ratio <= 10%",
            "an attacker that waits for its CPU reads answers late, up to a tenth of a second each time",
            note="above 1%",
        ),
        Rule(
            RuleName.MEMORY,
            "oom_kills <= 0",
            "an attacker at its limit of memory is slow before it is killed, and loses what it holds",
        ),
        Rule(
            RuleName.ATTACKER_ERRORS,
            "attacker_errors <= 0%",
            "requests that fail for want of ports, descriptors or a proxy count as errors, but are not the API's",
        ),
        Rule(
            RuleName.DNS,
            "dns_errors <= 0%",
            "requests whose name could not be looked up count as errors, but the API was never asked",
        ),
        Rule(
            RuleName.API_PODS,
            "api_changes <= 0",
            "pods of the API that were moved, replaced or scaled by somebody else are another API than before",
            note="containers that crashed or were restarted: that is the API's own behaviour",
        ),
    )
}
"""Every rule with its threshold; nothing else decides whether a measurement can be trusted."""

LAG_NOTE_NS = 5_000_000
LAG_NOTE_SHARE = 0.1
THROTTLING_NOTE_RATIO = 0.01

_FIGURES: Mapping[str, tuple[str, Unit]] = {
    "oom_kills": ("oom_kills", Unit.COUNT),
    "attacker_errors": ("attacker_errors", Unit.SHARE),
    "dns_errors": ("dns_errors", Unit.SHARE),
    "api_changes": ("api_changes", Unit.COUNT),
    "clock_spread": ("clock_spread_ns", Unit.NS),
}
"""Figures that objectives do not know."""
_NAME = re.compile(r"^[^\s<>=]+")
_DIRECTIONS = {"<=": "<", "<": "<", ">=": ">", ">": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The bound of a rule in one run."""

    text: str
    default: str
    path: str
    bound: Bound
    is_changed: bool
    """Whether it is another than the rule's own, however that is written."""

    def holds(self, measured: float) -> bool:
        """Compare."""
        return self.bound.holds(measured)

    def worst(self, measured: Sequence[float]) -> float | None:
        """Give the one nearest to breaking it, or farthest beyond; None of nothing."""
        worst = max if _DIRECTIONS[self.bound.sign] == "<" else min
        return worst(measured, default=None)


Thresholds = Mapping[RuleName, Threshold]
"""Of every rule that compares a figure."""


def thresholds_of(changes: Sequence[str] = ()) -> Thresholds:
    """Give the thresholds of a run.

    Args:
        changes: those that are not to be the rule's own, such as `sent_ratio >= 95%`, each for all targets.

    Raises:
        ValueError: one is of no rule, or not of the kind that its rule has; a rule cannot be given twice.
    """
    adjustable = {name: rule.threshold for name, rule in RULES.items() if rule.is_adjustable}
    own = {name: _threshold(text, default=text) for name, text in adjustable.items()}
    rule_of = {threshold.path: name for name, threshold in own.items()}
    given: dict[RuleName, Threshold] = {}
    for text in changes:
        name, changed = _change(text, own, rule_of)
        if name in given:
            raise ValueError(f"{text!r}: {given[name].text!r} is of the same rule: leave one of the two out")
        given[name] = changed
    known = own | given
    # Clocks may differ by no more than shards may start apart: else that they did not says nothing.
    return known | {RuleName.CLOCKS: _of_clocks(known[RuleName.SKEW])}


def _of_clocks(skew: Threshold) -> Threshold:
    text, default = (_NAME.sub("clock_spread", bound) for bound in (skew.text, skew.default))
    return _threshold(text, default=default)


def _change(text: str, own: Thresholds, rule_of: Mapping[str, RuleName]) -> tuple[RuleName, Threshold]:
    try:
        objective = parse_objective(text, also=_FIGURES)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
    figures = ", ".join(threshold.text.split()[0] for threshold in own.values())
    if objective.target is not None:
        raise ValueError(f"{text!r}: a rule holds for all targets: leave out {objective.target + ':'!r}")
    if objective.path not in rule_of:
        raise ValueError(f"{text!r}: no rule compares that figure: those are {figures}")
    name = rule_of[objective.path]
    sign = own[name].bound.sign
    if len(objective.bounds) > 1 or _DIRECTIONS.get(objective.bounds[0].sign) != _DIRECTIONS[sign]:
        raise ValueError(f"{text!r}: write it as the rule is, with one {sign}: {own[name].text!r}")
    return name, _threshold(text, default=own[name].text)


def _threshold(text: str, *, default: str) -> Threshold:
    objective, own = parse_objective(text, also=_FIGURES), parse_objective(default, also=_FIGURES)
    return Threshold(
        text=objective.text,
        default=default,
        path=objective.path,
        bound=objective.bounds[0],
        is_changed=objective.bounds != own.bounds,
    )


def unit_of(threshold: str) -> Unit | None:
    """Tell what the figure of a threshold is counted in; None where no figure is compared."""
    name = _NAME.match(threshold)
    known = _FIGURES.get(name[0]) if name else None
    if known is not None:
        return known[1]
    try:
        return parse_objective(threshold).unit
    except ValueError:
        return None
