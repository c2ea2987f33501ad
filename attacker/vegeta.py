"""vegeta, the program: where it is, which it is, and how it is told what to send."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from attacker.exits import RunBrokenError
from attacker.plan import Shard
from attacker.sending import Sending

__all__ = ["attack_command", "attack_environment", "find_vegeta", "vegeta_version"]

_PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


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
        *_sending_options(shard.sending),
    )


def attack_environment(sending: Sending, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Take out of the environment what would send the load through a proxy, unless that is asked for."""
    kept = () if sending.proxies else _PROXY_VARIABLES
    return {name: value for name, value in environment.items() if name.lower() not in kept}


def _sending_options(sending: Sending) -> Iterator[str]:
    """Spell out vegeta's own defaults, too: the evidence is to tell them."""
    yield f"-workers={sending.workers}"
    if sending.max_workers is not None:
        yield f"-max-workers={sending.max_workers}"
    yield f"-connections={sending.connections}"
    yield f"-max-connections={sending.max_connections}"
    yield f"-keepalive={_flag(sending.keepalive)}"
    yield f"-http2={_flag(sending.http2)}"
    yield f"-h2c={_flag(sending.h2c)}"
    yield f"-redirects={sending.redirects}"
    yield f"-max-body={sending.max_body}"
    yield f"-dns-ttl={-1 if sending.dns_ttl is None else sending.dns_ttl}"
    yield f"-insecure={_flag(sending.insecure)}"
    if sending.root_certs:
        yield f"-root-certs={','.join(sending.root_certs)}"
    if sending.cert is not None:
        yield f"-cert={sending.cert}"
    if sending.key is not None:
        yield f"-key={sending.key}"


def _flag(is_on: bool) -> str:  # noqa: FBT001  (it is all that there is)
    return "true" if is_on else "false"
