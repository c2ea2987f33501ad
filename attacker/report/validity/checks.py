"""What each rule of validity comes to: the figure that it compares, and a sentence for all that is not plainly well."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from attacker.evidence import Evidence
from attacker.measuring.errors import ErrorClass, Fault, meaning_of
from attacker.report.figures import ErrorCount, Figures, Finding, Outcome
from attacker.report.notation import share, span
from attacker.report.validity.clocks import spread_of
from attacker.report.validity.measurement import Measurement, TargetState
from attacker.report.validity.rules import (
    LAG_NOTE_NS,
    LAG_NOTE_SHARE,
    THROTTLING_NOTE_RATIO,
    RuleName,
    Threshold,
    Thresholds,
)
from attacker.report.validity.shards import doubts_on_evidence, doubts_on_exit, doubts_on_origins
from attacker.report.validity.workers import consequence_of_limit, explains_lag

__all__ = ["CHECKS", "Told"]

_RUN = "run"


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule comes to."""

    measured: float | None
    findings: tuple[Finding, ...] = ()


Check = Callable[[Measurement, Thresholds], Told]


def _run(measurement: Measurement, _: Thresholds) -> Told:
    return Told(len(measurement.doubts), tuple(_invalid(_RUN, doubt) for doubt in measurement.doubts))


def _shards(measurement: Measurement, _: Thresholds) -> Told:
    found = [
        *(_invalid(shard.name, doubt) for shard in measurement.shards for doubt in doubts_on_evidence(shard)),
        *(_invalid(name, doubt) for name, doubt in doubts_on_origins(measurement.shards)),
    ]
    return Told(len({finding.of for finding in found}), tuple(found))


def _exit(measurement: Measurement, _: Thresholds) -> Told:
    found = [_invalid(shard.name, doubt) for shard in measurement.shards for doubt in doubts_on_exit(shard)]
    return Told(len(found), tuple(found))


def _sent(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.SENT]
    ratios = {target.name: target.figures.attack.sent_ratio or 0.0 for target in measurement.targets}
    too_few = [target for target in measurement.targets if not threshold.holds(ratios[target.name])]
    return Told(threshold.worst(list(ratios.values())), tuple(_of_unsent(target, thresholds) for target in too_few))


def _of_unsent(target: TargetState, thresholds: Thresholds) -> Finding:
    """What was not sent could only have made things worse: a miss stands without it, a pass does not."""
    attack, threshold = target.figures.attack, thresholds[RuleName.SENT]
    told = (
        f"{target.name}: {attack.sent:,} of {target.figures.expected or 0:,} requests were sent "
        f"({_cut_percent(attack.sent_ratio or 0)}), fewer than {share(threshold.bound.value)}"
    )
    if not attack.sent or not explains_lag(target, thresholds[RuleName.LAG]):
        return _invalid(target.name, f"{told}: the attacker could not keep up or was stopped")
    waited = f"{told}: all its workers (max_workers) waited for answers"
    if target.missed:
        return _note(target.name, f"{waited}; what was missed under so much less load is missed all the same")
    return _invalid(target.name, f"{waited}, so the API never was under the load: raise max_workers")


def _lag(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.LAG]
    lags = [target.figures.attack.lag_ns for target in measurement.targets]
    findings = (_of_lag(target, threshold) for target in measurement.targets)
    worst = threshold.worst([lag.p99 for lag in lags if lag])
    return Told(worst, tuple(finding for finding in findings if finding))


def _of_lag(target: TargetState, threshold: Threshold) -> Finding | None:
    figures = target.figures
    lag, latency = figures.attack.lag_ns, figures.corrected_latency_ns
    if lag is None or latency is None:
        return _unknown(target.name, f"{target.name}: how late requests were sent is not known: there is no schedule")
    told = f"{target.name}: lag p99 is {span(lag.p99)}"
    if threshold.holds(lag.p99):
        if lag.p99 <= max(LAG_NOTE_NS, LAG_NOTE_SHARE * latency.p99):
            return None
        return _note(target.name, f"{told}: so much of the corrected latency may be the attacker's own")
    if explains_lag(target, threshold):
        return _note(target.name, f"{told}, because all workers (max_workers) waited for answers: that is the API's")
    return _invalid(
        target.name,
        f"{told}, more than {span(threshold.bound.value)}: the attacker could not keep to its schedule: "
        "give it more CPU, or use more shards",
    )


