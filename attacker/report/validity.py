"""Validity: can the measurement be trusted? Decided from evidence; no data is never good news."""

from collections.abc import Sequence
from dataclasses import dataclass

from attacker.evidence import Evidence
from attacker.report.figures import Figures

__all__ = ["LEAST_SENT_RATIO", "ShardState", "doubts_on_shard", "doubts_on_target"]

LEAST_SENT_RATIO = 0.99
"""A run in which less was sent did not put the load on the API that it was to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardState:
    """A planned shard, and what was found of it."""

    name: str
    run: str
    """The run that it was planned for."""
    evidence: Evidence | None
    """None where it is missing."""
    trouble: str | None = None
    """Why its results cannot be used, where they cannot."""


def doubts_on_shard(shard: ShardState) -> tuple[str, ...]:
    """Say what is wrong with one shard's evidence, a sentence each; nothing where it can be trusted."""
    evidence = shard.evidence
    if evidence is None:
        return (f"shard {shard.name} is missing: {shard.trouble or 'it left no evidence'}",)
    doubts = (
        shard.trouble and f"shard {shard.name} cannot be used: {shard.trouble}",
        evidence.damage and f"shard {shard.name} cannot be used: {evidence.damage}",
        evidence.trailing_bytes
        and f"shard {shard.name} is cut short: its last record breaks off after {evidence.trailing_bytes} bytes",
        (evidence.run, evidence.shard) != (shard.run, shard.name)
        and f"shard {shard.name} is a duplicate or a stranger: its evidence is of {evidence.shard} in {evidence.run}",
        _doubt_on_exit(evidence),
    )
    return tuple(doubt for doubt in doubts if doubt)


def doubts_on_target(name: str, figures: Figures) -> tuple[str, ...]:
    """Say what is wrong with the rows of one target, a sentence each."""
    attack = figures.attack
    doubts = (
        (attack.sent_ratio is None or attack.sent_ratio < LEAST_SENT_RATIO)
        and f"{name}: {attack.sent:,} of {figures.expected or 0:,} requests were sent "
        f"({_percent(attack.sent_ratio or 0)}), fewer than {LEAST_SENT_RATIO:.0%}: "
        "the attacker could not keep up or was stopped",
        attack.duplicates and f"{name}: {attack.duplicates:,} requests are in the results twice",
    )
    return tuple(doubt for doubt in doubts if doubt)


def doubts_on_origins(shards: Sequence[ShardState]) -> tuple[str, ...]:
    """Find results that are there under two names."""
    first: dict[str, str] = {}
    doubts = []
    for shard in shards:
        if shard.evidence is None or not shard.evidence.records:
            continue
        known = first.setdefault(shard.evidence.results_sha256, shard.name)
        if known != shard.name:
            doubts.append(f"shard {shard.name} is a duplicate: it holds the results of shard {known}")
    return tuple(doubts)


def _doubt_on_exit(evidence: Evidence) -> str | None:
    if evidence.exit_code == 0:
        return None
    if evidence.exit_code is None:
        return f"shard {evidence.shard}: vegeta did not end by itself"
    last = evidence.log.splitlines()[-1] if evidence.log else "it said nothing"
    return f"shard {evidence.shard}: vegeta ended with exit code {evidence.exit_code}: {last}"


def _percent(share: float) -> str:
    """Cut, not round: 98.99 % must not read as the 99 % that it misses."""
    return f"{int(share * 1000) / 10:.1f} %"
