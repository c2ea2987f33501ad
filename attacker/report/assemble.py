"""From a run's shards to its report: one way, whoever measured them and wherever they lay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from attacker.api_pods import ApiPods
from attacker.measuring.measure import Reader, measure
from attacker.measuring.measured import Measured
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.plan import Shard
from attacker.report.figures import Figures, Judged, Report, Run, TargetFigures
from attacker.report.objectives import OVERALL, Objective, judge
from attacker.report.omission import why_they_differ
from attacker.report.statistics import figures_of
from attacker.report.validity.judging import check, doubts_of
from attacker.report.validity.measurement import Measurement, TargetState
from attacker.report.validity.rules import Thresholds
from attacker.report.validity.shards import ShardState
from attacker.report.validity.workers import is_missed_at_any_load
from attacker.report.verdict import verdict
from attacker.results.rows import Rows

__all__ = ["FoundShard", "assemble", "measured_shard", "samples_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundShard:
    """A planned shard and what was found of it; no rows where it is missing."""

    shard: Shard
    state: ShardState
    rows: Rows

    @property
    def measured(self) -> MeasuredShard:
        """Its rows, with what its plan says of them."""
        evidence = self.state.evidence
        return measured_shard(self.shard, self.rows, throttled_ratio=evidence.throttled_ratio if evidence else None)


def measured_shard(shard: Shard, rows: Rows, *, throttled_ratio: float | None = None) -> MeasuredShard:
    """Put a shard's rows together with what its plan says of them."""
    return MeasuredShard(
        rows=rows,
        warmup_requests=shard.warmup_requests,
        interval_ns=shard.rate.interval_ns,
        delay_ns=shard.delay_ns,
        throttled_ratio=throttled_ratio,
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
    reader: Callable[[Sequence[Sample]], Reader] = Here,
) -> tuple[Report, dict[str, Measured]]:
    """Compute every figure, judge every objective, and decide.

    Args:
        run: which run it was.
        found: every planned shard, in the plan's order.
        objectives: what must hold.
        simultaneous: all targets were to start at one instant, so that their skew means something.
        doubts: what is known already to be wrong with the measurement.
        thresholds: of the rules of validity; their own where they are left out.
        api: the API's pods before and after; None where there are none of this run's.
        reader: reads the rows of the targets.

    Returns:
        The report, and what was measured of each target, for its plots.

    Raises:
        RunBrokenError: rows that could be read cannot be read again.
    """
    by_target = _grouped(found)
    samples = samples_of(found)
    each, whole = measure(samples, reader(samples), simultaneous=simultaneous)
    measured = dict(zip(by_target, each, strict=True))
    by_target = {name: _with_troubles(shards, measured[name].troubles) for name, shards in by_target.items()}
    figures = {name: _figures(measured[name], shards) for name, shards in by_target.items()}
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
    return report, measured


def samples_of(found: Sequence[FoundShard]) -> list[Sample]:
    """Give each target's shards that left evidence, in the plan's order."""
    return [_sample(shards) for shards in _grouped(found).values()]


def _grouped(found: Sequence[FoundShard]) -> dict[str, list[FoundShard]]:
    by_target: dict[str, list[FoundShard]] = {}
    for one in found:
        by_target.setdefault(one.shard.target.name, []).append(one)
    return by_target


def _sample(shards: Sequence[FoundShard]) -> Sample:
    measured = tuple(one.measured for one in _present(shards))
    return Sample(shards=measured, is_success=shards[0].shard.target.is_success)


def _present(shards: Sequence[FoundShard]) -> list[FoundShard]:
    return [one for one in shards if one.state.evidence is not None]


def _with_troubles(shards: Sequence[FoundShard], troubles: Mapping[int, str]) -> list[FoundShard]:
    """Note what came up when rows were read, by their number among those that were measured."""
    told = {_present(shards)[number].shard.name: trouble for number, trouble in troubles.items()}
    return [
        replace(one, state=replace(one.state, trouble=told.get(one.shard.name, one.state.trouble))) for one in shards
    ]


def _figures(measured: Measured, shards: Sequence[FoundShard]) -> Figures:
    figures = figures_of(measured, expected=_expected(shards))
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
