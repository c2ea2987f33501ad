from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.faces.junit import render_junit
from attacker.report.figures import Judged, Report
from tests.attacker.report.a_report import a_report, a_run, a_target, a_verdict

TRUST = ("run", "measurement can be trusted")


def test_every_objective_of_every_target_is_a_test_case(passed_run: Report) -> None:
    suite = suite_of(passed_run)

    assert cases_of(suite) == [
        (*TRUST, []),
        ("get-health", "p99 < 50ms", []),
        ("get-health", "success >= 99%", []),
        ("get-metadata", "p99 < 50ms", []),
        ("get-metadata", "success >= 99%", []),
    ]
    assert counts_of(suite) == {"tests": "5", "failures": "0", "errors": "0", "skipped": "0"}


def test_a_missed_objective_is_a_failure_that_tells_measured_from_bound(failed_run: Report) -> None:
    suite = suite_of(failed_run)
    messages = [failure.get("message") for failure in suite.iter("failure")]

    assert messages == [
        "measured 50.0004ms, objective p99 < 50ms",
        "measured 95.58%, objective success >= 99%",
    ]
    assert counts_of(suite) == {"tests": "4", "failures": "2", "errors": "0", "skipped": "0"}


def test_no_data_is_an_error_and_so_is_a_measurement_that_cannot_be_trusted(run_without_a_request: Report) -> None:
    suite = suite_of(run_without_a_request)

    assert cases_of(suite) == [(*TRUST, ["error"]), ("get-health", "p99 < 50ms", ["error"])]
    assert counts_of(suite) == {"tests": "2", "failures": "0", "errors": "2", "skipped": "0"}
    assert suite.findtext("testcase/error") == "shard get-health is missing: it left no evidence"


def test_it_is_said_of_each_target_why_its_latency_is_longer_than_vegetas(run_with_a_stall: Report) -> None:
    told = suite_of(run_with_a_stall).findtext("testcase/system-out")

    assert str(told).startswith("get-stalled: Corrected p99 is 9s and vegeta's 1ms, because requests were sent up to ")
    assert str(told).count("\n") == 0


def test_objectives_on_all_targets_together_are_cases_too() -> None:
    report = a_report(overall_objectives=[Judged(objective="errors == 0", measured=3, met=False)])

    assert cases_of(suite_of(report)) == [(*TRUST, []), ("overall", "errors == 0", ["failure"])]


def test_the_suite_has_the_runs_name_start_and_length(passed_run: Report) -> None:
    suite = suite_of(passed_run)

    assert suite.get("name") == "2026-02-16-150701-k3f9"
    assert suite.get("timestamp") == "2026-02-16T15:07:01"
    assert suite.get("time") == "73.000"


@pytest.mark.parametrize("moment", ["yesterday", "2026-02-16T15:07:01"])
def test_a_run_of_unknown_length_has_none(moment: str) -> None:
    assert suite_of(a_report(run=a_run(started=moment))).get("time") == "0.000"


@given(text=st.text())
def test_any_text_of_others_leaves_the_xml_whole(text: str) -> None:
    judged = [Judged(objective=text, measured=1, met=met) for met in (True, False, None)]
    target = a_target(text, errors=[text], objectives=judged)
    suite = suite_of(a_report(target, verdict=a_verdict("INVALID", text), run=a_run(id=text)))

    assert counts_of(suite) == {"tests": "4", "failures": "1", "errors": "2", "skipped": "0"}


def suite_of(report: Report) -> ET.Element:
    suites = ET.fromstring(render_junit(report).encode())  # noqa: S314  (our own)
    (suite,) = suites
    assert suites.tag == "testsuites"
    assert suite.tag == "testsuite"
    return suite


def cases_of(suite: ET.Element) -> list[tuple[str | None, str | None, list[str]]]:
    return [(case.get("classname"), case.get("name"), [outcome.tag for outcome in case]) for case in suite]


def counts_of(suite: ET.Element) -> dict[str, str | None]:
    return {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}


def test_changed_rules_and_notes_are_the_output_of_the_case_that_tells_whether_to_trust_it(
    run_with_every_outcome: Report,
) -> None:
    suite = suite_of(run_with_every_outcome)

    assert suite.findtext("testcase/error") == "get-health: 7 of 100 requests were sent"
    assert (suite.findtext("testcase/system-out") or "").splitlines() == [
        "validity: changed for this run: sent_ratio >= 95% instead of sent_ratio >= 99%",
        "note: get-health: lag p99 is 12.3ms",
    ]
