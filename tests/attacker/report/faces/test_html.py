import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.report.faces.html import render_html, render_target_html
from attacker.report.faces.plots import TargetPlots, plots_of
from attacker.report.figures import Judged, Report
from attacker.report.notation import MISSING
from tests.attacker.report.a_report import a_measurement, a_report, a_run, a_target, a_verdict

ARGO_POLICY = (
    "sandbox allow-same-origin; base-uri 'none'; default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'"
)
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
PLOTS = TargetPlots(time_series="<svg>over time</svg>", distribution="<svg>distribution</svg>")


class Page(HTMLParser):
    """What a browser reads: the tags in their order, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.rows: list[list[str]] = []
        self.pieces: list[str] = []
        self.place = "page"
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        self.place = {"style": "", "td": "cell", "th": "cell"}.get(tag, self.place or "page")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "td", "th"}:
            self.place = "page"

    def handle_data(self, data: str) -> None:
        self.pieces.append(data if self.place else "")
        if self.place == "cell":
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


def page_of(report: Report) -> Page:
    return Page(render_html(report, {target.name: PLOTS for target in report.targets}))


def test_a_passed_run_says_so_first(passed_run: Report) -> None:
    page = page_of(passed_run)

    assert "<title>PASS: 2026-02-16-150701-k3f9</title>" in render_html(passed_run, {})
    assert "PASS Every objective is met." in page.text


def test_a_failed_run_names_its_reasons(failed_run: Report) -> None:
    page = page_of(failed_run)

    assert "FAIL 2 of 3 objectives missed." in page.text
    assert "get-metadata: p99 < 50ms was missed" in page.text


def test_an_invalid_run_says_what_to_think_of_its_objectives(run_without_a_request: Report) -> None:
    page = page_of(run_without_a_request)

    assert "INVALID The measurement cannot be trusted." in page.text
    assert "so neither can these outcomes" in page.text


def test_an_objective_stands_beside_what_was_measured(failed_run: Report) -> None:
    rows = page_of(failed_run).rows

    assert ["get-health p99 < 50ms", "11.4ms", "✓ met"] in rows
    assert ["get-metadata p99 < 50ms", "50.0004ms", "✗ missed"] in rows
    assert ["get-metadata success >= 99%", "95.58%", "✗ missed"] in rows


def test_objectives_on_all_targets_together_are_listed_too() -> None:
    report = a_report(overall_objectives=[Judged(objective="errors == 0", measured=0, met=True)])

    assert ["overall errors == 0", "0", "✓ met"] in page_of(report).rows


def test_a_run_without_objectives_is_no_good_news(run_without_objectives: Report) -> None:
    assert "None were set: this run could not fail." in page_of(run_without_objectives).text


def test_the_summary_shows_corrected_latency() -> None:
    report = a_report(a_target(measured=a_measurement(range(1, 101), lag_ms=2)))

    assert ["get-health", "100", "100/s", "100%", "52ms", "97ms", "101ms", "102ms", "102ms", "2ms"] in page_of(
        report
    ).rows


def test_several_targets_have_a_row_for_all_together(passed_run: Report) -> None:
    names = [row[0] for row in page_of(passed_run).rows if len(row) == 10]

    assert names == ["target", "get-health", "get-metadata", "overall"]


def test_corrected_latency_stands_beside_vegetas() -> None:
    rows = page_of(a_report(a_target(measured=a_measurement(range(1, 101), lag_ms=2)))).rows

    assert ["", "corrected", "vegeta"] in rows
    assert ["p99", "101ms", "99ms"] in rows


def test_it_is_said_of_each_target_why_its_latency_is_longer_than_vegetas(run_with_a_stall: Report) -> None:
    text = page_of(run_with_a_stall).text

    assert text.count("Corrected p99 is 9s and vegeta's 1ms, because requests were sent up to 10s after they") == 1
    assert "Corrected p99 is 9s" in Page(render_target_html(run_with_a_stall.targets[1], PLOTS)).text


def test_a_percentile_that_the_requests_cannot_tell_is_greyed() -> None:
    html = render_html(a_report(a_target(measured=a_measurement(range(1, 101)))), {})

    assert '<td class="number">99ms</td>' in html
    assert '<td class="number thin">100ms</td>' in html


def test_what_was_not_measured_is_a_dash_and_never_0(run_without_a_request: Report) -> None:
    rows = page_of(run_without_a_request).rows

    assert ["get-health", "0", *[MISSING] * 8] in rows
    assert ["get-health p99 < 50ms", MISSING, "! no data"] in rows
    assert ["p50", MISSING, MISSING] in rows
    assert ["sent", "0 of 3,600"] in rows
    assert ["lag p99", MISSING] in rows


def test_a_target_without_plots_has_measured_nothing(run_without_a_request: Report) -> None:
    assert Page(render_html(run_without_a_request, {})).text.count("Nothing was measured.") == 2


def test_answers_and_errors_are_counted() -> None:
    errors = [""] * 7 + ["503 Oh"] * 2 + ["lookup <api>: no such host"]
    measured = a_measurement([5] * 10, code=[200] * 7 + [503] * 2 + [0], error=errors)
    rows = page_of(a_report(a_target(measured=measured))).rows

    assert ["no answer", "1", "10%"] in rows
    assert ["503", "2", "20%"] in rows
    assert ["http_5xx the API failed: a status of 500 to 599", "2", "20%", "503 Oh"] in rows
    [dns] = [row for row in rows if row[0].startswith("dns ")]
    assert dns[0].endswith(" (no fault of the API)")
    assert dns[1:] == ["1", "10%", "lookup <api>: no such host"]


def test_bytes_that_nobody_counted_are_a_dash() -> None:
    target = a_target().model_copy(update={"bytes_in": None})

    assert ["bytes received", MISSING] in page_of(a_report(target)).rows


def test_what_was_run_is_told_with_its_environment(passed_run: Report) -> None:
    text = page_of(passed_run).text

    assert "Started 2026-02-16 15:07:01 UTC" in text
    assert "Rate of each target 60/s" in text
    assert "Engine local" in text
    assert "POST /add_users/" in page_of(a_report(a_target("post-add_users"))).text
    assert '"timeout": "30s"' in text
    assert "node.cpus 2" in text
    assert f"image {MISSING}" in text


def test_a_limit_of_workers_is_told_where_there_is_one() -> None:
    limited, unlimited = (page_of(a_report(run=a_run(loadtest={"max_workers": most}))).text for most in (10, None))

    assert "Most workers of each attacker 10 API" in limited
    assert "Most workers" not in unlimited


def test_a_page_needs_no_script_and_nothing_from_elsewhere(failed_run: Report) -> None:
    plots = {target.name: plots_of(a_measurement(), name=target.name) for target in failed_run.targets}
    html = render_html(failed_run, plots)
    tags = {tag for tag, _ in Page(html).tags}

    assert not tags & {"script", "link", "img", "iframe", "object", "base"}
    assert not re.search(r"""src=|href=["'](?!#)|url\((?!#)|@import|["'(]data:|\son\w+=""", html)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


def test_a_targets_own_page_has_neither_run_nor_verdict() -> None:
    page = Page(render_target_html(a_target("results.bin", measured=a_measurement(lag_ms=None)), PLOTS))

    assert page.text.startswith("results.bin")
    assert "100 requests at 100/s, 100% of them answered as expected." in page.text
    assert "The schedule is not known, so there is no corrected latency." in page.text
    assert "objective" not in page.text


def test_a_targets_own_page_can_be_of_nothing() -> None:
    nothing = TargetPlots(time_series=None, distribution=None)
    page = Page(render_target_html(a_target("results.bin", measured=a_measurement([])), nothing))

    assert page.text.count("Nothing was measured.") == 3


@given(text=st.text(min_size=1))
def test_no_text_of_others_changes_the_markup(text: str) -> None:
    def page_with(text: str) -> Page:
        run = a_run(loadtest={"rate": text, "targets": [{"name": text, "url": text}]}, environment={"node": text})
        judged = Judged(objective=text, measured=None, met=None)
        target = a_target(text, errors=[text], objectives=[judged])
        return page_of(a_report(target, verdict=a_verdict("FAIL", text), run=run))

    assert page_with(text).tags == page_with("plain").tags


@pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on this machine")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_the_page_under_argos_policy_without_complaint(
    failed_run: Report, tmp_path: Path, width: int
) -> None:
    plots = {target.name: plots_of(a_measurement(), name=target.name) for target in failed_run.targets}

    with served(render_html(failed_run, plots)) as address:
        said = screenshot(address, tmp_path, width=width)

    assert "CONSOLE" not in said
    assert (tmp_path / "page.png").stat().st_size > 40_000  # an empty page takes a tenth of it


