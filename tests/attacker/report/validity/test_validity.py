"""Every rule of validity against evidence that keeps or breaks it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.api_pods import ApiPod, ApiPods, Snapshot
from attacker.evidence import LagFigures
from attacker.report.figures import Checked, ErrorCount, Figures, Outcome
from attacker.report.statistics import figures_of
from attacker.report.validity.judging import check, doubts_of
from attacker.report.validity.measurement import Measurement, TargetState
from attacker.report.validity.rules import RULES, RuleName, thresholds_of
from attacker.report.validity.shards import ShardState
from tests.attacker.building import MS, a_measured_shard, an_evidence, measured_of, rows
from tests.attacker.report.a_report import an_error

SECOND_NS = 1000 * MS


def the_figures(*, sent: int = 100, expected: int | None = 100, lag_ms: float = 1, **attack: Any) -> Figures:
    """Of requests that took a millisecond each, and were sent up to so late."""
    figures = figures_of(measured_of([a_measured_shard(rows([MS] * sent))]), expected=expected)
    late = {"lag_ns": LagFigures(p50=0, p99=int(lag_ms * MS), max=int(lag_ms * MS))} if sent else {}
    return figures.model_copy(update={"attack": figures.attack.model_copy(update={**late, **attack})})


def a_shard_state(name: str = "get-health", **evidence: Any) -> ShardState:
    return ShardState(name=name, run="the-run", evidence=an_evidence(shard=name, **evidence))


def a_measurement(
    figures: Figures | None = None, *shards: ShardState, missed: bool = False, **whole: Any
) -> Measurement:
    figures = figures or the_figures()
    target = TargetState(name="get-health", figures=figures, shards=shards or (a_shard_state(),), missed=missed)
    return Measurement(targets=(target,), overall=figures, **whole)


def the_rule(name: RuleName, measurement: Measurement, *changes: str) -> Checked:
    [found] = [rule for rule in check(measurement, thresholds_of(changes)) if rule.rule == name]
    return found


def told(rule: Checked) -> list[str]:
    return [finding.text for finding in rule.findings]


def test_of_a_healthy_measurement_every_rule_is_in_the_table_and_none_is_broken() -> None:
    table = check(a_measurement())

    assert [rule.rule for rule in table] == list(RULES)
    assert {rule.rule for rule in table if rule.outcome is not Outcome.OK} == {RuleName.API_PODS}
    assert doubts_of(table) == ()


def test_of_no_evidence_at_all_nothing_is_ok_that_needs_some() -> None:
    missing = ShardState(name="get-health", run="the-run", evidence=None)
    table = {rule.rule: rule.outcome for rule in check(a_measurement(the_figures(sent=0), missing))}

    assert {name for name, outcome in table.items() if outcome is Outcome.INVALID} == {RuleName.SHARDS, RuleName.SENT}
    assert {name for name, outcome in table.items() if outcome is Outcome.UNKNOWN} == {
        RuleName.LAG,
        RuleName.SKEW,
        RuleName.CLOCKS,
        RuleName.THROTTLING,
        RuleName.MEMORY,
        RuleName.ATTACKER_ERRORS,
        RuleName.DNS,
        RuleName.API_PODS,
    }


def test_what_is_wrong_with_the_run_is_the_first_doubt() -> None:
    table = check(a_measurement(the_figures(sent=5), doubts=("it was interrupted",)))

    assert doubts_of(table)[0] == "it was interrupted"


@pytest.mark.parametrize("sent", [99, 100, 101])
def test_a_target_to_which_its_requests_were_sent_is_not_doubted(sent: int) -> None:
    assert the_rule(RuleName.SENT, a_measurement(the_figures(sent=sent))).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("sent", "expected", "words"),
    [
        (98, 100, "get-health: 98 of 100 requests were sent (98.0 %), fewer than 99%"),
        (0, 100, "get-health: 0 of 100 requests were sent (0.0 %), fewer than 99%"),
        (98_999, 100_000, "get-health: 98,999 of 100,000 requests were sent (98.9 %), fewer than 99%"),
        (5, 0, "get-health: 5 of 0 requests were sent (0.0 %), fewer than 99%"),
        (100, None, "get-health: 100 of 0 requests were sent (0.0 %), fewer than 99%"),
    ],
)
def test_a_target_to_which_too_little_was_sent_is_doubted(sent: int, expected: int | None, words: str) -> None:
    rule = the_rule(RuleName.SENT, a_measurement(the_figures(sent=sent, expected=expected)))

    assert rule.outcome is Outcome.INVALID
    assert told(rule) == [f"{words}: the attacker could not keep up or was stopped"]


@given(sent=st.integers(0, 99_999))
def test_a_share_of_what_was_sent_never_reads_as_more_than_it_is(sent: int) -> None:
    figures = the_figures(sent=1, expected=100_000)
    attack = figures.attack.model_copy(update={"sent": sent, "sent_ratio": sent / 100_000})

    words = " ".join(told(the_rule(RuleName.SENT, a_measurement(figures.model_copy(update={"attack": attack})))))

    assert (not words) == (sent >= 99_000)
    assert not words or float(words.split("(")[1].split(" %")[0]) * 1000 <= sent + 1e-6


@pytest.mark.parametrize(
    ("changes", "outcome"), [((), Outcome.INVALID), (("sent_ratio >= 95%",), Outcome.OK)], ids=["own", "loosened"]
)
def test_a_loosened_rule_lets_more_pass_and_says_so(changes: tuple[str, ...], outcome: Outcome) -> None:
    rule = the_rule(RuleName.SENT, a_measurement(the_figures(sent=96)), *changes)

    assert (rule.outcome, rule.changed, rule.default) == (outcome, bool(changes), "sent_ratio >= 99%")


def test_a_tightened_rule_lets_less_pass() -> None:
    rule = the_rule(RuleName.LAG, a_measurement(the_figures(lag_ms=50)), "lag.p99 <= 20ms")

    assert (rule.outcome, rule.threshold, rule.changed) == (Outcome.INVALID, "lag.p99 <= 20ms", True)


LIMITED: dict[str, Any] = {
    "max_workers": 10,
    "max_in_flight": 10,
    "lag_ns": {"p50": 0, "p99": SECOND_NS, "max": SECOND_NS},
}
"""The evidence of a shard whose ten workers waited for answers, for a second."""


@pytest.mark.parametrize(
    ("lag_ms", "evidence", "outcome"),
    [
        pytest.param(5, {}, Outcome.OK, id="little"),
        pytest.param(6, {}, Outcome.NOTE, id="much beside the latency"),
        pytest.param(100, {}, Outcome.NOTE, id="as much as may be"),
        pytest.param(101, {}, Outcome.INVALID, id="too much"),
        pytest.param(1000, LIMITED, Outcome.NOTE, id="by the limit of workers"),
        pytest.param(1000, {**LIMITED, "max_in_flight": 9}, Outcome.INVALID, id="below the limit of workers"),
        pytest.param(1000, {**LIMITED, "busy_ratio": 0.97}, Outcome.INVALID, id="at the limit, but without CPU left"),
        pytest.param(1000, {**LIMITED, "interrupted": True}, Outcome.INVALID, id="at the limit, but stopped"),
    ],
)
def test_late_requests_are_a_doubt_unless_the_limit_of_workers_explains_them(
    lag_ms: float, evidence: dict[str, Any], outcome: Outcome
) -> None:
    rule = the_rule(RuleName.LAG, a_measurement(the_figures(lag_ms=lag_ms), a_shard_state(**evidence)))

    assert (rule.outcome, rule.measured) == (outcome, lag_ms * MS)


def test_of_a_slow_api_a_lag_below_a_tenth_of_its_latency_is_no_note() -> None:
    figures = the_figures(lag_ms=12)
    slow = figures.latency_ns.model_copy(update={"p99": 275 * MS}) if figures.latency_ns else None

    rule = the_rule(RuleName.LAG, a_measurement(figures.model_copy(update={"corrected_latency_ns": slow})))

    assert rule.outcome is Outcome.OK


def test_one_late_shard_without_a_limit_is_not_excused_by_another_that_has_one() -> None:
    shards = (a_shard_state("a", **LIMITED), a_shard_state("b", lag_ns=LIMITED["lag_ns"]))

    assert the_rule(RuleName.LAG, a_measurement(the_figures(lag_ms=900), *shards)).outcome is Outcome.INVALID


@pytest.mark.parametrize(("missed", "outcome"), [(True, Outcome.NOTE), (False, Outcome.INVALID)])
def test_what_waiting_workers_did_not_send_spoils_a_pass_but_no_miss(*, missed: bool, outcome: Outcome) -> None:
    measurement = a_measurement(the_figures(sent=20, lag_ms=4000), a_shard_state(**LIMITED), missed=missed)

    rule = the_rule(RuleName.SENT, measurement)

    assert rule.outcome is outcome
    assert "all its workers (max_workers) waited for answers" in told(rule)[0]


def test_that_all_workers_were_busy_is_told_with_what_comes_of_it() -> None:
    rule = the_rule(RuleName.WORKERS, a_measurement(the_figures(lag_ms=900), a_shard_state(**LIMITED)))

    assert rule.outcome is Outcome.NOTE
    [text] = told(rule)
    assert text == (
        "get-health: all 10 workers were busy at once (max_workers): what was due then had to wait, up to 900ms, "
        "which the corrected latency counts"
    )


@pytest.mark.parametrize(
    ("skew_ns", "outcome"),
    [(0, Outcome.OK), (500 * MS, Outcome.OK), (501 * MS, Outcome.INVALID), (None, Outcome.UNKNOWN)],
)
def test_shards_that_start_apart_are_doubted(skew_ns: int | None, outcome: Outcome) -> None:
    assert the_rule(RuleName.SKEW, a_measurement(the_figures(start_skew_ns=skew_ns))).outcome is outcome


def test_targets_that_are_attacked_in_turn_need_not_start_together() -> None:
    in_turn = a_measurement(the_figures(start_skew_ns=0), simultaneous=False)
    apart = replace(in_turn, overall=the_figures(start_skew_ns=9 * SECOND_NS))

    assert the_rule(RuleName.SKEW, apart).outcome is Outcome.OK


def by_clock(name: str, offset_ms: int, uncertainty_ms: int = 5) -> ShardState:
    clock = {"offset_ns": offset_ms * MS, "uncertainty_ns": uncertainty_ms * MS}
    return a_shard_state(name, node=f"node-{name}", clock=clock)


@pytest.mark.parametrize(
    ("shards", "outcome"),
    [
        pytest.param((by_clock("a", 0), by_clock("b", 505)), Outcome.OK, id="that may be close enough and surely is"),
        pytest.param((by_clock("a", 0), by_clock("b", 511)), Outcome.INVALID, id="that are surely too far apart"),
        pytest.param((by_clock("a", -300), by_clock("b", 300)), Outcome.INVALID, id="too far apart on either side"),
        pytest.param((by_clock("a", 0, 600), by_clock("b", 0, 600)), Outcome.UNKNOWN, id="that are not well known"),
        pytest.param((by_clock("a", 0), a_shard_state("b", node="x")), Outcome.UNKNOWN, id="of which one is unknown"),
        pytest.param((a_shard_state("a"), a_shard_state("b")), Outcome.OK, id="that are one"),
    ],
)
def test_clocks_are_doubted_where_they_are_farther_apart_than_shards_may_start(
    shards: tuple[ShardState, ...], outcome: Outcome
) -> None:
    changes = ("start_skew <= 515ms",) if outcome is Outcome.OK else ()

    assert the_rule(RuleName.CLOCKS, a_measurement(None, *shards), *changes).outcome is outcome


def test_two_clocks_that_differ_are_named() -> None:
    [text] = told(the_rule(RuleName.CLOCKS, a_measurement(None, by_clock("a", 0), by_clock("b", 2010))))

    assert text.startswith("run: the clocks of node-a and node-b differ by 2s or more, more than 500ms")


@pytest.mark.parametrize(
    ("name", "attack", "words"),
    [
        (RuleName.GAPS, {"seq_gaps": 3}, "get-health: 3 requests were sent of which there is no result"),
        (RuleName.TWICE, {"duplicates": 50}, "get-health: 50 requests are in the results twice"),
    ],
)
def test_results_that_are_lost_or_there_twice_are_doubted(name: RuleName, attack: dict[str, int], words: str) -> None:
    rule = the_rule(name, a_measurement(the_figures(**attack)))

    assert (rule.outcome, told(rule)) == (Outcome.INVALID, [words])


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(0, Outcome.OK), (0.01, Outcome.OK), (0.1, Outcome.NOTE), (0.101, Outcome.INVALID), (None, Outcome.UNKNOWN)],
)
def test_an_attacker_that_waits_for_its_cpu_is_doubted(ratio: float | None, outcome: Outcome) -> None:
    assert the_rule(RuleName.THROTTLING, a_measurement(None, a_shard_state(throttled_ratio=ratio))).outcome is outcome


@pytest.mark.parametrize(("kills", "outcome"), [(0, Outcome.OK), (1, Outcome.INVALID), (None, Outcome.UNKNOWN)])
def test_an_attacker_without_memory_is_doubted(kills: int | None, outcome: Outcome) -> None:
    assert the_rule(RuleName.MEMORY, a_measurement(None, a_shard_state(oom_kills=kills))).outcome is outcome


def with_errors(*errors: ErrorCount) -> Measurement:
    return a_measurement(the_figures().model_copy(update={"errors": errors}))


@pytest.mark.parametrize("kind", ["refused", "reset", "timeout", "http_5xx", "tls", "unreachable"])
def test_even_where_all_requests_fail_by_the_apis_fault_nothing_is_doubted(kind: str) -> None:
    assert doubts_of(check(with_errors(an_error(**{"class": kind, "fault": "api", "count": 100})))) == ()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ports", RuleName.ATTACKER_ERRORS),
        ("descriptors", RuleName.ATTACKER_ERRORS),
        ("proxy", RuleName.ATTACKER_ERRORS),
        ("dns", RuleName.DNS),
    ],
)
def test_a_single_failure_of_the_attackers_own_is_a_doubt_for_it_counts_as_an_error(kind: str, name: RuleName) -> None:
    rule = the_rule(name, with_errors(an_error(**{"class": kind, "fault": "attacker", "count": 1})))

    assert (rule.outcome, rule.measured) == (Outcome.INVALID, 0.01)
    assert told(rule)[0].startswith(f"get-health: 1 of 100 requests failed by no fault of the API ({kind}): ")


def test_a_share_of_such_failures_can_be_let_pass() -> None:
    some = with_errors(an_error(**{"class": "dns", "fault": "attacker", "count": 1}))

    assert the_rule(RuleName.DNS, some, "dns_errors <= 1%").outcome is Outcome.OK


def a_pod(uid: str = "1", **changes: Any) -> ApiPod:
    pod = ApiPod(name=f"api-{uid}", uid=uid, node="node-1", restarts=0, is_ready=True)
    return replace(pod, **changes)


def the_pods(before: tuple[ApiPod, ...], after: tuple[ApiPod, ...]) -> ApiPods:
    return ApiPods(before=Snapshot(pods=before), after=Snapshot(pods=after))


@pytest.mark.parametrize(
    ("api", "outcome", "words"),
    [
        pytest.param(the_pods((a_pod(),), (a_pod(),)), Outcome.OK, [], id="as before"),
        pytest.param(
            the_pods((a_pod(),), (a_pod(restarts=2, last_end="OOMKilled"),)),
            Outcome.NOTE,
            ["under this load, pod api-1 restarted 2 times (OOMKilled): that is the API's own doing"],
            id="crashed",
        ),
        pytest.param(
            the_pods((a_pod(restarts=3),), (a_pod(restarts=3, is_ready=False),)),
            Outcome.NOTE,
            ["under this load, pod api-1 was not ready any more: that is the API's own doing"],
            id="not ready any more",
        ),
        pytest.param(
            the_pods((a_pod(),), (a_pod("2", node="node-2"),)),
            Outcome.INVALID,
            [
                "the API was changed during the attack: pod api-1 on node-1 is gone",
                "the API was changed during the attack: pod api-2 on node-2 was not there before",
            ],
            id="moved",
        ),
        pytest.param(
            the_pods((a_pod(),), (a_pod(), a_pod("2"))),
            Outcome.INVALID,
            ["the API was changed during the attack: pod api-2 on node-1 was not there before"],
            id="scaled",
        ),
        pytest.param(
            ApiPods(before=Snapshot(pods=(a_pod(),)), after=None),
            Outcome.UNKNOWN,
            ["nobody looked at the API's pods after the attack"],
            id="not looked at",
        ),
        pytest.param(
            ApiPods(before=Snapshot(pods=(), trouble="403: forbidden"), after=None),
            Outcome.UNKNOWN,
            ["the API's pods could not be looked at before the attack: 403: forbidden"],
            id="not to be looked at",
        ),
    ],
)
def test_an_api_that_somebody_changed_is_doubted_and_one_that_crashed_is_not(
    api: ApiPods, outcome: Outcome, words: list[str]
) -> None:
    rule = the_rule(RuleName.API_PODS, a_measurement(api=api))

    assert (rule.outcome, told(rule)) == (outcome, words)


def test_an_api_that_is_meant_to_be_scaled_can_be_let_change() -> None:
    scaled = the_pods((a_pod(),), (a_pod(), a_pod("2")))

    assert the_rule(RuleName.API_PODS, a_measurement(api=scaled), "api_changes <= 3").outcome is Outcome.NOTE
