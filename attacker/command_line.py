"""What the project's command lines share: printing into pipes that may be closed, and exit codes for every way out."""

import gc
import os
import sys
from pathlib import Path
from typing import NoReturn, TextIO

import typer
from typer.exceptions import TyperException

from attacker.exits import Exit, LoadTestError

__all__ = ["collect_seldom", "exit_code_of", "leave", "say"]

_SELDOM = 100_000


def say(text: str, *, to_stderr: bool = False) -> None:
    """Print; where nobody reads any more, go on in silence."""
    stream = sys.stderr if to_stderr else sys.stdout
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        _silence(stream)


def exit_code_of(app: typer.Typer, arguments: list[str], *, program: str) -> int:
    """Run a command line and give its exit code: 1 means FAIL and nothing else, so accidents are 4.

    typer and Python end in 1 themselves: on an abort, a closed pipe and a crash.
    """
    try:
        code = typer.main.get_command(app)(arguments, prog_name=program, standalone_mode=False)
        return code if isinstance(code, int) else Exit.PASS
    except TyperException as error:
        say(f"{program}: {error.format_message()} See {program} --help.", to_stderr=True)
        return Exit.USAGE
    except LoadTestError as error:
        say("\n".join(f"{program}: {line}" for line in str(error).splitlines()), to_stderr=True)
        return error.exit
    except (KeyboardInterrupt, typer.Abort):
        say(f"{program}: interrupted", to_stderr=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence(sys.stdout)
        return Exit.BROKEN
    except Exception as error:  # noqa: BLE001  (exit 1 means FAIL and nothing else)
        say(f"{program}: this is a defect of the program: {_described(error)}", to_stderr=True)
        return Exit.BROKEN


def collect_seldom() -> None:
    """Look for garbage seldom: else Python looks all through what a process imports, again and again."""
    gc.set_threshold(_SELDOM)


def leave(code: int) -> NoReturn:
    """End the process. Python would first look for garbage in all that it imported: in a small pod, for a second."""
    gc.freeze()
    sys.exit(code)


def _described(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"


def _silence(stream: TextIO) -> None:
    """Send what is still in the stream's buffer nowhere, or Python would fail on it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
