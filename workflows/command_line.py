"""The command `submit.py`: a load test from a file and options, run, followed and reported."""

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from attacker.command_line import exit_code_of, say
from attacker.exits import Exit, InvalidLoadTestError
from attacker.report.verdict import EXIT_OF
from workflows.loadtest_file import parse_loadtest, read_yaml
from workflows.options import given_fields, with_loadtest_options
from workflows.telling import telling

__all__ = ["main"]

_PROGRAM = "submit"

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code_of(app, arguments, program=_PROGRAM)


@app.command()
@with_loadtest_options
def submit(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE.yaml]", help="Load test; an option beats it.")] = None,
    *,
    local: Annotated[bool, typer.Option("--local", help="Run on this machine, without a cluster.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print report.json, and the progress as JSON lines on standard error.")
    ] = False,
    **options: object,
) -> None:
    """Run a load test and say PASS (exit code 0), FAIL (1) or INVALID (3).

    2 means wrong use or an invalid load test (nothing was started), 4 that the run itself broke, 130 interrupted.
    """
    loadtest = parse_loadtest(read_yaml(file) if file else {}, given_fields(options))
    if not local:
        raise InvalidLoadTestError("--local is missing: this version runs load tests on this machine only")
    from workflows.engines.local import run_locally  # noqa: PLC0415  (--help need not wait for it)

    stop = _stopped_by_signals()
    with telling(as_json=as_json) as tell:
        run = run_locally(loadtest, tell=tell, stop=stop)
    if as_json:
        say(run.report.model_dump_json(indent=2))
    else:
        from attacker.report.text import render_text  # noqa: PLC0415

        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        say(render_text(run.report, width=width, colour=terminal and "NO_COLOR" not in os.environ))
        say(f"Report: {run.place}/report.html")
    if run.trouble is not None:
        raise run.trouble
    raise typer.Exit(Exit.INTERRUPTED if stop.is_set() else EXIT_OF[run.report.verdict.result])


def _stopped_by_signals() -> threading.Event:
    """Give an event that SIGINT or SIGTERM sets, from now on; every wait of a run ends with it."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        # Not set here: the thread that is interrupted may hold the event's own lock.
        threading.Thread(target=stop.set).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop
