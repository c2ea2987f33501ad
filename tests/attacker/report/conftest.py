"""States of a run, as reports on them."""

import pytest

from attacker.report.figures import Judged, Report
from tests.attacker.report.a_report import (
    Wave,
    a_measurement,
    a_report,
    a_rule,
    a_run,
    a_target,
    a_verdict,
    a_wavy_measurement,
)

P99 = "p99 < 50ms"
SUCCESS = "success >= 99%"


@pytest.fixture
def passed_run() -> Report:
    met = (Judged(objective=P99, measured=11_400_000, met=True), Judged(objective=SUCCESS, measured=1, met=True))
    return a_report(a_target("get-health", objectives=met), a_target("get-metadata", objectives=met))


@pytest.fixture
def failed_run() -> Report:
    missed = (
        Judged(objective=P99, measured=50_000_400, met=False),
        Judged(objective=SUCCESS, measured=0.9558, met=False),
    )
    metadata = a_target("get-metadata", measured=a_wavy_measurement(Wave(error_share=0.1)), objectives=missed)
    return a_report(
        a_target("get-health", objectives=[Judged(objective=P99, measured=11_400_000, met=True)]),
        metadata,
        verdict=a_verdict("FAIL", f"get-metadata: {P99} was missed", f"get-metadata: {SUCCESS} was missed"),
    )


@pytest.fixture
def run_without_a_request() -> Report:
    unknown = (Judged(objective=P99, measured=None, met=None),)
    empty = a_target("get-health", measured=a_measurement([]), objectives=unknown, expected=3600)
    return a_report(empty, verdict=a_verdict("INVALID", "shard get-health is missing: it left no evidence"))


@pytest.fixture
def run_with_a_stall() -> Report:
    """Of 100 requests that took a millisecond each, ten were sent 1 to 10 seconds late."""
    late = [0] * 90 + [1000 * second for second in range(10, 0, -1)]
    return a_report(a_target("get-health"), a_target("get-stalled", measured=a_measurement([1] * 100, lag_ms=late)))


@pytest.fixture
def run_without_objectives() -> Report:
    return a_report(a_target("get-health"), run=a_run(loadtest={}, environment={}))


@pytest.fixture
def run_with_every_outcome() -> Report:
    """A rule of validity for each outcome; that of what was sent was loosened."""
    loosened = {"rule": "sent", "threshold": "sent_ratio >= 95%", "default": "sent_ratio >= 99%", "changed": True}
    rules = (
        a_rule("invalid", "get-health: 7 of 100 requests were sent", **loosened, measured=0.07),
        a_rule("note", "get-health: lag p99 is 12.3ms"),
        a_rule("unknown", "no cgroup tells", rule="throttling", threshold="throttled_ratio <= 10%", measured=None),
        a_rule("ok", rule="twice", threshold="duplicates <= 0", measured=0),
    )
    return a_report(verdict=a_verdict("INVALID", "get-health: 7 of 100 requests were sent"), validity=rules)
