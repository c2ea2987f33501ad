"""An attack in a cgroup of its own, where CPU or memory are little: a process that moves there before it attacks.

`python -m tests.attacker.own_cgroup CONTROLLER LIMIT VEGETA FOLDER URL OPTIONS` leaves a shard's evidence in FOLDER.
LIMIT is a share of one CPU, or the bytes beside what the process itself has in use.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attacker.attack import Attacker, attack, record
from attacker.plan import Shard
from attacker.rate import Rate
from tests.attacker.building import a_shard, a_target

__all__ = ["attacked_in_own_cgroup", "shard_of", "why_there_is_no_cgroup"]

_MOUNT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


def why_there_is_no_cgroup(controller: str) -> str:
    """Say why this machine lets nobody limit a group of processes; empty where it does."""
    try:
        with _a_cgroup(controller) as folder:
            _limit(folder, controller, 1)
    except OSError as error:
        return f"this machine lets nobody limit {controller}: {error}"
    return ""


def attacked_in_own_cgroup(
    controller: str, limit: float, *, vegeta: Path, folder: Path, url: str, **changes: int
) -> None:
    """Run this program."""
    command = [sys.executable, "-m", __name__, controller, str(limit), str(vegeta), str(folder), url]
    root = Path(__file__).parents[2]
    subprocess.run([*command, json.dumps(changes)], cwd=root, capture_output=True, check=True, timeout=90)


def shard_of(url: str, *, requests: int = 200, per_s: int = 100) -> Shard:
    """Plan what such a process sends."""
    return a_shard(target=a_target(url=url), rate=Rate(per_s, 1_000_000_000), requests=requests)


@contextmanager
def _a_cgroup(controller: str) -> Iterator[Path]:
    """Make a group below this process's own: in version 1 each controller has a tree, in version 2 all have one."""
    memberships = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    of_version_1 = [path for _, names, path in memberships if controller in names.split(",")]
    of_version_2 = [path for _, names, path in memberships if not names]
    above = _MOUNT / controller / of_version_1[0][1:] if of_version_1 else _MOUNT / of_version_2[0][1:]
    folder = above / f"attacker-test-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        for process in (folder / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (above / "cgroup.procs").write_text(process)
        folder.rmdir()


def _limit(folder: Path, controller: str, limit: float) -> None:
    if controller == "cpu":
        quota_us = int(limit * _PERIOD_US)
        old = folder / "cpu.cfs_quota_us"
        old.write_text(str(quota_us)) if old.exists() else (folder / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
    else:
        old = folder / "memory.limit_in_bytes"
        (old if old.exists() else folder / "memory.max").write_text(str(int(limit)))


def _in_use() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _main(controller: str, limit: str, vegeta: str, folder: str, url: str, changes: str) -> None:
    attacker = Attacker(vegeta=Path(vegeta), vegeta_version="v0", cpus=1, run="the-run")
    with _a_cgroup(controller) as own:
        (own / "cgroup.procs").write_text(str(os.getpid()))
        _limit(own, controller, float(limit) + (_in_use() if controller == "memory" else 0))
        done = attack(
            attacker,
            shard_of(url, **json.loads(changes)),
            into=Path(folder),
            start_at_ns=time.time_ns(),
            stop=threading.Event(),
            grace_s=10,
        )
    record(attacker, done, Path(folder))


if __name__ == "__main__":
    _main(*sys.argv[1:])
