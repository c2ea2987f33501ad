"""Clocks of attackers: how far they are apart, as far as it can be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from attacker.evidence import Evidence

__all__ = ["Spread", "spread_of"]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the clocks of several attackers are apart."""

    least_ns: int
    """They are no closer than this: the offsets differ by so much beyond their uncertainty."""
    most_ns: int | None
    """They are no farther apart than this; None where a clock was not compared."""
    pair: tuple[str, str] | None = None
    """The nodes of those that are farthest apart."""


def spread_of(evidence: Sequence[Evidence]) -> Spread:
    """Compare clocks, each by its offset from the storage server's; shards on one node share a clock."""
    by_node: dict[str, list[Evidence]] = {}
    for one in evidence:
        by_node.setdefault(one.node, []).append(one)
    known = {node: interval for node, shards in by_node.items() if (interval := _interval_ns(shards)) is not None}
    least_ns, most_ns, pair = 0, 0, None
    for (node, (low, high)), (other, (other_low, other_high)) in combinations(known.items(), 2):
        apart_ns = max(low - other_high, other_low - high, 0)
        if apart_ns > least_ns:
            least_ns, pair = apart_ns, (node, other)
        most_ns = max(most_ns, high - other_low, other_high - low)
    is_all_known = len(by_node) == 1 or len(known) == len(by_node)
    return Spread(least_ns, most_ns if is_all_known else None, pair)


def _interval_ns(shards: Sequence[Evidence]) -> tuple[int, int] | None:
    """Bound one node's offset by the shard there that knows it best."""
    known = [shard.clock for shard in shards if shard.clock is not None]
    if not known:
        return None
    best = min(known, key=lambda clock: clock.uncertainty_ns)
    return best.offset_ns - best.uncertainty_ns, best.offset_ns + best.uncertainty_ns
