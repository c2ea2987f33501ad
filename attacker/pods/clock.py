"""This machine's clock against that of the storage server, which tells all attackers when it made a file of theirs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from attacker.bucket import Bucket
from attacker.evidence import Clock

__all__ = ["ClockedFiles", "compare"]

_ROUNDING_NS = 1_000_000
"""Google's server tells whole milliseconds, cut."""
_EPOCH = datetime.fromtimestamp(0, UTC)


def compare(*, before_ns: int, made_ns: int, after_ns: int) -> Clock:
    """Bound how far two clocks are apart by an answer that holds the other one's time.

    Args:
        before_ns: when the request was sent, by this clock, since 1970.
        made_ns: what the other clock said some time between the two, cut to whole milliseconds.
        after_ns: when the answer was there, by this clock.
    """
    least_ns, most_ns = made_ns - after_ns, made_ns + _ROUNDING_NS - before_ns
    return Clock(offset_ns=(least_ns + most_ns) // 2, uncertainty_ns=-(-(most_ns - least_ns) // 2))


@dataclass(slots=True)
class ClockedFiles:
    """A bucket's files, whose every write compares the clocks; the most certain comparison is kept."""

    bucket: Bucket
    now_ns: Callable[[], int]
    clock: Clock | None = field(default=None, init=False)
    """None as long as no answer held a time."""

    def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        before_ns = self.now_ns()
        made = self.bucket.write(path, data)
        after_ns = self.now_ns()
        if made is None:
            return
        found = compare(before_ns=before_ns, made_ns=_ns_since_1970(made), after_ns=after_ns)
        if self.clock is None or found.uncertainty_ns < self.clock.uncertainty_ns:
            self.clock = found

    def read(self, path: str) -> bytes | None:
        """Give a file's content, None where there is none."""
        return self.bucket.read(path)

    def names(self, prefix: str) -> tuple[str, ...]:
        """List files."""
        return self.bucket.names(prefix)

    def create(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there."""
        return self.bucket.create(path, data)

    def delete(self, path: str) -> None:
        """Remove a file."""
        self.bucket.delete(path)


def _ns_since_1970(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
