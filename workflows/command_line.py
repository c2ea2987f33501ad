"""The command `submit.py`: a load test from a file and options, run, followed and reported; and what belongs to it."""

import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attacker.command_line import exit_code_of, say
from attacker.exits import Exit, InvalidLoadTestError
from attacker.report.verdict import EXIT_OF
from attacker.stopping import stopped_by_signals
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest, read_yaml
from workflows.options import given_fields, with_loadtest_options
from workflows.telling import telling

if TYPE_CHECKING:
    from workflows.cluster_run import ClusterOptions

__all__ = ["main"]

_PROGRAM = "submit"
_SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=_SETTINGS)
commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=_SETTINGS)

Namespace = Annotated[str, typer.Option(metavar="NAME", help="Namespace of the runs.", envvar="LOADTEST_NAMESPACE")]
Context = Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig; else its current one.")]
LoadTestFile = Annotated[
    Path | None, typer.Argument(metavar="[FILE.yaml]", help="Load test; an option beats it.", show_default=False)
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, as 'submit.py list' shows it.")]


Registry = Annotated[
    str | None,
    typer.Option(
        metavar="PREFIX",
        envvar="LOADTEST_REGISTRY",
        help="Where images are built to that are not named; else the cluster's ConfigMap loadtest-build says.",
    ),
]
BuildArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--build-arg", metavar="NAME=VALUE", help="For the Dockerfiles, where there is no way to the internet."
    ),
]


class OnInterrupt(StrEnum):
    """What the first Ctrl-C does to a run on a cluster."""

    STOP = "stop"
    DETACH = "detach"


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    names = typer.main.get_group(commands).commands
    chosen = commands if arguments and arguments[0] in names else app
    return exit_code_of(chosen, arguments, program=_PROGRAM)


@app.command()
@with_loadtest_options
def submit(  # noqa: PLR0913  (an argument is an option)
    file: LoadTestFile = None,
    *,
    local: Annotated[bool, typer.Option("--local", help="Run on this machine, without a cluster.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print report.json, and the progress as JSON lines on standard error.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the run to its end, or only submit it.")
    ] = True,
    namespace: Namespace = "loadtest",
    context: Context = None,
    on_interrupt: Annotated[
        OnInterrupt, typer.Option(help="What Ctrl-C does: stop the run and wait for its report, or only stop watching.")
    ] = OnInterrupt.STOP,
    registry: Registry = None,
    build_arg: BuildArgs = None,
    **options: object,
) -> None:
    """Run a load test and say PASS (exit code 0), FAIL (1) or INVALID (3).

    2 means wrong use or an invalid load test (nothing was started), 4 that the run itself broke, 130 interrupted.

    Further commands: render, schedule, list, stop RUN, report RUN; each has --help.
    """
    given = _given(file, options)
    if local:
        _run_locally(parse_loadtest(given), as_json=as_json, namespace=namespace, context=context)
    from workflows.cluster_run import Attendance, run_on_cluster  # noqa: PLC0415  (--help need not wait for it)

    cluster = _cluster(namespace, context, registry=registry, build_args=build_arg)
    attendance = Attendance(wait=wait, detach=on_interrupt is OnInterrupt.DETACH, as_json=as_json)
    raise typer.Exit(run_on_cluster(given, cluster, attendance))


def _run_locally(loadtest: LoadTest, *, as_json: bool, namespace: str, context: str | None) -> None:
    from workflows.engines.local import run_locally  # noqa: PLC0415  (--help need not wait for it)

    stop = stopped_by_signals()
    if loadtest.api_url is not None and loadtest.api_url.startswith("service/"):
        from workflows.steps.address import with_external_url  # noqa: PLC0415

        loadtest = with_external_url(loadtest, namespace=namespace, context=context, stop=stop)
    with telling(as_json=as_json) as tell:
        run = run_locally(loadtest, tell=tell, stop=stop)
    if as_json:
        say(run.report.model_dump_json(indent=2))
    else:
        from attacker.report.faces.text import render_text  # noqa: PLC0415

        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        say(render_text(run.report, width=width, colour=terminal and "NO_COLOR" not in os.environ))
        say(f"Report: {run.place}/report.html")
    if run.trouble is not None:
        raise run.trouble
    raise typer.Exit(Exit.INTERRUPTED if stop.is_set() else EXIT_OF[run.report.verdict.result])


