import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.faces.markdown import render_markdown
from attacker.report.figures import Judged, Report
from attacker.report.notation import MISSING
from tests.attacker.report.a_report import a_measurement, a_report, a_target, a_verdict


@pytest.mark.parametrize(
    ("run", "title"),
    [
        ("passed_run", "## ✅ PASS: load test 2026-02-16-150701-k3f9"),
        ("failed_run", "## ❌ FAIL: load test 2026-02-16-150701-k3f9"),
        ("run_without_a_request", "## ⚠️ INVALID: load test 2026-02-16-150701-k3f9"),
    ],
)
def test_the_verdict_is_the_title(run: str, title: str, request: pytest.FixtureRequest) -> None:
    assert render_markdown(request.getfixturevalue(run)).startswith(title + "\n")


def test_a_failed_run_has_its_reasons_and_what_was_measured(failed_run: Report) -> None:
    lines = render_markdown(failed_run).splitlines()

    assert "2 of 3 objectives missed." in lines
    assert r"- get-metadata: p99 \< 50ms was missed" in lines
    assert r"| get-metadata | p99 \< 50ms | 50.0004ms | ❌ **missed** |" in lines
    assert r"| get-health | p99 \< 50ms | 11.4ms | ✅ met |" in lines


def test_the_summary_has_a_row_for_each_target_and_one_for_all(passed_run: Report) -> None:
    lines = render_markdown(passed_run).splitlines()

    assert "| get-health | 100 | 100/s | 100% | 50ms | 95ms | 99ms | 100ms | 100ms | 0ns |" in lines
    assert "| get-metadata | 100 | 100/s | 100% | 50ms | 95ms | 99ms | 100ms | 100ms | 0ns |" in lines
    assert "| overall | 100 | 100/s | 100% | 50ms | 95ms | 99ms | 100ms | 100ms | 0ns |" in lines


def test_what_was_not_measured_is_a_dash_and_never_0(run_without_a_request: Report) -> None:
    lines = render_markdown(run_without_a_request).splitlines()

    assert f"| get-health | 0 {f'| {MISSING} ' * 8}|" in lines
    assert rf"| get-health | p99 \< 50ms | {MISSING} | ⚠️ no data |" in lines


def test_it_is_said_of_each_target_why_its_latency_is_longer_than_vegetas(run_with_a_stall: Report) -> None:
    lines = render_markdown(run_with_a_stall).splitlines()

    [told] = [line for line in lines if "vegeta's" in line]
    assert told.startswith("get-stalled: Corrected p99 is 9s and vegeta's 1ms, because requests were sent up to 10s ")


def test_only_the_most_frequent_errors_are_listed() -> None:
    rare = a_target("get-metadata", errors=[f"rare {number}" for number in range(12)])
    frequent = a_target(measured=a_measurement([5] * 2, code=500, error=["500 Oh"] * 2))
    lines = render_markdown(a_report(rare, frequent)).splitlines()

    assert lines.index(r"| get-health | http\_5xx | 2 | 500 Oh |") < lines.index(
        "| get-metadata | other | 1 | rare 0 |"
    )
    assert "… and 3 more kinds of error." in lines


def test_a_table_always_has_a_blank_line_around_it(failed_run: Report) -> None:
    # Without one, GitHub takes a table for a part of what stands before it.
    markdown = render_markdown(failed_run)

    assert not re.search(r"^[^|\n]+\n\|", markdown, re.MULTILINE)
    assert not re.search(r"^\|.*\n[^|\n]", markdown, re.MULTILINE)


@pytest.mark.parametrize(
    "text", ["a|b", "`rm`", "<img src=x>", "line\nfeed", "[x](y)", "@everyone", "\\|", "trailing\\"]
)
def test_no_text_is_read_as_markup(text: str) -> None:
    assert shape_with(text) == shape_with("plain")


@given(text=st.text())
def test_no_text_of_others_changes_the_tables(text: str) -> None:
    assert shape_with(text) == shape_with("plain")


def shape_with(text: str) -> list[int]:
    """Count the bars of each line that are not escaped."""
    judged = Judged(objective=text, measured=None, met=None)
    target = a_target(text, errors=[text], objectives=[judged])
    markdown = render_markdown(a_report(target, verdict=a_verdict("FAIL", text)))
    return [len(re.findall(r"[|`<]", re.sub(r"\\.", "", line))) for line in markdown.splitlines()]


def test_the_rules_of_validity_are_a_folded_table_and_a_changed_one_is_told_at_the_top(
    run_with_every_outcome: Report,
) -> None:
    text = render_markdown(run_with_every_outcome)
    lines = text.splitlines()

    assert r"- Validity, changed for this run: sent\_ratio \>= 95% instead of sent\_ratio \>= 99%" in lines
    assert "<details><summary>Validity of the measurement: 1 of 4 rules ok</summary>" in lines
    assert (
        r"| sent | sent\_ratio \>= 95% (changed from sent\_ratio \>= 99%) | 7% | ⚠️ **invalid** | "
        "get-health: 7 of 100 requests were sent |"
    ) in lines
    assert r"| lag | lag.p99 \<= 100ms | 12.3ms | ✅ ok, with a note | get-health: lag p99 is 12.3ms |" in lines
    assert rf"| throttling | throttled\_ratio \<= 10% | {MISSING} | {MISSING} not known | no cgroup tells |" in lines
    assert r"| twice | duplicates \<= 0 | 0 | ✅ ok |  |" in lines


def test_a_report_without_rules_has_no_table_of_them(passed_run: Report) -> None:
    assert "<details>" not in render_markdown(passed_run)