def _workers(measurement: Measurement, _: Thresholds) -> Told:
    told = {target.name: consequence_of_limit(target) for target in measurement.targets}
    findings = tuple(_note(name, text) for name, text in told.items() if text)
    return Told(len(findings), findings)


def _skew(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.SKEW]
    skews = {name: figures.attack.start_skew_ns for name, figures in _starting_together(measurement)}
    known = {name: skew_ns for name, skew_ns in skews.items() if skew_ns is not None}
    findings = [
        _invalid(
            name,
            f"{name}: shards that were to start together started {span(skew_ns)} apart, "
            f"more than {span(threshold.bound.value)}",
        )
        for name, skew_ns in known.items()
        if not threshold.holds(skew_ns)
    ]
    if not known:
        findings.append(_unknown(_RUN, "when the shards started is not known: there is no request to tell it by"))
    return Told(threshold.worst(list(known.values())), tuple(findings))


def _starting_together(measurement: Measurement) -> Iterator[tuple[str, Figures]]:
    if measurement.simultaneous:
        yield _RUN, measurement.overall
    else:
        yield from ((target.name, target.figures) for target in measurement.targets)


def _clocks(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.CLOCKS]
    everybody = (_RUN, tuple(shard for shard in measurement.shards))
    groups = [everybody] if measurement.simultaneous else [(one.name, one.shards) for one in measurement.targets]
    told = [
        _of_clocks(name, [shard.evidence for shard in shards if shard.evidence], threshold) for name, shards in groups
    ]
    worst = threshold.worst([one.measured for one in told if one.measured is not None])
    return Told(worst, tuple(finding for one in told for finding in one.findings))


def _of_clocks(name: str, evidence: list[Evidence], threshold: Threshold) -> Told:
    if not evidence:
        return Told(None, (_unknown(name, f"{name}: no attacker left word of its clock"),))
    spread = spread_of(evidence)
    allowed = span(threshold.bound.value)
    if not threshold.holds(spread.least_ns) and spread.pair:
        one, other = spread.pair
        text = f"{name}: the clocks of {one} and {other} differ by {span(spread.least_ns)} or more, more than {allowed}"
        return Told(spread.least_ns, (_invalid(name, f"{text}: set them by NTP"),))
    if spread.most_ns is None:
        text = f"{name}: not every attacker could compare its clock with the storage server's"
        return Told(None, (_unknown(name, text),))
    if not threshold.holds(spread.most_ns):
        text = f"{name}: the clocks may differ by up to {span(spread.most_ns)}: the storage server answered too slowly"
        return Told(spread.least_ns, (_unknown(name, text),))
    return Told(spread.least_ns)


def _gaps(measurement: Measurement, thresholds: Thresholds) -> Told:
    return _counted(
        measurement,
        thresholds[RuleName.GAPS],
        lambda figures: figures.attack.seq_gaps,
        lambda count: f"{count:,} requests were sent of which there is no result",
    )


def _twice(measurement: Measurement, thresholds: Thresholds) -> Told:
    return _counted(
        measurement,
        thresholds[RuleName.TWICE],
        lambda figures: figures.attack.duplicates,
        lambda count: f"{count:,} requests are in the results twice",
    )


def _counted(
    measurement: Measurement, threshold: Threshold, count: Callable[[Figures], int], told: Callable[[int], str]
) -> Told:
    counts = {target.name: count(target.figures) for target in measurement.targets}
    findings = (_invalid(name, f"{name}: {told(n)}") for name, n in counts.items() if not threshold.holds(n))
    return Told(threshold.worst(list(counts.values())), tuple(findings))


def _throttling(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.THROTTLING]
    found = {shard.name: shard.evidence.throttled_ratio for shard in measurement.shards if shard.evidence}
    known = {name: ratio for name, ratio in found.items() if ratio is not None}
    findings = [_of_throttling(name, ratio, threshold) for name, ratio in known.items()]
    if len(known) < len(found) or not found:
        findings.append(_unknown(_RUN, "no cgroup with a CPU quota tells whether the attackers had to wait for CPU"))
    return Told(threshold.worst(list(known.values())), tuple(finding for finding in findings if finding))


def _of_throttling(name: str, ratio: float, threshold: Threshold) -> Finding | None:
    told = f"shard {name}: vegeta had to wait for its CPU quota in {share(ratio)} of the scheduler's periods"
    if not threshold.holds(ratio):
        return _invalid(name, f"{told}, more than {share(threshold.bound.value)}: raise attacker_cpu")
    return _note(name, f"{told}: it read answers late then") if ratio > THROTTLING_NOTE_RATIO else None


