"""A report on results files that vegeta wrote, whoever ran it."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from attacker.exits import Exit, InvalidLoadTestError
from attacker.measuring.measure import measure
from attacker.measuring.measured import Measured
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.rate import Rate
from attacker.report.figures import TargetFigures
from attacker.report.omission import why_they_differ
from attacker.report.statistics import figures_of
from attacker.results.spool import SpooledGob

__all__ = ["FilesReport", "report_on_files"]


@dataclass(frozen=True, slots=True)
class FilesReport:
    """The report, and what is wrong with what it is on."""

    text: str
    doubts: tuple[str, ...]

    @property
    def exit(self) -> Exit:
        """INVALID where the figures do not tell all that vegeta measured."""
        return Exit.INVALID if self.doubts else Exit.PASS


def report_on_files(names: Sequence[str], *, rate: Rate | None, kind: str) -> FilesReport:
    """Read shards of one target and report on them together.

    Args:
        names: files; `-` is standard input.
        rate: each file's own; without it there is no lag and no corrected latency.
        kind: text, json or html.

    Raises:
        InvalidLoadTestError: a file does not exist or cannot be opened.
        RunBrokenError: one is empty, damaged, or not vegeta's.
    """
    interval_ns = rate.interval_ns if rate else None
    with ExitStack() as stack:
        files = [stack.enter_context(SpooledGob(partial(_opened, name), name=_called(name))) for name in names]
        sample = Sample(shards=tuple(MeasuredShard(rows=file, interval_ns=interval_ns) for file in files))
        [measured], _ = measure([sample], Here([sample]))
        measured = measured.of_all()
    figures = _figures(measured, _title(names))
    return FilesReport(_rendered(figures, measured, kind), _doubts(names, files, figures))


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    try:
        return Path(name).open("rb", buffering=0)
    except OSError as error:
        raise InvalidLoadTestError(f"{name}: {error.strerror}: give a results file that vegeta wrote") from error


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _title(names: Sequence[str]) -> str:
    return ", ".join(_called(name) if name == "-" else Path(name).name for name in names)


def _figures(measured: Measured, title: str) -> TargetFigures:
    figures = figures_of(measured, expected=None)
    known = {name: getattr(figures, name) for name in type(figures).model_fields}
    return TargetFigures(name=title, omission=why_they_differ(figures, max_workers=None), **known)


def _rendered(figures: TargetFigures, measured: Measured, kind: str) -> str:
    if kind == "json":
        return figures.model_dump_json(indent=2)
    if kind == "html":
        from attacker.report.faces.html import render_target_html  # noqa: PLC0415  (the plots take a second to load)
        from attacker.report.faces.plots import plots_of  # noqa: PLC0415

        return render_target_html(figures, plots_of(measured, name=figures.name))
    from attacker.report.faces.text import render_target_text  # noqa: PLC0415

    return render_target_text(figures)


def _doubts(names: Sequence[str], files: Sequence[SpooledGob], figures: TargetFigures) -> tuple[str, ...]:
    cut = [
        f"{name}: the last record is cut off after {file.trailing_bytes} bytes: at least one request is missing"
        for name, file in zip(names, files, strict=True)
        if file.trailing_bytes
    ]
    twice = figures.attack.duplicates
    return (*cut, *([f"{twice:,} requests are in the files twice: give each file once"] if twice else []))
