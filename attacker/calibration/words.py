"""A calibration in words: a line a step, and what it comes to; and as JSON."""

import json
from dataclasses import asdict

from attacker.calibration.search import BUSY_RATIO, DELAY_NS, LEAST_SENT_RATIO, Calibration, Limit, Step
from attacker.duration import in_words

__all__ = ["HEADING", "render_calibration", "render_calibration_json", "render_step"]

_MISSING = "\N{EN DASH}"
HEADING = f"{'rate':>10} {'for':>4} {'sent':>7} {'lag p99':>8} {'delay p99':>10} {'in flight':>10} {'server':>7}"
"""Of what `render_step` writes."""


def render_step(step: Step) -> str:
    """Write a step as a line under `HEADING`."""
    figures = (
        f"{step.rate_per_s:,}/s".rjust(10),
        str(step.duration).rjust(4),
        _percent(step.sent_ratio).rjust(7),
        _span(step.lag_p99_ns).rjust(8),
        _span(step.delay_p99_ns).rjust(10),
        f"{step.max_in_flight:,}".rjust(10),
        f"{step.server_busy_ratio:.0%}".rjust(7),
    )
    return " ".join(figures) + f"  {'; '.join(step.faults) or 'holds'}{_throttled(step)}"


def render_calibration(calibration: Calibration, *, cpus: float) -> str:
    """Write what was found, by which measure, and what to do with it."""
    found = calibration.rate_per_s
    size = f"An attacker of {cpus:g} CPU"
    if found is None:
        return (
            f"INVALID  {size} has no trustworthy rate here: {_measure()} at none that was tried. "
            "Give it more CPU, or a quieter machine."
        )
    told = [f"{size} carries {found:,}/s: {_measure()}."]
    if calibration.limit is Limit.SERVER:
        told.append(
            f"It may carry more: above, the server was busy {BUSY_RATIO:.0%} of the time and more, and set the limit."
        )
    told.append(f"Use it: --shard-rate {found}, and --shards auto for as many attackers as a rate takes.")
    return "\n".join(told)


def render_calibration_json(calibration: Calibration, *, cpus: float) -> str:
    """Write it all for programs; durations are whole nanoseconds, shares 0 to 1."""
    told = {
        "rate_per_s": calibration.rate_per_s,
        "limit": calibration.limit,
        "cpus": cpus,
        "criterion": {"delay_p99_ns": DELAY_NS, "sent_ratio": LEAST_SENT_RATIO},
        "steps": [_step_json(step) for step in calibration.steps],
    }
    return json.dumps(told, indent=2)


def _step_json(step: Step) -> dict[str, object]:
    told = asdict(step)
    del told["duration"]
    return {**told, "duration_ns": step.duration.ns, "faults": step.faults}


def _measure() -> str:
    return f"{LEAST_SENT_RATIO:.0%} and more were sent, and p99 from due to answered was {in_words(DELAY_NS)} or less"


def _throttled(step: Step) -> str:
    return f", throttled in {step.throttled_ratio:.0%} of periods" if step.throttled_ratio else ""


def _percent(ratio: float) -> str:
    """Cut, not round: 99.95 % is not 100 %."""
    return f"{int(ratio * 1000) / 10:g}%"


def _span(ns: int | None) -> str:
    return _MISSING if ns is None else in_words(ns)