def _cluster(
    namespace: str, context: str | None, *, registry: str | None = None, build_args: list[str] | None = None
) -> "ClusterOptions":
    from workflows.cluster_run import ClusterOptions  # noqa: PLC0415

    for text in build_args or ():
        if "=" not in text:
            raise InvalidLoadTestError(f"--build-arg is {text!r}: write NAME=VALUE")
    return ClusterOptions(
        namespace=namespace,
        context=context,
        registry=registry,
        build_args=dict(text.split("=", 1) for text in build_args or ()),
    )


def _given(file: Path | None, options: dict[str, object]) -> dict[str, object]:
    """Put together what a file and options say; nothing of it is looked at yet."""
    return {**(read_yaml(file) if file else {}), **given_fields(options)}


@commands.command()
@with_loadtest_options
def render(file: LoadTestFile = None, *, namespace: Namespace = "loadtest", **options: object) -> None:
    """Print the WorkflowTemplate whose defaults are this load test's values, for GitOps or kubectl apply -f -.

    Where targets are given, the ConfigMap that the template takes them from follows.
    """
    from workflows.render import render_yaml, targets_manifest, template_manifest  # noqa: PLC0415

    given = _given(file, options)
    loadtest = parse_loadtest(given)
    made = [template_manifest(loadtest, namespace=namespace)]
    if "targets" in given:
        made.append(targets_manifest(loadtest, namespace=namespace))
    say(render_yaml(*made).rstrip())


@commands.command()
@with_loadtest_options
def schedule(  # noqa: PLR0913  (an argument is an option)
    file: LoadTestFile = None,
    *,
    cron: Annotated[str, typer.Option(metavar="'M H D M W'", help="When, as in a crontab.")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Whose clock, such as Europe/Berlin.")] = "Etc/UTC",
    namespace: Namespace = "loadtest",
    context: Context = None,
    registry: Registry = None,
    build_arg: BuildArgs = None,
    **options: object,
) -> None:
    """Have the template run by cron, with the fields that are given here."""
    from workflows.cluster_run import Schedule, schedule_on_cluster  # noqa: PLC0415

    when = Schedule(cron=cron, timezone=timezone)
    cluster = _cluster(namespace, context, registry=registry, build_args=build_arg)
    say(schedule_on_cluster(_given(file, options), when, cluster))


@commands.command(name="list")
def list_(*, namespace: Namespace = "loadtest", context: Context = None) -> None:
    """List the runs that the cluster still knows, the newest first."""
    from workflows.cluster_run import runs_in_words  # noqa: PLC0415

    say(runs_in_words(_cluster(namespace, context)))


@commands.command()
def stop(run: Run, *, namespace: Namespace = "loadtest", context: Context = None) -> None:
    """Stop a run: what it measured is reported, the API is torn down."""
    from workflows.cluster_run import stop_on_cluster  # noqa: PLC0415

    say(stop_on_cluster(run, _cluster(namespace, context)))


@commands.command()
def report(
    run: Run,
    *,
    results: Annotated[
        str | None,
        typer.Option(
            metavar="gs://BUCKET/PREFIX",
            envvar="LOADTEST_RESULTS",
            help="Where its results are; else the cluster is asked, for as long as it knows the run.",
        ),
    ] = None,
    into: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Fetch the run's folder there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json.")] = False,
    namespace: Namespace = "loadtest",
    context: Context = None,
) -> None:
    """Show a finished run's report; its exit code is the verdict's."""
    from workflows.cluster_run import report_of_run  # noqa: PLC0415

    cluster = _cluster(namespace, context)
    raise typer.Exit(report_of_run(run, cluster, results=results, into=into, as_json=as_json))
