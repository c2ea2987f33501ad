import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from attacker.report.assemble import FoundShard, assemble
from attacker.report.figures import Report, Run, VerdictResult
from attacker.report.objectives import parse_objective
from attacker.report.validity.shards import ShardState
from attacker.results.rows import HeldRows
from attacker.sending import Sending
from tests.attacker.building import MS, START_NS, a_shard, a_target, an_evidence, rows

RUN = Run(id="the-run", started="2026-02-16T15:07:01Z", ended="", engine="local", loadtest={}, environment={})


def a_found_shard(
    name: str = "get-health",
    *,
    target: str = "get-health",
    latency_ns: Sequence[int] = (MS,) * 100,
    start_ns: int = START_NS,
    code: int = 200,
    evidence: dict[str, Any] | None = None,
    **plan: Any,
) -> FoundShard:
    """Find a healthy shard of 100 requests."""
    digits = f"{sum(name.encode()):064}"
    shard = a_shard(name=name, target=a_target(name=target, **plan.pop("target_changes", {})), **plan)
    as_planned = {
        "shard": name,
        "target": target,
        "requests": shard.requests,
        "warmup_requests": shard.warmup_requests,
        "delay_ns": shard.delay_ns,
        "max_workers": shard.sending.max_workers,
        "results_sha256": digits,
    }
    return FoundShard(
        shard=shard,
        state=ShardState(name=name, run="the-run", evidence=an_evidence(**{**as_planned, **(evidence or {})})),
        rows=HeldRows(
            rows(latency_ns, timestamp_ns=[start_ns + 100 * MS * seq for seq in range(len(latency_ns))], code=code)
        ),
    )


def a_missing_shard(name: str, *, target: str = "get-health") -> FoundShard:
    return FoundShard(
        shard=a_shard(name=name, target=a_target(name=target)),
        state=ShardState(name=name, run="the-run", evidence=None),
        rows=HeldRows(rows([])),
    )


def assembled(*found: FoundShard, objectives: Sequence[str] = (), **options: Any) -> Report:
    parsed = [parse_objective(text) for text in objectives]
    report, _ = assemble(RUN, found, parsed, **{"simultaneous": True, **options})
    return report


def test_healthy_shards_whose_objectives_are_met_pass() -> None:
    report = assembled(a_found_shard(), objectives=["p99 < 50ms", "success >= 99%"])

    assert (report.verdict.result, report.verdict.reasons) == (VerdictResult.PASS, ())
    assert report.run == RUN
    assert [(one.objective, one.measured, one.met) for one in report.targets[0].objectives] == [
        ("p99 < 50ms", MS, True),
        ("success >= 99%", 1, True),
    ]


def test_where_answers_were_not_kept_whole_nobody_knows_how_many_bytes_came_in() -> None:
    whole, cut = a_found_shard("one", target="one"), a_found_shard("two", target="two", evidence={"cut_bodies": 1})

    report = assembled(whole, cut, objectives=["one: bytes_in > 0", "two: bytes_in > 0"])

    assert [target.bytes_in for target in report.targets] == [1500, None]
    assert report.overall.bytes_in is None
    assert report.verdict.reasons == ("two: bytes_in > 0: nothing was measured",)


def test_the_limit_of_workers_that_held_requests_back_is_that_of_all_shards_together() -> None:
    late = [START_NS] * 2 + [START_NS + 10_000 * MS] * 98
    shards = [
        replace(
            a_found_shard(f"get-health-{index}", latency_ns=[5000 * MS] * 100, sending=Sending(max_workers=99)),
            rows=HeldRows(rows([5000 * MS] * 100, timestamp_ns=late)),
        )
        for index in range(2)
    ]

    [target] = assembled(*shards).targets

    assert target.attack.max_in_flight == 196
    assert "at most 196 under way at once" in str(target.omission)


def test_where_one_shard_had_no_limit_of_workers_none_is_told() -> None:
    late = rows([5000 * MS] * 100, timestamp_ns=[START_NS] * 2 + [START_NS + 10_000 * MS] * 98)
    limits = (Sending(max_workers=1), Sending())
    shards = [
        replace(a_found_shard(f"get-health-{index}", sending=limit), rows=HeldRows(late))
        for index, limit in enumerate(limits)
    ]

    [target] = assembled(*shards).targets

    assert "max_workers" not in str(target.omission)
    assert "Corrected p99 is " in str(target.omission)


def test_an_objective_that_one_target_misses_fails_the_run() -> None:
    report = assembled(
        a_found_shard("one", target="one"),
        a_found_shard("two", target="two", latency_ns=[60 * MS] * 100),
        objectives=["p99 < 50ms"],
    )

    assert (report.verdict.result, report.verdict.reasons) == (
        VerdictResult.FAIL,
        ("two: p99 < 50ms was missed: 60ms",),
    )


def test_an_objective_on_all_together_is_judged_by_the_overall_figures() -> None:
    report = assembled(
        a_found_shard("one", target="one"),
        a_found_shard("two", target="two", latency_ns=[60 * MS] * 100),
        objectives=["overall: p50 < 50ms", "overall: max < 50ms", "overall: requests == 200"],
    )

    assert report.overall.requests == 200
    assert [(one.measured, one.met) for one in report.overall_objectives] == [
        (MS, True),
        (60 * MS, False),
        (200, True),
    ]
    assert report.verdict.reasons == ("overall: max < 50ms was missed: 60ms",)
    assert all(target.objectives == () for target in report.targets)


