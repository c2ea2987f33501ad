"""The plots of a report, as SVG to stand inline in its page: latency over the run, and its distribution."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attacker.duration import in_words
from attacker.measuring.measured import Measured
from attacker.report.faces.series import Distribution, Floats, TimeSeries, distribution_of, time_series_of
from attacker.report.faces.svg import Colour, drawing_style, new_figure, render_svg
from attacker.report.notation import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TargetPlots", "plots_of", "render_distribution", "render_time_series"]

_WIDE_RANGE = 50
"""From a largest value of this many smallest ones on, a linear axis would hide the small."""
_FEW_BUCKETS = 30
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 7
_PERCENTILES = {"p0": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlots:
    """A target's plots as SVG text; None where nothing was measured."""

    time_series: str | None
    distribution: str | None


def plots_of(measured: Measured, *, name: str) -> TargetPlots:
    """Draw what was measured of a target.

    Args:
        measured: may be of no row.
        name: the target's; ids in the SVG are made of it, so no two targets of a page may share it.
    """
    series, distribution = time_series_of(measured), distribution_of(measured)
    return TargetPlots(
        time_series=None if series is None else render_time_series(series, name=name),
        distribution=None if distribution is None else render_distribution(distribution, name=name),
    )


def render_time_series(series: TimeSeries, *, name: str) -> str:
    """Draw p50, p99 and the largest latency of each bucket, and below them the share of errors where there are any."""
    has_errors = bool(np.nansum(series.error_share))
    with drawing_style(f"{name}: over time"):
        figure = new_figure()
        panels = figure.subplots(
            1 + has_errors, 1, sharex=True, squeeze=False, height_ratios=[4, 1] if has_errors else [1]
        )[:, 0]
        _draw_latencies(panels[0], series)
        if has_errors:
            _draw_errors(panels[1], series)
        _set_time_axis(panels[-1], float(series.start_s[-1]) + series.width_s)
        panels[-1].set_xlabel(f"a point every {_clock(series.width_s)}", loc="right", color=Colour.INK)
        return render_svg(figure, label=f"{name}: latency over time")


def render_distribution(distribution: Distribution, *, name: str) -> str:
    """Draw latency by percentile: corrected where that is known, with vegeta's own as a thin dashed line."""
    with drawing_style(f"{name}: distribution"):
        figure = new_figure()
        axes = figure.subplots()
        _draw_percentiles(axes, distribution)
        _set_share_axis(axes, distribution)
        _draw_legend(axes)
        return render_svg(figure, label=f"{name}: latency distribution")


def _draw_percentiles(axes: "Axes", distribution: Distribution) -> None:
    places, latency_ns, corrected_ns = _decades(distribution.share), distribution.latency_ns, distribution.corrected_ns
    if corrected_ns is None:
        axes.plot(places, latency_ns, color=Colour.P99, linewidth=2, label="as vegeta measured")
        _set_latency_axis(axes, latency_ns.astype(np.float64))
    else:
        axes.plot(places, corrected_ns, color=Colour.P99, linewidth=3, label="corrected")
        axes.plot(places, latency_ns, color=Colour.RAW, linewidth=1.2, dashes=(5, 3), label="as vegeta measured")
        _set_latency_axis(axes, np.concatenate([latency_ns, corrected_ns]).astype(np.float64))


def _set_share_axis(axes: "Axes", distribution: Distribution) -> None:
    places = _decades(np.array(list(_PERCENTILES.values())))
    end = max(1.0, float(_decades(distribution.share)[-1]))
    axes.set_xticks(places[places <= end], list(_PERCENTILES)[: np.count_nonzero(places <= end)])
    axes.set_xlim(0, end)


def _decades(shares: Floats) -> Floats:
    """Place shares so that each further nine takes as much room as the one before."""
    places: Floats = -np.log10(1 - shares)
    return places


def _draw_latencies(axes: "Axes", series: TimeSeries) -> None:
    middle_s = series.start_s + series.width_s / 2
    marker = "o" if len(series.n) <= _FEW_BUCKETS else ""
    lines = (
        (series.max_ns, Colour.MAX, "max", 3),
        (series.p99_ns, Colour.P99, "p99", 1.5),
        (series.p50_ns, Colour.P50, "p50", 1.5),
    )
    for values_ns, colour, label, width in lines:
        axes.plot(middle_s, values_ns, color=colour, label=label, linewidth=width, marker=marker, markersize=width + 2)
    _set_latency_axis(axes, np.concatenate([series.p50_ns, series.max_ns]))
    _draw_legend(axes, reverse=True)


def _draw_errors(axes: "Axes", series: TimeSeries) -> None:
    axes.bar(series.start_s, series.error_share, width=series.width_s, align="edge", color=Colour.ERROR, linewidth=0)
    highest = float(np.nanmax(series.error_share))
    axes.set_ylim(0, highest)
    axes.set_yticks([0, highest], ["0%", share(highest, decimals=1)])
    axes.set_title("errors", loc="left", color=Colour.ERROR, fontsize=12)


def _set_latency_axis(axes: "Axes", drawn_ns: Floats) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator  # noqa: PLC0415  (slow to load)

    known = drawn_ns[np.isfinite(drawn_ns)]
    low, high = max(float(known.min()), 1.0), max(float(known.max()), 1.0)
    if high > low * _WIDE_RANGE:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if high < low * 2000 else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, high * 1.08)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ns, _: in_words(ns) if ns else "0"))


def _set_time_axis(axes: "Axes", end_s: float) -> None:
    days_s = 86400 * (1 + int(end_s // (_MOST_TICKS * 86400)))
    step_s = next(step_s for step_s in (*_TICKS_S, days_s) if end_s / step_s <= _MOST_TICKS)
    ticks_s = np.arange(int(end_s / step_s + 1e-9) + 1) * step_s
    axes.set_xticks(ticks_s, [_clock(float(tick_s)) for tick_s in ticks_s])
    axes.set_xlim(0, end_s)


def _clock(after_s: float) -> str:
    """Write a moment of the run: `0`, `0.5s`, `1m30s`, `2h`."""
    minutes, seconds = divmod(round(after_s, 1), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{value:g}{unit}" for value, unit in parts if value) or "0"


def _draw_legend(axes: "Axes", *, reverse: bool = False) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.015, 0.985), ncols=3, reverse=reverse)
