"""The report as one static HTML page: no script, nothing loaded from elsewhere, as Argo's sandbox demands."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import JsonValue

from attacker.measuring.errors import meaning_of
from attacker.report import notation
from attacker.report.faces.plots import TargetPlots
from attacker.report.figures import LatencyFigures, Report, TargetFigures

__all__ = ["render_html", "render_target_html"]

_NO_PLOTS = TargetPlots(time_series=None, distribution=None)
_LATENCY_NAMES = tuple(field.alias or name for name, field in LatencyFigures.model_fields.items())
_PLANNED = {
    "rate": "Rate of each target",
    "duration": "Duration",
    "warmup": "Warm-up",
    "order": "Order of targets",
    "shards": "Shards of each target",
    "timeout": "Timeout",
    "max_workers": "Most workers of each attacker",
}
"""What of the load test is told at the top of the page, and under which name."""


def render_html(report: Report, plots: Mapping[str, TargetPlots]) -> str:
    """Render a run's report.

    Args:
        report: the report.
        plots: by target's name; a target without any is told to have measured nothing.
    """
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            plots=plots,
            no_plots=_NO_PLOTS,
            meaning=notation.meaning(report),
            facts=tuple(_facts(report)),
            changed_rules=notation.changed_rules(report),
            objectives=notation.objectives(report),
            requests=_requests(report.run.loadtest),
            loadtest_json=json.dumps(report.run.loadtest, indent=2, ensure_ascii=False),
            environment=tuple(_flat(report.run.environment)),
        )
    )


def render_target_html(figures: TargetFigures, plots: TargetPlots) -> str:
    """Render what was measured of one target, where there is no run and no verdict."""
    return _templates().get_template("target.html.j2").render(figures=figures, plots=plots)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("attacker.report.faces"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = (
        notation.bytes_text,
        notation.checked,
        notation.count,
        notation.measured,
        notation.rate,
        notation.share,
        notation.span,
    )
    environment.filters.update({write.__name__: write for write in (*written, meaning_of)}, by_name=_by_name)
    environment.globals.update(missing=notation.MISSING, latency_names=_LATENCY_NAMES, is_thin=_is_thin)
    return environment


def _clean(value: object) -> object:
    """Take control characters out of what others wrote; what is markup already is ours."""
    return notation.printable(value) if type(value) is str else value


def _by_name(latency: LatencyFigures | None) -> dict[str, int] | None:
    return None if latency is None else latency.model_dump()


def _is_thin(name: str, requests: int) -> bool:
    """Tell whether a percentile is the maximum for want of requests: beyond p99 of 60 requests there is none."""
    return name.startswith("p") and requests * (1 - Fraction(name[1:]) / 100) < 1


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    run = report.run
    yield "Started", notation.moment(run.started)
    yield "Ended", notation.moment(run.ended)
    for key, label in _PLANNED.items():
        if run.loadtest.get(key) is not None:
            yield label, _text(run.loadtest[key])
    yield "API", _text(run.loadtest.get("api_url") or "deployed for this run")
    yield "Engine", run.engine


def _requests(loadtest: Mapping[str, JsonValue]) -> dict[str, str]:
    """Give each target's request line by its name, as far as the load test tells it."""
    targets = loadtest.get("targets")
    known = [target for target in targets if isinstance(target, dict)] if isinstance(targets, Sequence) else []
    return {
        str(target["name"]): f"{target.get('method', 'GET')} {target['url']}"
        for target in known
        if "name" in target and "url" in target
    }


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Spell out nested values by the path to each: `node.cpus`."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _text(value)


def _text(value: JsonValue) -> str:
    if value is None:
        return notation.MISSING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
