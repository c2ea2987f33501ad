"""The rules of validity: their thresholds, and how a load test changes them."""

import pytest

from attacker.report.objectives import Unit
from attacker.report.validity.rules import RULES, Rule, RuleName, thresholds_of, unit_of

ADJUSTABLE = [rule for rule in RULES.values() if rule.is_adjustable]


def test_every_rule_is_in_the_table_once_and_says_what_for() -> None:
    assert list(RULES) == list(RuleName)
    assert all(rule.reason for rule in RULES.values())


@pytest.mark.parametrize("rule", ADJUSTABLE, ids=lambda rule: rule.name)
def test_a_rule_has_its_own_threshold_unless_told_otherwise(rule: Rule) -> None:
    threshold = thresholds_of()[rule.name]

    assert (threshold.text, threshold.default, threshold.is_changed) == (rule.threshold, rule.threshold, False)


@pytest.mark.parametrize("rule", ADJUSTABLE, ids=lambda rule: rule.name)
def test_its_own_threshold_written_again_is_no_change(rule: Rule) -> None:
    assert not thresholds_of((rule.threshold.replace(" ", ""),))[rule.name].is_changed


@pytest.mark.parametrize(
    ("text", "name", "measured", "holds"),
    [
        ("sent_ratio >= 95%", RuleName.SENT, 0.95, True),
        ("sent_ratio >= 99.9%", RuleName.SENT, 0.99, False),
        ("attack.sent_ratio > 0.5", RuleName.SENT, 0.5, False),
        ("lag.p99 <= 200ms", RuleName.LAG, 200_000_000, True),
        ("start_skew < 50ms", RuleName.SKEW, 50_000_000, False),
        ("throttled_ratio <= 25%", RuleName.THROTTLING, 0.25, True),
        ("attacker_errors <= 0.1%", RuleName.ATTACKER_ERRORS, 0.001, True),
        ("dns_errors <= 1%", RuleName.DNS, 0.011, False),
        ("seq_gaps <= 10", RuleName.GAPS, 10, True),
        ("duplicates <= 1", RuleName.TWICE, 2, False),
        ("oom_kills <= 1", RuleName.MEMORY, 1, True),
        ("api_changes <= 2", RuleName.API_PODS, 3, False),
    ],
)
def test_a_threshold_replaces_that_of_its_rule_only(text: str, name: RuleName, measured: float, *, holds: bool) -> None:
    changed, own = thresholds_of((text,)), thresholds_of()

    assert (changed[name].text, changed[name].is_changed, changed[name].holds(measured)) == (text, True, holds)
    others = set(own) - {name} - ({RuleName.CLOCKS} if name is RuleName.SKEW else set())
    assert {other: changed[other] for other in others} == {other: own[other] for other in others}


def test_clocks_may_be_as_far_apart_as_shards_may_start() -> None:
    clocks = thresholds_of(("start_skew <= 2s",))[RuleName.CLOCKS]

    assert (clocks.text, clocks.default, clocks.is_changed) == ("clock_spread <= 2s", "clock_spread <= 500ms", True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("p99 < 50ms",), r"'p99 < 50ms': no rule compares that figure: those are sent_ratio, lag\.p99, start_skew"),
        (("sent_ratio <= 95%",), r"'sent_ratio <= 95%': write it as the rule is, with one >=: 'sent_ratio >= 99%'"),
        (("lag.p99 == 0ms",), r"write it as the rule is, with one <=: 'lag\.p99 <= 100ms'"),
        (("1ms < lag.p99 < 2ms",), r"write it as the rule is, with one <=: 'lag\.p99 <= 100ms'"),
        (("get-health: sent_ratio >= 95%",), r"a rule holds for all targets: leave out 'get-health:'"),
        (("lag.p99 <= 200",), r"'lag\.p99 <= 200': lag\.p99 is a time: '200' has no unit"),
        (("sent_ratio off",), "write a bound such as"),
        (("clock_spread <= 1s",), "no rule compares that figure"),
        (
            ("lag.p99 <= 1s", "attack.lag_ns.p99 <= 2s"),
            r"'lag\.p99 <= 1s' is of the same rule: leave one of the two out",
        ),
    ],
)
def test_what_is_no_threshold_of_a_rule_is_refused_with_the_remedy(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        thresholds_of(changes)


def test_the_worst_of_several_figures_is_the_nearest_to_breaking_the_rule() -> None:
    thresholds = thresholds_of()

    assert thresholds[RuleName.SENT].worst([0.98, 1, 0.99]) == 0.98
    assert thresholds[RuleName.LAG].worst([1, 3, 2]) == 3
    assert thresholds[RuleName.LAG].worst([]) is None


@pytest.mark.parametrize(
    ("threshold", "unit"),
    [("lag.p99 <= 1s", Unit.NS), ("dns_errors <= 0%", Unit.SHARE), ("it came to its end", None)],
)
def test_a_threshold_tells_what_its_figure_is_counted_in(threshold: str, unit: Unit | None) -> None:
    assert unit_of(threshold) == unit