def _memory(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold = thresholds[RuleName.MEMORY]
    found = {shard.name: shard.evidence.oom_kills for shard in measurement.shards if shard.evidence}
    known = {name: kills for name, kills in found.items() if kills is not None}
    findings = [
        _invalid(
            name,
            f"shard {name}: for want of memory, the kernel killed {kills} process{'' if kills == 1 else 'es'} "
            "of the attacker: raise attacker_memory",
        )
        for name, kills in known.items()
        if not threshold.holds(kills)
    ]
    if len(known) < len(found) or not found:
        findings.append(_unknown(_RUN, "no cgroup tells whether the kernel killed anything for want of memory"))
    return Told(threshold.worst(list(known.values())), tuple(findings))


def _attacker_errors(measurement: Measurement, thresholds: Thresholds) -> Told:
    def is_meant(error: ErrorCount) -> bool:
        return error.fault is Fault.ATTACKER and error.class_ is not ErrorClass.DNS

    return _failed(measurement, thresholds[RuleName.ATTACKER_ERRORS], is_meant)


def _dns(measurement: Measurement, thresholds: Thresholds) -> Told:
    return _failed(measurement, thresholds[RuleName.DNS], lambda error: error.class_ is ErrorClass.DNS)


def _failed(measurement: Measurement, threshold: Threshold, is_meant: Callable[[ErrorCount], bool]) -> Told:
    """Judge the share of requests that failed in a way that is not the API's."""
    ratios, findings = [], []
    for target in measurement.targets:
        if not target.figures.requests:
            continue
        errors = [error for error in target.figures.errors if is_meant(error)]
        ratios.append(sum(error.count for error in errors) / target.figures.requests)
        if not threshold.holds(ratios[-1]):
            findings += [_invalid(target.name, _of_failures(target, error)) for error in errors]
    if not ratios:
        findings.append(_unknown(_RUN, "no request was sent that could have failed"))
    return Told(threshold.worst(ratios), tuple(findings))


def _of_failures(target: TargetState, error: ErrorCount) -> str:
    return (
        f"{target.name}: {error.count:,} of {target.figures.requests:,} requests failed by no fault of the API "
        f"({error.class_}): {meaning_of(error.class_)}"
    )


def _api_pods(measurement: Measurement, thresholds: Thresholds) -> Told:
    threshold, api = thresholds[RuleName.API_PODS], measurement.api
    if api is None:
        return Told(None, (_unknown(_RUN, "the API runs in no pods that were deployed for this run"),))
    if api.trouble:
        return Told(None, (_unknown(_RUN, api.trouble),))
    behaviour = [_note(_RUN, f"under this load, {told}: that is the API's own doing") for told in api.behaviour]
    is_well = threshold.holds(len(api.changes))
    made = _note if is_well else _invalid
    changes = [made(_RUN, f"the API was changed during the attack: {change}") for change in api.changes]
    return Told(len(api.changes), (*changes, *behaviour))


CHECKS: Mapping[RuleName, Check] = {
    RuleName.RUN: _run,
    RuleName.SHARDS: _shards,
    RuleName.EXIT: _exit,
    RuleName.SENT: _sent,
    RuleName.LAG: _lag,
    RuleName.WORKERS: _workers,
    RuleName.SKEW: _skew,
    RuleName.CLOCKS: _clocks,
    RuleName.GAPS: _gaps,
    RuleName.TWICE: _twice,
    RuleName.THROTTLING: _throttling,
    RuleName.MEMORY: _memory,
    RuleName.ATTACKER_ERRORS: _attacker_errors,
    RuleName.DNS: _dns,
    RuleName.API_PODS: _api_pods,
}


def _invalid(of: str, text: str) -> Finding:
    return Finding(of=of, outcome=Outcome.INVALID, text=text)


def _note(of: str, text: str) -> Finding:
    return Finding(of=of, outcome=Outcome.NOTE, text=text)


def _unknown(of: str, text: str) -> Finding:
    return Finding(of=of, outcome=Outcome.UNKNOWN, text=text)


def _cut_percent(ratio: float) -> str:
    """Cut, not round: 98.99 % must not read as the 99 % that it misses."""
    return f"{int(ratio * 1000) / 10:.1f} %"
