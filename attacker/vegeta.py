"""vegeta, the program: where it is, which it is, and how it is told what to send."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attacker.exits import RunBrokenError
from attacker.plan import Shard

__all__ = ["attack_command", "attack_environment", "find_vegeta", "vegeta_version"]

_PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_MAX_BODY_BYTES = -1  # any cap makes bytes_in the kept part only


def find_vegeta() -> Path:
    """Find vegeta beside this Python, else on the PATH.

    Raises:
        RunBrokenError: there is none.
    """
    beside = Path(sys.executable).parent / "vegeta"
    found = str(beside) if beside.is_file() else shutil.which("vegeta")
    if found is None:
        raise RunBrokenError(f"vegeta is not at {beside} and not on the PATH: run scripts/setup, which builds it")
    return Path(found)


def vegeta_version(vegeta: Path) -> str:
    """Ask vegeta for its version.

    Raises:
        RunBrokenError: it does not run or does not say.
    """
    try:
        told = subprocess.run([vegeta, "-version"], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RunBrokenError(f"{vegeta} does not run ({error}): run scripts/setup to build it anew") from error
    for line in told.splitlines():
        if line.startswith("Version:"):
            return line.removeprefix("Version:").strip()
    raise RunBrokenError(f"{vegeta} -version says {told!r}, which names no version: run scripts/setup to build it anew")


def attack_command(vegeta: Path, shard: Shard, *, targets: Path, output: Path, cpus: float) -> tuple[str, ...]:
    """Give the command line of a shard's attack; what the request holds is in the targets file, not in here.

    Args:
        vegeta: the program.
        shard: what to send.
        targets: vegeta's JSON targets.
        output: where the results go as they happen.
        cpus: the attacker's CPU limit; vegeta takes all of the machine's processors unless it is told.
    """
    return (
        str(vegeta),
        f"-cpus={max(1, math.ceil(cpus))}",
        "attack",
        f"-name={shard.name}",
        "-format=json",
        f"-targets={targets}",
        f"-output={output}",
        f"-rate={shard.rate}",
        f"-duration={shard.duration.ns}ns",
        f"-timeout={shard.timeout}",
        f"-max-body={_MAX_BODY_BYTES}",
        "-dns-ttl=5s",  # its default is for ever
    )


def attack_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Take out of the environment what would send the load through a proxy."""
    return {name: value for name, value in environment.items() if name.lower() not in _PROXY_VARIABLES}
