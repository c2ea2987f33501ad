"""Step plan: which shards attack what."""

from attacker import plan as planning
from attacker.plan import Shard
from workflows.loadtest import LoadTest

__all__ = ["plan"]


def plan(loadtest: LoadTest, *, base_url: str) -> tuple[Shard, ...]:
    """Share the load test's targets out over shards. Raises InvalidLoadTestError where a shard has nothing to send."""
    return planning.plan(loadtest.targets, loadtest.load, base_url=base_url)
