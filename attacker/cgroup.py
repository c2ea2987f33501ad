"""CPU throttling of the attacker, as its cgroup counts it (v2 and v1)."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Throttling", "read_throttling"]


@dataclass(frozen=True, slots=True)
class Throttling:
    """Counters since the cgroup was made."""

    periods: int
    throttled: int

    def ratio_since(self, start: "Throttling") -> float | None:
        """Give the share of periods since `start` that were throttled; None where no quota was enforced."""
        periods = self.periods - start.periods
        return (self.throttled - start.throttled) / periods if periods else None


def read_throttling(
    cgroup: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> Throttling | None:
    """Read the counters of this process's cgroup; None where the kernel shows none."""
    try:
        memberships = [line.split(":", 2) for line in cgroup.read_text().splitlines()]
    except OSError:
        return None
    paths = [path for _, controllers, path in memberships if not controllers or "cpu" in controllers.split(",")]
    for path in paths:
        # In a container the path is often shown as the host sees it, while the mount begins at the container's own.
        for folder in (mount / path.lstrip("/"), mount / "cpu" / path.lstrip("/"), mount, mount / "cpu"):
            counters = _counters(folder / "cpu.stat")
            if "nr_periods" in counters:
                return Throttling(counters["nr_periods"], counters["nr_throttled"])
    return None


def _counters(file: Path) -> dict[str, int]:
    try:
        return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
    except (OSError, ValueError):
        return {}
