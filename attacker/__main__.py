"""`python -m attacker`: what runs in an attack pod, and exact reports on any results of vegeta."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from attacker.command_line import collect_seldom, exit_code_of, leave, say
from attacker.exits import Exit, InvalidLoadTestError
from attacker.rate import Rate, parse_rate

__all__ = ["main"]

_PROGRAM = "attacker"
_LAST_WORDS_S = 25.0
"""From SIGTERM to the end of an attack's process, at most: Kubernetes gives it 30 s."""
_READERS_LAST_WORDS_S = 10.0
"""The same of a reader, which has only that to say."""
_CREDENTIALS_S = 20.0

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)


class ReportType(StrEnum):
    """The faces of a report on results files."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code_of(app, arguments, program=_PROGRAM)


@app.callback()
def attacker() -> None:
    """Attack with vegeta, and report on what it measured."""


@app.command()
def attack(
    shard: Annotated[str, typer.Argument(metavar="SHARD", help="Its name in the run's plan.")],
    *,
    run: Annotated[str, typer.Option(metavar="RUN", envvar="LOADTEST_RUN", help="The run's id.")],
    results: Annotated[
        str,
        typer.Option(
            metavar="gs://BUCKET/PREFIX", envvar="LOADTEST_RESULTS", help="Where the run folders are, as runs/RUN."
        ),
    ],
    cpus: Annotated[
        float, typer.Option(metavar="N", envvar="ATTACKER_CPUS", min=0.01, help="The CPU limit of this attacker.")
    ],
) -> None:
    """Attack with one shard of a run's plan, when all its shards are ready, and upload what was measured.

    0 means attacked and uploaded, whatever the API answered; 75 too late, and 76 that others were, so nobody attacked;
    130 told to stop before the attack, 2 a certificate's file that cannot be used, 4 broken. SIGTERM stops the attack;
    what was measured is uploaded all the same.
    """
    from attacker.stopping import stopped_by_signals  # noqa: PLC0415

    stop = stopped_by_signals(end_within_s=_LAST_WORDS_S)
    from attacker.bucket import Bucket  # noqa: PLC0415
    from attacker.pods.attack_pod import attack_in_pod  # noqa: PLC0415  (--help need not wait for numpy and numba)

    bucket = Bucket.connect(*_place(results), patience_s=_CREDENTIALS_S)
    raise typer.Exit(attack_in_pod(shard, run, bucket, cpus=cpus, stop=stop))


@app.command()
def read(
    reader: Annotated[int, typer.Argument(metavar="READER", min=1, help="Which one of the run's readers this is.")],
    *,
    run: Annotated[str, typer.Option(metavar="RUN", envvar="LOADTEST_RUN", help="The run's id.")],
    results: Annotated[
        str,
        typer.Option(
            metavar="gs://BUCKET/PREFIX",
            envvar="LOADTEST_RESULTS",
            help="Where the run folders are, as runs/RUN; empty in a pod of Argo's, its own artifact repository.",
        ),
    ] = "",
) -> None:
    """Read a share of what was measured, and answer what the run's report asks about it, until that is made.

    0 means that it is made, or that there is none to make; 130 told to stop before, 4 broken.
    """
    from attacker.stopping import stopped_by_signals  # noqa: PLC0415

    stop = stopped_by_signals(end_within_s=_READERS_LAST_WORDS_S)
    from attacker.bucket import Bucket  # noqa: PLC0415
    from attacker.pods.reader_pod import read_in_pod  # noqa: PLC0415  (--help need not wait for numpy and numba)
    from attacker.repository import repository_of_this_pod  # noqa: PLC0415

    bucket = Bucket.connect(*_place(results or repository_of_this_pod() or ""), patience_s=_CREDENTIALS_S)
    raise typer.Exit(read_in_pod(reader, run, bucket, stop=stop))


@app.command()
def report(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...", help="Results that vegeta wrote, the shards of one target; - is standard input."
        ),
    ],
    *,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="What each file was attacked at, such as 60 or 1000/3s: adds lag and corrected latency.",
        ),
    ] = None,
    kind: Annotated[
        ReportType, typer.Option("--type", help="text, json (an element of report.json's targets) or html.")
    ] = (ReportType.TEXT),
) -> None:
    """Report exact statistics of results files: vegeta report, without its approximations.

    A file that is cut is reported as far as it goes, with a word on standard error and exit code 3.
    """
    from attacker.report.on_files import report_on_files  # noqa: PLC0415  (--help need not wait for numpy and numba)

    told = report_on_files(files, rate=_rate(rate), kind=kind)
    say(told.text)
    for doubt in told.doubts:
        say(f"{_PROGRAM}: {doubt}", to_stderr=True)
    raise typer.Exit(told.exit)


@app.command()
def calibrate(
    *,
    cpus: Annotated[
        float, typer.Option(metavar="N", envvar="ATTACKER_CPUS", min=0.01, help="The CPU limit of this attacker.")
    ] = 1,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A trivial server beside it (python -m attacker.trivial_server), such as one with a CPU of its own; "
            "without one, it is started here.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that was found as JSON.")] = False,
) -> None:
    """Find the highest rate at which this attacker's tails can be trusted, in less than a minute.

    Short attacks on a server that answers at once: what is late then is late by the attacker. 3 means that there is no
    such rate, 130 that it was stopped, 4 broken. The rate is what `shard_rate` of a load test is for.
    """
    from attacker.stopping import stopped_by_signals  # noqa: PLC0415

    stop = stopped_by_signals()
    from attacker.attack import Attacker  # noqa: PLC0415  (--help need not wait for numpy and numba)
    from attacker.calibration.calibrating import calibrated  # noqa: PLC0415
    from attacker.calibration.words import (  # noqa: PLC0415
        HEADING,
        render_calibration,
        render_calibration_json,
        render_step,
    )
    from attacker.vegeta import find_vegeta, vegeta_version  # noqa: PLC0415

    vegeta = find_vegeta()
    attacker = Attacker(vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=cpus, run="calibrate")
    if not as_json:
        say(HEADING)
    found = calibrated(
        attacker, server=server, stop=stop, tell=lambda step: None if as_json else say(render_step(step))
    )
    render = render_calibration_json if as_json else render_calibration
    say(render(found, cpus=cpus))
    raise typer.Exit(Exit.PASS if found.rate_per_s else Exit.INVALID)


def _place(results: str) -> tuple[str, str]:
    from attacker.bucket import parse_address  # noqa: PLC0415

    try:
        return parse_address(results)
    except ValueError as error:
        raise InvalidLoadTestError(f"--results is {results!r}: {error}") from error


def _rate(text: str | None) -> Rate | None:
    try:
        return None if text is None else parse_rate(text)
    except ValueError as error:
        raise InvalidLoadTestError(f"--rate is {text!r}: {error}") from error


if __name__ == "__main__":
    collect_seldom()
    leave(main(sys.argv[1:]))
