"""How many readers a run's report takes: each reads its share within the time and the disk of a step's pod."""

from collections.abc import Sequence

from attacker.exits import InvalidLoadTestError
from attacker.plan import Shard
from workflows.loadtest import MOST_READERS, LoadTest

__all__ = ["A_READERS_REQUESTS", "check_readers"]

A_READERS_REQUESTS = 250_000_000
"""docs/scale.md: two or three minutes on two cores, 2.4 GB of disk; a step has 20 minutes, and a node some GB."""


def check_readers(loadtest: LoadTest, shards: Sequence[Shard]) -> None:
    """Refuse a run whose report its readers could not make.

    Raises:
        InvalidLoadTestError: with the number of readers that is enough.
    """
    requests = sum(shard.warmup_requests + shard.requests for shard in shards)
    needed = -(-requests // A_READERS_REQUESTS)
    if needed <= loadtest.readers:
        return
    told = f"readers is {loadtest.readers}: each reads {A_READERS_REQUESTS:,} requests, and these are {requests:,}"
    if needed > MOST_READERS:
        raise InvalidLoadTestError(f"{told}; {MOST_READERS} readers are the most: send fewer")
    raise InvalidLoadTestError(f"{told}: give readers {needed}")
