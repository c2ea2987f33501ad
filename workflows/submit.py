"""The command line: `python workflows/submit.py [FILE.yaml] [OPTIONS]`, from any directory."""

import os
import signal
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def _use_prepared_python() -> None:
    """Go on with the Python that scripts/setup prepared, and with the repository's packages."""
    prepared = _ROOT / ".venv"
    if Path(sys.prefix).resolve() != prepared.resolve() and (prepared / "bin" / "python").exists():
        python = str(prepared / "bin" / "python")
        os.execv(python, [python, __file__, *sys.argv[1:]])  # noqa: S606  (no shell)
    sys.path[0] = str(_ROOT)


def _leave_on_signals() -> None:
    """End at once on SIGINT and SIGTERM for as long as nothing is started: an import may swallow KeyboardInterrupt."""

    def leave(_number: int, _frame: object) -> None:
        os.write(2, b"submit: interrupted: nothing was started\n")
        os._exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


if __name__ == "__main__":
    _leave_on_signals()
    _use_prepared_python()
    try:
        from attacker.command_line import collect_seldom, leave

        collect_seldom()
        from workflows.command_line import main
    except ModuleNotFoundError as error:
        sys.stderr.write(f"submit: the Python package {error.name} is missing: run scripts/setup once\n")
        sys.exit(4)
    leave(main(sys.argv[1:]))
