"""The report as Markdown, for a comment on a pull request."""

import re
from collections.abc import Iterator

from attacker.report.figures import Figures, Outcome, Report
from attacker.report.notation import (
    MISSING,
    changed_rules,
    checked,
    count,
    meaning,
    measured,
    objectives,
    omissions,
    printable,
    rate,
    share,
    span,
)

__all__ = ["render_markdown"]

_MARKUP = re.compile(r"([\\`*_\[\]{}<>&|~#!@])")
_MARKS = {"PASS": "✅", "FAIL": "❌", "INVALID": "⚠️"}
_OUTCOMES = {True: "✅ met", False: "❌ **missed**", None: "⚠️ no data"}
_RULE_OUTCOMES = {
    Outcome.OK: "✅ ok",
    Outcome.NOTE: "✅ ok, with a note",
    Outcome.UNKNOWN: f"{MISSING} not known",
    Outcome.INVALID: "⚠️ **invalid**",
}
_MOST_ERRORS = 10


def render_markdown(report: Report) -> str:
    """Render verdict, reasons, objectives, a summary and the most frequent errors, in GitHub's Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    result = report.verdict.result.value
    yield f"## {_MARKS[result]} {result}: load test {_plain(report.run.id)}"
    yield ""
    yield meaning(report)
    yield ""
    if reasons := (*report.verdict.reasons, *(f"Validity, {change}" for change in changed_rules(report))):
        yield from (f"- {_plain(reason)}" for reason in reasons)
        yield ""
    yield from _objectives(report)
    yield from _summary(report)
    yield from _errors(report)
    yield from _validity(report)


def _objectives(report: Report) -> Iterator[str]:
    if objectives(report):
        yield from _head("target", "objective", "measured:", "outcome")
        for target, judged in objectives(report):
            yield _row(_plain(target), _plain(judged.objective), measured(judged), _OUTCOMES[judged.met])
        yield ""


def _summary(report: Report) -> Iterator[str]:
    yield from _head("target", "requests:", "rate:", "success:", "p50:", "p95:", "p99:", "p99.9:", "max:", "lag p99:")
    for target in report.targets:
        yield _figures_row(_plain(target.name), target)
    if len(report.targets) > 1:
        yield _figures_row("overall", report.overall)
    yield ""
    for name, omission in omissions(report):
        yield _plain(f"{name}: {omission}")
        yield ""


def _figures_row(name: str, figures: Figures) -> str:
    latency = figures.corrected_latency_ns or figures.latency_ns
    lag = figures.attack.lag_ns
    spans = (latency.p50, latency.p95, latency.p99, latency.p99_9, latency.max) if latency else (None,) * 5
    return _row(
        name,
        count(figures.requests),
        rate(figures.rate_per_s),
        share(figures.success),
        *(span(ns) for ns in (*spans, lag.p99 if lag else None)),
    )


def _errors(report: Report) -> Iterator[str]:
    errors = [(target.name, error) for target in report.targets for error in target.errors]
    if errors:
        yield from _head("target", "error", "requests:", "example")
        for target, error in sorted(errors, key=lambda pair: -pair[1].count)[:_MOST_ERRORS]:
            yield _row(_plain(target), _plain(error.class_), count(error.count), _plain(error.example))
        if len(errors) > _MOST_ERRORS:
            yield ""
            yield f"… and {len(errors) - _MOST_ERRORS} more kinds of error."
        yield ""


def _validity(report: Report) -> Iterator[str]:
    """Give the table folded, for it is long, and seldom what a reader looks for."""
    if not report.validity:
        return
    ok = sum(rule.outcome is Outcome.OK for rule in report.validity)
    yield f"<details><summary>Validity of the measurement: {ok} of {len(report.validity)} rules ok</summary>"
    yield ""
    yield from _head("rule", "must hold", "measured:", "outcome", "")
    for rule in report.validity:
        told = "<br>".join(_plain(finding.text) for finding in rule.findings)
        threshold = f"{rule.threshold} (changed from {rule.default})" if rule.changed else rule.threshold
        yield _row(_plain(rule.rule), _plain(threshold), checked(rule), _RULE_OUTCOMES[rule.outcome], told)
    yield ""
    yield "</details>"
    yield ""


def _head(*names: str) -> Iterator[str]:
    """Give a table's first two lines; a name that ends in a colon heads a column of numbers."""
    yield _row(*(name.removesuffix(":") for name in names))
    yield _row(*("--:" if name.endswith(":") else ":--" for name in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Keep a text on one line and its characters from being read as markup."""
    return _MARKUP.sub(r"\\\1", printable(" ".join(text.split())))
