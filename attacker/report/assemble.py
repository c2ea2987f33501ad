"""From a run's shards to its report: one way, whoever measured them and wherever they lay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from attacker.api_pods import ApiPods
from attacker.plan import Shard
from attacker.report.figures import Figures, Judged, Report, Run, TargetFigures
from attacker.report.measurement import Measurement, TargetState
from attacker.report.objectives import OVERALL, Objective, judge
from attacker.report.omission import why_they_differ
from attacker.report.rules import Thresholds
from attacker.report.statistics import MeasuredShard, Sample, figures_of, sample_of
from attacker.report.validity import ShardState, check, doubts_of
from attacker.report.verdict import verdict
from attacker.report.workers import is_missed_at_any_load
from attacker.results import Results

__all__ = ["FoundShard", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundShard:
    """A planned shard and what was found of it; no rows where it is missing."""

    shard: Shard
    state: ShardState
    results: Results

    @property
    def measured(self) -> MeasuredShard:
        """Its rows, with what its plan says of them."""
        evidence = self.state.evidence
        return MeasuredShard(
            results=self.results,
            warmup_requests=self.shard.warmup_requests,
            interval_ns=self.shard.rate.interval_ns,
            delay_ns=self.shard.delay_ns,
            throttled_ratio=evidence.throttled_ratio if evidence else None,
        )


def assemble(  # noqa: PLR0913  (all that a verdict rests on)
    run: Run,
    found: Sequence[FoundShard],
    objectives: Sequence[Objective],
    *,
    simultaneous: bool,
    doubts: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    api: ApiPods | None = None,
) -> tuple[Report, dict[str, Sample]]:
    """Compute every figure, judge every objective, and decide.

    Args:
        run: which run it was.
        found: every planned shard, in the plan's order.
        objectives: what must hold.
        simultaneous: all targets were to start at one instant, so that their skew means something.
        doubts: what is known already to be wrong with the measurement.
        thresholds: of the rules of validity; their own where they are left out.
        api: the API's pods before and after; None where there are none of this run's.

    Returns:
        The report, and each target's rows for its plots.
    """
    by_target = _grouped(found)
    samples = {name: _sample(shards) for name, shards in by_target.items()}
    figures = {name: _figures(samples[name], shards) for name, shards in by_target.items()}
    whole = Sample.joined(list(samples.values()), simultaneous=simultaneous)
    overall = _figures(whole, found)
    judged = {name: judge(objectives, name, one) for name, one in figures.items()}
    judged_overall = judge(objectives, OVERALL, overall)
    is_missed = is_missed_at_any_load(objectives, OVERALL, overall)
    measurement = Measurement(
        targets=tuple(
            _target_state(
                name, figures[name], shards, missed=is_missed or is_missed_at_any_load(objectives, name, figures[name])
            )
            for name, shards in by_target.items()
        ),
        overall=overall,
        simultaneous=simultaneous,
        doubts=tuple(doubts),
        api=api,
    )
    validity = check(measurement, thresholds)
    everything = [*((name, one) for name, all_ in judged.items() for one in all_), *_named(OVERALL, judged_overall)]
    report = Report(
        run=run,
        verdict=verdict(everything, doubts=doubts_of(validity)),
        validity=validity,
        targets=tuple(_target(name, figures[name], judged[name], shards) for name, shards in by_target.items()),
        overall=overall,
        overall_objectives=judged_overall,
    )
    return report, samples


def _grouped(found: Sequence[FoundShard]) -> dict[str, list[FoundShard]]:
    by_target: dict[str, list[FoundShard]] = {}
    for one in found:
        by_target.setdefault(one.shard.target.name, []).append(one)
    return by_target


def _sample(shards: Sequence[FoundShard]) -> Sample:
    is_success: Callable[[int], bool] = shards[0].shard.target.is_success
    present = [one.measured for one in shards if one.state.evidence is not None]
    return sample_of(present, is_success=is_success)


def _figures(sample: Sample, shards: Sequence[FoundShard]) -> Figures:
    figures = figures_of(sample, expected=_expected(shards))
    is_cut = any(one.state.evidence.cut_bodies for one in shards if one.state.evidence)
    return figures.model_copy(update={"bytes_in": None}) if is_cut else figures


def _expected(shards: Sequence[FoundShard]) -> int:
    return sum(one.shard.requests for one in shards)


def _named(name: str, judged: Sequence[Judged]) -> list[tuple[str, Judged]]:
    return [(name, one) for one in judged]


def _target_state(name: str, figures: Figures, shards: Sequence[FoundShard], *, missed: bool) -> TargetState:
    states = tuple(replace(one.state, planned=one.shard) for one in shards)
    return TargetState(name=name, figures=figures, shards=states, missed=missed)


def _target(name: str, figures: Figures, judged: tuple[Judged, ...], shards: Sequence[FoundShard]) -> TargetFigures:
    known = {key: getattr(figures, key) for key in Figures.model_fields}
    omission = why_they_differ(figures, max_workers=_max_workers(shards))
    return TargetFigures(name=name, objectives=judged, omission=omission, **known)


def _max_workers(shards: Sequence[FoundShard]) -> int | None:
    limits = [one.shard.sending.max_workers for one in shards if one.state.evidence]
    return None if None in limits else sum(limit for limit in limits if limit)
