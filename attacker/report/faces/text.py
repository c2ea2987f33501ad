"""The report as text, for a terminal or a pipe."""

from collections.abc import Iterator
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attacker.report.figures import Figures, LatencyFigures, Report, TargetFigures
from attacker.report.notation import (
    changed_rules,
    count,
    meaning,
    measured,
    notes,
    objectives,
    omissions,
    plain,
    printable,
    rate,
    share,
    span,
)

__all__ = ["render_target_text", "render_text"]

_STYLES = {"PASS": "bold green", "FAIL": "bold red", "INVALID": "bold yellow"}
_OUTCOMES = {True: Text("met", "green"), False: Text("MISSED", "bold red"), None: Text("NO DATA", "bold yellow")}
_MOST_ERRORS = 10
_UNBOUND = 1000


def render_text(report: Report, *, width: int | None, colour: bool) -> str:
    """Render figures, errors and objectives as tables, then the verdict and its reasons.

    Args:
        report: the report.
        width: the terminal's, in columns; None is as wide as the tables are.
        colour: with a terminal's colour codes.
    """
    written = StringIO()
    console = Console(
        file=written,
        width=width or _UNBOUND,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(_summary(report))
    for target, omission in omissions(report):
        console.print()
        console.print(_one_line(f"{target}: {omission}"))
    for table in (_errors(report), _objectives(report)):
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    console.print(Text.assemble((report.verdict.result.value, _STYLES[report.verdict.result]), "  ", meaning(report)))
    for line in _around_the_verdict(report):
        console.print(Padding(_one_line(line), (0, 0, 0, 2), expand=False))
    return "\n".join(line.rstrip() for line in written.getvalue().split("\n"))


def _around_the_verdict(report: Report) -> Iterator[str]:
    yield from report.verdict.reasons
    yield from (f"validity: {change}" for change in changed_rules(report))
    yield from (f"note: {note}" for note in notes(report))


def render_target_text(figures: TargetFigures) -> str:
    """Render one target's figures in the manner of `vegeta report`, but exact."""
    return "\n".join(line.rstrip() for line in _target_lines(figures)) + "\n"


def _summary(report: Report) -> Table:
    table = _table("target", "requests:", "rate:", "success:", "p50:", "p95:", "p99:", "p99.9:", "max:")
    for target in report.targets:
        table.add_row(_one_line(target.name), *_summary_cells(target))
    if len(report.targets) > 1:
        table.add_row("overall", *_summary_cells(report.overall), style="bold")
    return table


def _summary_cells(figures: Figures) -> tuple[str, ...]:
    latency = figures.corrected_latency_ns or figures.latency_ns
    spans = (latency.p50, latency.p95, latency.p99, latency.p99_9, latency.max) if latency else (None,) * 5
    return (
        count(figures.requests),
        rate(figures.rate_per_s),
        share(figures.success),
        *(span(ns) for ns in spans),
    )


def _errors(report: Report) -> Table:
    table = _table("errors:", "target", "class", "example")
    errors = [(target.name, error) for target in report.targets for error in target.errors]
    for target, error in sorted(errors, key=lambda pair: -pair[1].count)[:_MOST_ERRORS]:
        table.add_row(count(error.count), _one_line(target), error.class_, _one_line(error.example))
    if len(errors) > _MOST_ERRORS:
        table.add_row("…", "", "", f"and {len(errors) - _MOST_ERRORS} more kinds of error")
    return table


def _objectives(report: Report) -> Table:
    table = _table("target", "objective", "measured:", "outcome")
    for target, judged in objectives(report):
        table.add_row(_one_line(target), _one_line(judged.objective), measured(judged), _OUTCOMES[judged.met])
    return table


def _table(*names: str) -> Table:
    """Make a table without rules; a name that ends in a colon heads a column of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in names:
        is_number = name.endswith(":")
        table.add_column(
            name.removesuffix(":"), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    return table


def _target_lines(figures: TargetFigures) -> Iterator[str]:
    attack_ns, total_ns = _lengths_ns(figures)
    wait_ns = None if attack_ns is None or total_ns is None else total_ns - attack_ns
    requests, names = figures.requests, ", ".join(_latency_names())
    yield _line(
        "Requests", "total, rate, throughput", count(requests), rate(figures.rate_per_s), rate(figures.throughput_per_s)
    )
    yield _line("Duration", "total, attack, wait", span(total_ns), span(attack_ns), span(wait_ns))
    if figures.corrected_latency_ns is not None:
        yield _line("Corrected", names, *_spans(figures.corrected_latency_ns))
    yield _line("Latencies", names, *_spans(figures.latency_ns))
    for label, size_bytes in (("Bytes In", figures.bytes_in), ("Bytes Out", figures.bytes_out)):
        yield _line(
            label,
            "total, mean",
            count(size_bytes),
            plain(size_bytes / requests if requests and size_bytes is not None else None),
        )
    yield _line("Success", "ratio", share(figures.success))
    codes = "  ".join(f"{code}:{number}" for code, number in figures.status_codes.items())
    yield _line("Status Codes", "code:count", codes)
    if figures.omission:
        yield f"{'Omission':<13} {figures.omission}"
    yield "Error Set:"
    for error in figures.errors:
        yield f"{count(error.count):>9}  {error.class_:<11}  {_one_line(error.example)}"


def _line(label: str, names: str, *values: str) -> str:
    return f"{label:<13} {f'[{names}]':<47} {', '.join(values)}"


def _latency_names() -> tuple[str, ...]:
    return tuple((field.alias or name).removeprefix("p") for name, field in LatencyFigures.model_fields.items())


def _spans(latency: LatencyFigures | None) -> tuple[str, ...]:
    return tuple(span(ns) for ns in latency.model_dump().values()) if latency else (span(None),) * len(_latency_names())


def _lengths_ns(figures: Figures) -> tuple[int | None, int | None]:
    """Take back from the rates the time of the attack, and that until the last answer."""
    attack_ns = round((figures.requests - 1) * 1e9 / figures.rate_per_s) if figures.rate_per_s else None
    successes = round((figures.success or 0) * figures.requests)
    return attack_ns, round(successes * 1e9 / figures.throughput_per_s) if figures.throughput_per_s else None


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
