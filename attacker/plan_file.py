"""The plan as a file, `plan.json`: how the shards of a run learn what to send, with whom, and until when to wait."""

from dataclasses import dataclass
from itertools import groupby

from pydantic import TypeAdapter, ValidationError

from attacker.duration import Duration
from attacker.exits import RunBrokenError
from attacker.plan import Shard

__all__ = ["Plan", "parse_plan", "plan_path", "render_plan", "shards_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the attack pods of one run have in common."""

    run: str
    shards: tuple[Shard, ...]
    deadline_ns: int
    """Nobody waits for the first wave's shards longer than this, or for the gate, since 1970."""
    margin: Duration
    """From the decision that all are ready to the instant at which all start: as long as the slowest takes to hear."""
    sequential: bool = False
    """Target by target, instead of all at one instant."""
    gated: bool = False
    """The shards wait at the gate until the API is ready; it brings a deadline of its own."""

    @property
    def waves(self) -> tuple[tuple[Shard, ...], ...]:
        """The shards that start at one instant, wave by wave."""
        if not self.sequential:
            return (self.shards,)
        return tuple(tuple(wave) for _, wave in groupby(self.shards, key=lambda shard: shard.target.name))


_PLAN = TypeAdapter(Plan)


def plan_path(run: str) -> str:
    """Tell where a run's plan lies in the bucket. It may hold credentials: it is no part of the report."""
    return f"runs/{run}/plan.json"


def shards_path(run: str) -> str:
    """Tell where a run's shards lie in the bucket, each in a folder of its name."""
    return f"runs/{run}/shards"


def render_plan(plan: Plan) -> bytes:
    """Write a plan as JSON; every shard comes out of `parse_plan` as it went in."""
    return _PLAN.dump_json(plan, by_alias=True, exclude_unset=True, indent=2) + b"\n"


def parse_plan(data: bytes) -> Plan:
    """Read what `render_plan` wrote.

    Raises:
        RunBrokenError: it is something else; the text holds nothing of the plan, which may hold credentials.
    """
    try:
        return _PLAN.validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        what = f"{place} ({fault['type']})" if place else fault["type"]
        raise RunBrokenError(f"plan.json is no plan of this version: {what}: plan and attack with one image") from None
