"""What the attacker's cgroup counts (v2 and v1): CPU throttling, and processes killed for want of memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Throttling", "read_oom_kills", "read_throttling"]

_MEMBERSHIP = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Throttling:
    """Counters since the cgroup was made."""

    periods: int
    throttled: int

    def ratio_since(self, start: "Throttling") -> float | None:
        """Give the share of periods since `start` that were throttled; None where no quota was enforced."""
        periods = self.periods - start.periods
        return (self.throttled - start.throttled) / periods if periods else None


def read_throttling(cgroup: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> Throttling | None:
    """Read the counters of this process's cgroup; None where the kernel shows none."""
    for folder in _folders("cpu", cgroup, mount):
        counters = _counters(folder / "cpu.stat")
        if "nr_periods" in counters:
            return Throttling(counters["nr_periods"], counters["nr_throttled"])
    return None


def read_oom_kills(cgroup: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """Read how many processes of this process's cgroup were killed for want of memory; None where nothing tells."""
    for folder in _folders("memory", cgroup, mount):
        for file in ("memory.events", "memory.oom_control"):
            counters = _counters(folder / file)
            if "oom_kill" in counters:
                return counters["oom_kill"]
    return None


def _folders(controller: str, cgroup: Path, mount: Path) -> Iterator[Path]:
    """List where a controller's files of this process's cgroup may lie, the most likely first."""
    try:
        memberships = [line.split(":", 2) for line in cgroup.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in memberships:
        if not controllers or controller in controllers.split(","):
            own = path.lstrip("/")
            # In a container the path is often shown as the host sees it, while the mount begins at the container's own.
            yield from (mount / own, mount / controller / own, mount, mount / controller)


def _counters(file: Path) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
    except (OSError, ValueError):
        return {}
