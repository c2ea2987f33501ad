"""All that a measurement can be judged by, beside its objectives."""

from dataclasses import dataclass

from attacker.api_pods import ApiPods
from attacker.report.figures import Figures
from attacker.report.validity.shards import ShardState

__all__ = ["Measurement", "TargetState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """A target's figures, and the shards that they are of."""

    name: str
    figures: Figures
    shards: tuple[ShardState, ...] = ()
    missed: bool = False
    """Whether it missed an objective by its answers alone, whatever waited before it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A run's."""

    targets: tuple[TargetState, ...]
    overall: Figures
    simultaneous: bool = True
    """Whether all targets were to start at one instant."""
    doubts: tuple[str, ...] = ()
    """What is known to be wrong with the run as a whole."""
    api: ApiPods | None = None
    """None where the API does not run in pods that were deployed for this run."""

    @property
    def shards(self) -> tuple[ShardState, ...]:
        """Of all targets."""
        return tuple(shard for target in self.targets for shard in target.shards)
