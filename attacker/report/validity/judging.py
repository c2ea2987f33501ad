"""Validity: can the measurement be trusted? Every rule of the table, held against the evidence."""

from collections.abc import Sequence

from attacker.report.figures import Checked, Finding, Outcome
from attacker.report.validity.checks import CHECKS
from attacker.report.validity.measurement import Measurement
from attacker.report.validity.rules import RULES, RuleName, Thresholds, thresholds_of

__all__ = ["check", "doubts_of"]

_WORST_FIRST = (Outcome.INVALID, Outcome.UNKNOWN, Outcome.NOTE)


def check(measurement: Measurement, thresholds: Thresholds | None = None) -> tuple[Checked, ...]:
    """Hold every rule against the evidence, in the order of the table.

    Args:
        measurement: the evidence.
        thresholds: of this run; the rules' own where they are left out.
    """
    known = thresholds_of() if thresholds is None else thresholds
    return tuple(_checked(name, measurement, known) for name in RULES)


def doubts_of(checked: Sequence[Checked]) -> tuple[str, ...]:
    """List why a measurement cannot be trusted, a sentence each; empty where it can."""
    return tuple(one.text for rule in checked for one in rule.findings if one.outcome is Outcome.INVALID)


def _checked(name: RuleName, measurement: Measurement, thresholds: Thresholds) -> Checked:
    told = CHECKS[name](measurement, thresholds)
    threshold, own = thresholds.get(name), RULES[name].threshold
    return Checked(
        rule=name,
        threshold=threshold.text if threshold else own,
        default=threshold.default if threshold else own,
        changed=threshold is not None and threshold.is_changed,
        measured=told.measured,
        outcome=_worst(told.findings),
        findings=told.findings,
    )


def _worst(findings: Sequence[Finding]) -> Outcome:
    found = {finding.outcome for finding in findings}
    return next((outcome for outcome in _WORST_FIRST if outcome in found), Outcome.OK)
