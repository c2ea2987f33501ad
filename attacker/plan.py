"""Planning: which vegeta process sends what, how fast, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from attacker.duration import Duration
from attacker.exits import InvalidLoadTestError
from attacker.rate import Rate
from attacker.sending import USUAL, Sending
from attacker.targets import Target

__all__ = ["AUTO", "MOST_SHARDS", "Load", "Shard", "plan"]

AUTO: Literal["auto"] = "auto"
"""As many shards as the rate takes."""
MOST_SHARDS = 1000
"""For each target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How hard each target is attacked."""

    rate: Rate
    """The rate of one target, all of its shards together."""
    warmup: Duration
    """Sent first and left out of every figure."""
    duration: Duration
    """What is measured, after the warm-up."""
    shards: int | Literal["auto"]
    """For each target."""
    timeout: Duration
    """Longest wait for one answer."""
    shard_rate: Rate | None = None
    """The most that one shard carries, as `attacker calibrate` finds it; None where nobody knows."""
    sending: Sending = USUAL

    @property
    def shard_count(self) -> int:
        """How many shards each target has.

        Raises:
            InvalidLoadTestError: they do not carry the rate, or nobody knows how many would.
        """
        if self.shard_rate is None:
            if self.shards == AUTO:
                raise InvalidLoadTestError(
                    "shards is auto, but shard_rate is not given: give the rate that one attacker carries, "
                    "which 'python -m attacker calibrate' finds, or a number of shards"
                )
            return self.shards
        needed = self.rate.over(self.shard_rate)
        told = f"rate is {self.rate}: that takes {needed} shards of {self.shard_rate} (shard_rate)"
        if needed > MOST_SHARDS:
            raise InvalidLoadTestError(
                f"{told}, and {MOST_SHARDS} are the most: give a lower rate, or attackers that carry more"
            )
        if self.shards == AUTO:
            return needed
        if needed > self.shards:
            raise InvalidLoadTestError(f"{told}, and shards is {self.shards}: give shards {needed}, or auto")
        return self.shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One vegeta process: one target, a share of its rate."""

    name: str
    target: Target
    """With its whole URL."""
    rate: Rate
    """This shard's own rate."""
    warmup_requests: int
    """The first of its requests; in no figure."""
    requests: int
    """What it is to send after them."""
    delay_ns: int
    """Its start after the common instant, so that the shards of a target take turns instead of sending in bursts."""
    timeout: Duration
    sending: Sending = USUAL

    @property
    def duration(self) -> Duration:
        """What to tell vegeta so that it sends exactly the planned requests.

        vegeta sends hit k at (k + 1) intervals, later at times but never earlier, and stops before the first hit at
        which the duration has passed. A nanosecond less than the last hit's due time never sends one more, and one less
        only where vegeta wakes an interval late before it. The interval is rounded down to whole nanoseconds.
        """
        hits = self.warmup_requests + self.requests
        return Duration(max(1, hits * self.rate.interval_ns - 1))  # 0 is for ever


def plan(targets: Sequence[Target], load: Load, *, base_url: str) -> tuple[Shard, ...]:
    """Share every target's requests out over its shards.

    Returns:
        One shard a process; the requests of a target's shards add up to rate times duration, cut to whole ones.

    Raises:
        InvalidLoadTestError: a shard would have nothing to send, or more than it carries.
    """
    shards = load.shard_count
    measured, warmup = load.rate.requests_in(load.duration), load.rate.requests_in(load.warmup)
    if measured < shards:
        raise InvalidLoadTestError(
            f"duration is {load.duration}: at {load.rate} that is {measured} requests for {shards} "
            f"shard{'s' if shards > 1 else ''}; give a longer duration, a higher rate or fewer shards"
        )
    return tuple(
        Shard(
            name=target.name if shards == 1 else f"{target.name}-{index}",
            target=target.at(base_url),
            rate=load.rate.shared_by(shards),
            warmup_requests=_share(warmup, shards, index),
            requests=_share(measured, shards, index),
            delay_ns=index * load.rate.interval_ns,
            timeout=load.timeout,
            sending=load.sending,
        )
        for target in targets
        for index in range(shards)
    )


def _share(total: int, shards: int, index: int) -> int:
    return total // shards + (index < total % shards)
