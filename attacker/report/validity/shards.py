"""What was found of a planned shard, and what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attacker.evidence import Evidence
from attacker.plan import Shard

__all__ = ["ShardState", "doubts_on_evidence", "doubts_on_exit", "doubts_on_origins", "doubts_on_shard"]


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
    planned: Shard | None = None
    """What it was to send; None where that is not known."""


def doubts_on_shard(shard: ShardState) -> tuple[str, ...]:
    """Say what is wrong with one shard, a sentence each; nothing where it can be trusted."""
    return (*doubts_on_evidence(shard), *doubts_on_exit(shard))


def doubts_on_evidence(shard: ShardState) -> tuple[str, ...]:
    """Say what is wrong with what was found of a shard: it is missing, cut, or another one."""
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
        _doubt_on_plan(shard.planned, evidence) if shard.planned else None,
    )
    return tuple(doubt for doubt in doubts if doubt)


def doubts_on_exit(shard: ShardState) -> tuple[str, ...]:
    """Say how a shard's vegeta ended, where it did not end well."""
    evidence = shard.evidence
    if evidence is None or evidence.exit_code == 0:
        return ()
    if evidence.exit_code is None:
        return (f"shard {evidence.shard}: vegeta did not end by itself",)
    if evidence.exit_code < 0:
        kernel = ": most often it is the kernel that does so, for want of memory" if evidence.exit_code == -9 else ""
        return (f"shard {evidence.shard}: somebody ended vegeta with signal {-evidence.exit_code}{kernel}",)
    last = evidence.log.splitlines()[-1] if evidence.log else "it said nothing"
    return (f"shard {evidence.shard}: vegeta ended with exit code {evidence.exit_code}: {last}",)


def doubts_on_origins(shards: Sequence[ShardState]) -> tuple[tuple[str, str], ...]:
    """Find results that are there under two names; returns the second's name and the doubt on it."""
    first: dict[str, str] = {}
    doubts = []
    for shard in shards:
        if shard.evidence is None or not shard.evidence.records:
            continue
        known = first.setdefault(shard.evidence.results_sha256, shard.name)
        if known != shard.name:
            doubts.append((shard.name, f"shard {shard.name} is a duplicate: it holds the results of shard {known}"))
    return tuple(doubts)


def _doubt_on_plan(planned: Shard, evidence: Evidence) -> str | None:
    differences = [f"{what} {found} instead of {wanted}" for what, found, wanted in _compared(planned, evidence)]
    return f"shard {planned.name} is from another plan: {', '.join(differences)}" if differences else None


def _compared(planned: Shard, evidence: Evidence) -> Iterator[tuple[str, object, object]]:
    """Give what differs between a shard's plan and what was sent."""
    target = planned.target
    for what, found, wanted in (
        ("target", evidence.target, target.name),
        ("method", evidence.method, target.method),
        ("URL", evidence.url, target.url),
        ("rate", evidence.rate, str(planned.rate)),
        ("requests", evidence.requests, planned.requests),
        ("warm-up requests", evidence.warmup_requests, planned.warmup_requests),
        ("delay in ns", evidence.delay_ns, planned.delay_ns),
        ("max_workers", evidence.max_workers, planned.sending.max_workers),
    ):
        if found != wanted:
            yield what, found, wanted
