"""The fields of a load test that say how many attackers share a rate, and how people write them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from attacker.plan import AUTO, MOST_SHARDS
from attacker.rate import RateField
from workflows.form_text import none_if_empty

__all__ = ["ShardRate", "Shards"]


def _parse_shards(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    written = "" if isinstance(value, bool) else str(value).strip()
    if not re.fullmatch(r"-?\d+", written, re.ASCII):
        raise ValueError("give a whole number, or auto for as many as shard_rate makes it")
    return int(written)


def _in_range(shards: int | str) -> int | str:
    if isinstance(shards, int) and not 1 <= shards <= MOST_SHARDS:
        raise ValueError("give 1 or more" if shards < 1 else f"give {MOST_SHARDS} or less")
    return shards


Shards = Annotated[
    int | Literal["auto"],
    BeforeValidator(_parse_shards),
    AfterValidator(_in_range),
    Field(description="Attackers for each target, which share its rate; auto is as many as shard_rate makes it."),
]
ShardRate = Annotated[
    RateField | None,
    BeforeValidator(none_if_empty),
    Field(
        description="The most that one attacker carries, as 'python -m attacker calibrate' finds it; more than shards "
        "times that is refused. Without one, any rate is tried."
    ),
]