@contextmanager
def served(html: str) -> Iterator[str]:
    """Serve a page as the Argo UI shows an artifact."""

    class Artifact(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = html.encode() if self.path == "/report.html" else b""
            self.send_response(200 if body else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", ARGO_POLICY)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Artifact) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/report.html"
        finally:
            server.shutdown()
            thread.join()


def screenshot(address: str, folder: Path, *, width: int) -> str:
    """Let a browser paint a page into `page.png`, and tell what it said meanwhile."""
    quiet = ("quic", "background-networking", "component-update", "sync", "gpu", "dev-shm-usage")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--no-first-run",
        *(f"--disable-{part}" for part in quiet),
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        f"--screenshot={folder / 'page.png'}",
        f"--window-size={width},2000",
        address,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stderr


def test_every_rule_of_validity_is_a_row_with_what_is_to_be_said_of_it(run_with_every_outcome: Report) -> None:
    rows = page_of(run_with_every_outcome).rows
    first = rows.index(["rule", "must hold", "measured", "outcome"])

    assert rows[first + 1 :] == [
        ["sent", "sent_ratio >= 95% instead of sent_ratio >= 99%", "7%", "! invalid"],
        ["get-health: 7 of 100 requests were sent"],
        ["lag", "lag.p99 <= 100ms", "12.3ms", "✓ ok, with a note"],
        ["get-health: lag p99 is 12.3ms"],
        ["throttling", "throttled_ratio <= 10%", MISSING, f"{MISSING} not known"],
        ["no cgroup tells"],
        ["twice", "duplicates <= 0", "0", "✓ ok"],
    ]


def test_a_changed_rule_stands_beside_the_verdict(run_with_every_outcome: Report) -> None:
    verdict = page_of(run_with_every_outcome).text.partition("Started")[0]

    assert verdict.strip().endswith("Validity, changed for this run: sent_ratio >= 95% instead of sent_ratio >= 99%.")