def test_the_shards_of_a_target_are_one_sample_in_the_plans_order() -> None:
    report = assembled(
        a_found_shard("two", target="two"),
        a_found_shard("one-0", target="one", latency_ns=[MS] * 99),
        a_found_shard("one-1", target="one", latency_ns=[9 * MS] * 101, start_ns=START_NS + 50 * MS),
    )

    assert [(target.name, target.requests, target.expected) for target in report.targets] == [
        ("two", 100, 100),
        ("one", 200, 200),
    ]
    assert report.targets[1].latency_ns is not None
    assert report.targets[1].latency_ns.p50 == 9 * MS
    assert (report.overall.requests, report.overall.expected, report.overall.attack.shards) == (300, 300, 3)


def test_a_missing_shard_makes_the_run_invalid_and_its_requests_are_missed() -> None:
    report = assembled(a_found_shard("one-0"), a_missing_shard("one-1"), objectives=["p99 < 50ms"])

    assert report.verdict.result is VerdictResult.INVALID
    missing, too_few = report.verdict.reasons
    assert missing == "shard one-1 is missing: it left no evidence"
    assert too_few.startswith("get-health: 100 of 200 requests were sent (50.0 %), fewer than 99%")
    assert report.targets[0].attack.shards == 1


def test_a_run_of_which_nothing_is_left_is_invalid_and_passes_nothing() -> None:
    report = assembled(
        a_missing_shard("one"), objectives=["errors == 0", "overall: p99 < 50ms", "status_codes.500 == 0"]
    )

    assert report.verdict.result is VerdictResult.INVALID
    assert [one.met for one in (*report.targets[0].objectives, *report.overall_objectives)] == [None, None, None]
    assert report.verdict.reasons[-3:] == (
        "get-health: errors == 0: nothing was measured",
        "get-health: status_codes.500 == 0: nothing was measured",
        "overall: p99 < 50ms: nothing was measured",
    )


def test_what_is_known_to_be_wrong_already_is_told_first() -> None:
    report = assembled(a_found_shard(), doubts=["the run was interrupted"])

    assert report.verdict.result is VerdictResult.INVALID
    assert report.verdict.reasons == ("the run was interrupted",)


def test_the_same_results_under_two_names_make_the_run_invalid() -> None:
    copied = {"results_sha256": "7" * 64}

    report = assembled(a_found_shard("one-0", evidence=copied), a_found_shard("one-1", evidence=copied))

    assert report.verdict.result is VerdictResult.INVALID
    assert report.verdict.reasons == (
        "shard one-1 is a duplicate: it holds the results of shard one-0",
        "get-health: 100 requests are in the results twice",
    )


def test_an_attacker_that_was_throttled_is_told_of_in_the_figures() -> None:
    report = assembled(a_found_shard(evidence={"throttled_ratio": 0.3}))

    assert report.targets[0].attack.throttled_ratio == 0.3


def test_each_target_counts_its_own_expected_answers() -> None:
    report = assembled(
        a_found_shard("one", target="one", code=404),
        a_found_shard("two", target="two", code=404, target_changes={"expected_status": 404}),
    )

    assert [target.success for target in report.targets] == [0, 1]
    assert report.overall.success == 0.5


def test_the_warm_up_of_the_plan_is_in_no_figure() -> None:
    slow_at_first = [500 * MS] * 10 + [MS] * 100

    report = assembled(a_found_shard(latency_ns=slow_at_first, warmup_requests=10), objectives=["max < 50ms"])

    assert (report.verdict.result, report.targets[0].requests) == (VerdictResult.PASS, 100)


def test_a_target_that_was_stopped_in_its_warm_up_has_no_figure_beside_one_that_was_not() -> None:
    stopped = a_found_shard("stopped", target="stopped", latency_ns=[MS] * 3, warmup_requests=10)

    report = assembled(a_found_shard(), stopped)

    assert [(target.name, target.requests) for target in report.targets] == [("get-health", 100), ("stopped", 0)]
    assert report.targets[1].latency_ns is None
    assert report.overall.latency_ns == report.targets[0].latency_ns


def test_targets_that_start_together_have_a_skew_and_those_in_turn_have_none() -> None:
    found = (a_found_shard("one", target="one"), a_found_shard("two", target="two", start_ns=START_NS + 30 * MS))

    together, in_turn = assembled(*found), assembled(*found, simultaneous=False)

    assert (together.overall.attack.start_skew_ns, in_turn.overall.attack.start_skew_ns) == (30 * MS, None)


def test_what_was_measured_of_every_target_is_given_for_its_plots() -> None:
    _, measured = assemble(RUN, [a_found_shard("one"), a_missing_shard("two", target="two")], [], simultaneous=True)

    assert {name: one.requests for name, one in measured.items()} == {"get-health": 100, "two": 0}


@given(
    latencies=st.lists(st.lists(st.integers(0, 100 * MS), min_size=1, max_size=10), min_size=1, max_size=5),
    order=st.randoms(),
)
def test_shards_in_any_order_give_the_same_figures(latencies: list[list[int]], order: random.Random) -> None:
    found = [
        a_found_shard(f"one-{index}", latency_ns=latency_ns, start_ns=START_NS + index, requests=len(latency_ns))
        for index, latency_ns in enumerate(latencies)
    ]
    in_order = assembled(*found, objectives=["p99 < 50ms"])
    order.shuffle(found)

    assert assembled(*found, objectives=["p99 < 50ms"]) == in_order


def test_the_report_is_the_same_after_it_was_written_and_read() -> None:
    report = assembled(a_found_shard(), a_missing_shard("two", target="two"), objectives=["p99 < 50ms"])

    assert Report.model_validate_json(report.model_dump_json()) == report
    assert report.model_dump()["schema"] == 1
