"""One attack on a server that stands still for a second, as vegeta reports on it and as this project does."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = Path(sys.executable)
PROGRAMS = {"vegeta": str(PYTHON.parent / "vegeta"), "python": str(PYTHON)}
RATE_PER_S, DURATION_S, STALL_S = 500, 5, 1


def main() -> None:
    """Attack and report twice."""
    from tests.stalling import stalling_server  # noqa: PLC0415  (the path to it is set below)

    with tempfile.TemporaryDirectory() as folder:
        targets, results = Path(folder) / "targets", Path(folder) / "results.gob"
        with stalling_server(Path(folder), at=RATE_PER_S, stall_s=STALL_S) as server:
            targets.write_text(f"GET {server.url}\n")
            options = f"-rate={RATE_PER_S} -duration={DURATION_S}s -max-workers=10"
            run(f"vegeta attack {options} -targets={targets} -output={results}", folder)
        run(f"vegeta report {results}", folder)
        run(f"python -m attacker report {results} --rate {RATE_PER_S}", folder)
        true_ns = server.true_latency_ns(interval_ns=1_000_000_000 // RATE_PER_S, share=0.99)
        tell(f"\nBy the server's own log, 1 % of callers waited {true_ns / 1e6:.0f} ms or longer.")


def run(command: str, folder: str) -> None:
    """Show a command, without the folder of its files, and what it prints."""
    tell(f"$ {command.replace(f'{folder}/', '')}")
    program, *arguments = shlex.split(command)
    told = subprocess.run([PROGRAMS[program], *arguments], check=True, capture_output=True, text=True, timeout=60)
    tell(told.stdout.rstrip())


def tell(text: str) -> None:
    """Print what there is to print."""
    if text:
        print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    sys.path.insert(0, str(REPOSITORY))
    main()
