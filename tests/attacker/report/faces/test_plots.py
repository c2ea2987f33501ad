import logging
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from attacker.measuring.measured import Measured
from attacker.report.faces.plots import TargetPlots, plots_of
from tests.attacker.report.a_report import Wave, a_measurement, a_wavy_measurement

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def busy_plots() -> TargetPlots:
    """A run with errors and as many points as there can be."""
    return plots_of(a_wavy_measurement(Wave(rate_per_s=500, error_share=0.2, stall_s=3)), name="get-health")


def test_nothing_measured_is_not_drawn() -> None:
    assert plots_of(a_measurement([]), name="get-health") == TargetPlots(time_series=None, distribution=None)


@pytest.mark.parametrize("plot", ["time_series", "distribution"])
def test_a_plot_is_an_svg_element_that_scales_and_can_be_read_aloud(busy_plots: TargetPlots, plot: str) -> None:
    element = drawn(getattr(busy_plots, plot))

    assert element.tag == f"{SVG}svg"
    assert element.get("viewBox")
    assert element.get("width") is None
    assert element.get("height") is None
    assert element.get("role") == "img"
    assert str(element.get("aria-label")).startswith("get-health: latency")


@pytest.mark.parametrize("plot", ["time_series", "distribution"])
def test_a_plot_is_small_and_needs_nothing_from_elsewhere(busy_plots: TargetPlots, plot: str) -> None:
    svg = getattr(busy_plots, plot)

    assert len(svg) < 60_000
    assert "data:" not in svg
    assert "<script" not in svg
    assert "<style" not in svg
    assert set(re.findall(r"https?://[^\"]*", svg)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_same_rows_give_the_same_text() -> None:
    first, second = (plots_of(a_wavy_measurement(Wave(error_share=0.2)), name="get-health") for _ in range(2))

    assert first == second


def test_no_id_stands_twice_in_a_page() -> None:
    plots = [plots_of(a_measurement(), name=name) for name in ("get-health", "get-metadata")]
    page = "".join(f"{plot.time_series}{plot.distribution}" for plot in plots)
    ids = re.findall(r'\bid="([^"]+)"', page)
    referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', page))

    assert len(ids) == len(set(ids))
    assert referred == set(ids)


def test_words_stay_words_in_the_pages_own_font(busy_plots: TargetPlots, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plots = plots_of(a_measurement(range(1, 1001)), name="get-health")

    assert {"p0", "p50", "p90", "p99", "p99.9", "corrected", "as vegeta measured"} <= words(plots.distribution)
    assert {"p50", "p99", "max", "errors", "1m"} <= words(busy_plots.time_series)
    assert "font-family" not in f"{plots.time_series}{plots.distribution}"
    assert not caplog.records


def test_a_percentile_that_the_requests_cannot_tell_is_not_named() -> None:
    plots = plots_of(a_measurement(range(1, 101)), name="get-health")

    assert "p99" in words(plots.distribution)
    assert "p99.9" not in words(plots.distribution)


def test_errors_are_drawn_only_where_there_are_any(busy_plots: TargetPlots) -> None:
    plots = plots_of(a_measurement(), name="get-health")

    assert "errors" in words(busy_plots.time_series)
    assert "errors" not in words(plots.time_series)


def test_without_a_schedule_only_vegetas_latency_is_drawn() -> None:
    plots = plots_of(a_measurement(lag_ms=None), name="get-health")

    assert "corrected" not in words(plots.distribution)
    assert "as vegeta measured" in words(plots.distribution)


def test_latencies_far_apart_are_drawn_by_their_magnitude() -> None:
    near = plots_of(a_measurement(range(1, 41)), name="near")
    far = plots_of(a_measurement([1, 10, 100, 1000, 10_000] * 20), name="far")

    assert {"0", "10ms", "20ms", "30ms", "40ms"} <= words(near.distribution)
    assert {"1ms", "10ms", "100ms", "1s", "10s"} <= words(far.distribution)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [(0.4, {"0", "0.1s", "0.4s"}), (30, {"0", "5s", "30s"}), (300, {"0", "1m", "5m"}), (7200, {"30m", "1h30m", "2h"})],
)
def test_time_is_labelled_in_units_that_suit_the_run(seconds: float, labels: set[str]) -> None:
    plots = plots_of(a_measurement(np.ones(1000), interval_ms=seconds), name="get-health")

    assert labels <= words(plots.time_series)


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(a_measurement([5]), id="a single request"),
        pytest.param(a_measurement([0, 0]), id="no latency at all"),
        pytest.param(a_measurement([5] * 400, missing=range(100, 300)), id="a hole"),
        pytest.param(a_measurement([5] * 40, code=500), id="errors only"),
        pytest.param(a_measurement([5] * 40, interval_ms=86_400_000), id="forty days"),
    ],
)
def test_whatever_was_measured_can_be_drawn(measured: Measured) -> None:
    plots = plots_of(measured, name="get-health")

    assert drawn(plots.time_series).tag == f"{SVG}svg"
    assert drawn(plots.distribution).tag == f"{SVG}svg"


def test_a_name_cannot_break_out_of_its_place() -> None:
    plots = plots_of(a_measurement(), name='"><script>\x00#00ff01')

    assert drawn(plots.time_series).get("aria-label") == '"><script>\ufffd#00ff01: latency over time'


def drawn(svg: str | None) -> ET.Element:
    assert svg is not None
    return ET.fromstring(svg)  # noqa: S314  (our own)


def words(svg: str | None) -> set[str]:
    return {str(element.text) for element in drawn(svg).iter(f"{SVG}text")}
