"""The limit of workers, which is the user's choice: what it explains, and what comes of it."""

from collections.abc import Sequence

from attacker.duration import in_words
from attacker.report.figures import Figures
from attacker.report.objectives import Objective, judge
from attacker.report.validity.measurement import TargetState
from attacker.report.validity.rules import Threshold
from attacker.report.validity.shards import ShardState

__all__ = ["consequence_of_limit", "explains_lag", "is_missed_at_any_load"]

_BUSY_RATIO = 0.9
"""A vegeta that used so much of its CPU was not waiting for answers."""
_OF_ANSWERS = ("latency_ns", "corrected_latency_ns", "success", "errors", "status_codes")


def explains_lag(target: TargetState, threshold: Threshold) -> bool:
    """Tell whether requests were late, or not sent, because all workers waited for answers: that is the API's slowness.

    Of several shards, it is to explain each that was late by this threshold. A vegeta that was told to stop, or that
    had no CPU left, has another reason.
    """
    present = [shard for shard in target.shards if shard.evidence]
    late = [shard for shard in present if _is_late(shard, threshold)]
    return bool(present) and all(_waited_for_answers(shard) for shard in late or present)


def is_missed_at_any_load(objectives: Sequence[Objective], name: str, figures: Figures) -> bool:
    """Tell whether an objective was missed by the answers themselves, and not by what waited for a worker before them.

    Where workers hold back most of the load, corrected latency grows with the backlog, however quick each answer is.
    """
    of_answers = [one for one in objectives if one.path.startswith(_OF_ANSWERS)]
    as_sent = figures.model_copy(update={"corrected_latency_ns": figures.latency_ns})
    return any(judged.met is False for judged in judge(of_answers, name, as_sent))


def consequence_of_limit(target: TargetState) -> str | None:
    """Say in a sentence that all workers of a target were busy at once; None where they never were."""
    limits = [shard.evidence.max_workers or 0 for shard in target.shards if shard.evidence and _was_at_limit(shard)]
    if not limits:
        return None
    busy = "its only worker was" if sum(limits) == 1 else f"all {sum(limits):,} workers were"
    lag = target.figures.attack.lag_ns
    late = f", up to {in_words(lag.max)}" if lag else ""
    return (
        f"{target.name}: {busy} busy at once (max_workers): what was due then had to wait{late}, "
        "which the corrected latency counts"
    )


def _is_late(shard: ShardState, threshold: Threshold) -> bool:
    lag = shard.evidence.lag_ns if shard.evidence else None
    return lag is not None and not threshold.holds(lag.p99)


def _was_at_limit(shard: ShardState) -> bool:
    evidence = shard.evidence
    return evidence is not None and evidence.max_workers is not None and evidence.max_in_flight >= evidence.max_workers


def _waited_for_answers(shard: ShardState) -> bool:
    evidence = shard.evidence
    if evidence is None or evidence.interrupted or not _was_at_limit(shard):
        return False
    return evidence.busy_ratio is None or evidence.busy_ratio < _BUSY_RATIO
