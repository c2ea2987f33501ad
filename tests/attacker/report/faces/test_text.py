import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.faces.text import render_target_text, render_text
from attacker.report.figures import Report
from attacker.report.notation import MISSING
from tests.attacker.report.a_report import a_measurement, a_report, a_target, a_verdict


def test_a_passed_run_ends_in_its_verdict(passed_run: Report) -> None:
    assert render_text(passed_run, width=80, colour=False).endswith("\nPASS  Every objective is met.\n")


def test_the_summary_is_a_table_of_the_targets_and_of_all(passed_run: Report) -> None:
    rows = rows_of(render_text(passed_run, width=80, colour=False))

    assert rows[:4] == [
        ["target", "requests", "rate", "success", "p50", "p95", "p99", "p99.9", "max"],
        ["get-health", "100", "100/s", "100%", "50ms", "95ms", "99ms", "100ms", "100ms"],
        ["get-metadata", "100", "100/s", "100%", "50ms", "95ms", "99ms", "100ms", "100ms"],
        ["overall", "100", "100/s", "100%", "50ms", "95ms", "99ms", "100ms", "100ms"],
    ]


def test_a_failed_run_shows_errors_objectives_and_reasons(failed_run: Report) -> None:
    text = render_text(failed_run, width=100, colour=False)
    rows = rows_of(text)

    assert ["get-metadata", "http_5xx", "503 Service Unavailable"] in [row[1:] for row in rows]
    assert ["get-metadata", "p99 < 50ms", "50.0004ms", "MISSED"] in rows
    assert ["get-health", "p99 < 50ms", "11.4ms", "met"] in rows
    assert "\nFAIL  2 of 3 objectives missed.\n  get-metadata: p99 < 50ms was missed\n" in text


def test_what_was_not_measured_is_a_dash_and_never_0(run_without_a_request: Report) -> None:
    rows = rows_of(render_text(run_without_a_request, width=80, colour=False))

    assert ["get-health", "0", *[MISSING] * 7] in rows
    assert ["get-health", "p99 < 50ms", MISSING, "NO DATA"] in rows


@pytest.mark.parametrize("name", ["get-health", "x" * 63], ids=["a short name", "the longest name"])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(name: str) -> None:
    slow = a_measurement([0.0123, 123, 1234, 12_345] * 300_000, interval_ms=0.2)
    report = a_report(a_target(name, measured=slow), verdict=a_verdict("FAIL", "a reason that goes on and on " * 9))
    text = render_text(report, width=80, colour=False)

    assert max(len(line) for line in text.splitlines()) <= 80
    assert {"1,200,000", "5,000/s", "100%", "123ms", "12.3s"} <= set(text.split())


def test_without_a_width_every_row_is_one_line(failed_run: Report) -> None:
    rows = rows_of(render_text(failed_run, width=None, colour=False))

    assert any("connection refused" in cell for row in rows for cell in row if cell.startswith("Get "))


def test_colour_is_only_where_it_is_wanted(failed_run: Report) -> None:
    plain = render_text(failed_run, width=80, colour=False)
    coloured = render_text(failed_run, width=80, colour=True)

    assert "\x1b" not in plain
    assert "\x1b[1;31mFAIL\x1b[0m" in coloured


@given(text=st.text(min_size=1))
def test_no_text_of_others_takes_over_the_terminal(text: str) -> None:
    report = a_report(a_target(text, errors=[text]), verdict=a_verdict("FAIL", text))

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", render_text(report, width=80, colour=False))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", render_target_text(report.targets[0]))


def test_a_targets_own_text_reads_like_vegetas_report() -> None:
    measured = a_measurement(
        range(1, 101), lag_ms=2, code=[200] * 99 + [503], error=[""] * 99 + ["503 Service Unavailable"]
    )
    # Sent over 990 ms; the last answer came 100 ms after that.
    assert render_target_text(a_target(measured=measured)) == (
        "Requests      [total, rate, throughput]                       100, 100/s, 90.83/s\n"
        "Duration      [total, attack, wait]                           1.09s, 990ms, 100ms\n"
        "Corrected     [min, mean, 50, 90, 95, 99, 99.9, 99.99, max]   "
        "3ms, 52.5ms, 52ms, 92ms, 97ms, 101ms, 102ms, 102ms, 102ms\n"
        "Latencies     [min, mean, 50, 90, 95, 99, 99.9, 99.99, max]   "
        "1ms, 50.5ms, 50ms, 90ms, 95ms, 99ms, 100ms, 100ms, 100ms\n"
        "Bytes In      [total, mean]                                   1,500, 15\n"
        "Bytes Out     [total, mean]                                   0, 0\n"
        "Success       [ratio]                                         99%\n"
        "Status Codes  [code:count]                                    200:99  503:1\n"
        "Error Set:\n"
        "        1  http_5xx     503 Service Unavailable\n"
    )


def test_it_is_said_of_each_target_why_its_latency_is_longer_than_vegetas(run_with_a_stall: Report) -> None:
    lines = render_text(run_with_a_stall, width=None, colour=False).splitlines()

    [told] = [line for line in lines if "vegeta's" in line]
    assert told.startswith("get-stalled: Corrected p99 is 9s and vegeta's 1ms, because requests were sent up to 10s ")


def test_a_targets_own_text_says_so_too(run_with_a_stall: Report) -> None:
    healthy, stalled = (render_target_text(target) for target in run_with_a_stall.targets)

    assert "\nOmission      Corrected p99 is 9s and vegeta's 1ms, because " in stalled
    assert "Omission" not in healthy


def test_a_targets_own_text_without_a_schedule_has_no_corrected_latency() -> None:
    text = render_target_text(a_target(measured=a_measurement(lag_ms=None)))

    assert "Corrected" not in text
    assert "Latencies" in text


def test_bytes_that_nobody_counted_are_a_dash() -> None:
    text = render_target_text(a_target().model_copy(update={"bytes_in": None}))

    assert re.search(rf"Bytes In .*\] +{MISSING}, {MISSING}\n", text)


def test_a_targets_own_text_can_be_of_nothing() -> None:
    lines = render_target_text(a_target(measured=a_measurement([]))).splitlines()

    assert lines[0].split("]")[1].split() == ["0,", f"{MISSING},", MISSING]
    assert lines[1].split("]")[1].split() == [f"{MISSING},", f"{MISSING},", MISSING]


def test_doubts_changed_rules_and_notes_stand_beneath_the_verdict_and_nothing_else_of_validity(
    run_with_every_outcome: Report,
) -> None:
    text = render_text(run_with_every_outcome, width=None, colour=False)

    assert text.partition("\nINVALID  ")[2].splitlines() == [
        "The measurement cannot be trusted.",
        "  get-health: 7 of 100 requests were sent",
        "  validity: changed for this run: sent_ratio >= 95% instead of sent_ratio >= 99%",
        "  note: get-health: lag p99 is 12.3ms",
    ]
    assert "cgroup" not in text


def rows_of(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
