"""Coordinated omission: why latency from the moment that requests were due is longer than vegeta's, in a sentence."""

from fractions import Fraction

from attacker.duration import in_words
from attacker.report.figures import Figures, LatencyFigures

__all__ = ["differs_materially", "why_they_differ"]

_LEAST_NS = 5_000_000
_LEAST_SHARE = Fraction(1, 10)
# In the order of interest: those of the tail first, for there it shows.
_PERCENTILES = {
    "p99": Fraction(99, 100),
    "p99.9": Fraction(999, 1000),
    "p99.99": Fraction(9999, 10000),
    "p95": Fraction(95, 100),
    "p90": Fraction(90, 100),
    "p50": Fraction(50, 100),
}


def differs_materially(raw_ns: int, corrected_ns: int) -> bool:
    """Tell a difference that matters: more than 5 ms, and more than a tenth of vegeta's figure."""
    return corrected_ns - raw_ns > _LEAST_NS and corrected_ns - raw_ns > _LEAST_SHARE * raw_ns


def why_they_differ(figures: Figures, *, max_workers: int | None) -> str | None:
    """Say in one sentence why corrected latency is longer than vegeta's; None where it is not materially so.

    Args:
        figures: of one target.
        max_workers: how many requests its attackers could have under way at most; None where that is not known.
    """
    raw, corrected, lag = figures.latency_ns, figures.corrected_latency_ns, figures.attack.lag_ns
    if raw is None or corrected is None or lag is None:
        return None
    name = _first_that_differs(raw, corrected, figures.requests)
    if name is None:
        return None
    late = f"requests were sent up to {in_words(lag.max)} after they were due"
    return (
        f"Corrected {name} is {_of(corrected, name)} and vegeta's {_of(raw, name)}, because "
        f"{_with_cause(late, figures.attack.max_in_flight, max_workers)}: vegeta's clock starts only then."
    )


def _first_that_differs(raw: LatencyFigures, corrected: LatencyFigures, requests: int) -> str | None:
    """Pass over percentiles that are the maximum for want of requests: one late request is no reason for words."""
    raw_ns, corrected_ns = raw.model_dump(), corrected.model_dump()
    told = (name for name, share in _PERCENTILES.items() if requests * (1 - share) >= 1)
    return next((name for name in told if differs_materially(raw_ns[name], corrected_ns[name])), None)


def _of(latency: LatencyFigures, name: str) -> str:
    return in_words(latency.model_dump()[name])


def _with_cause(late: str, max_in_flight: int, max_workers: int | None) -> str:
    if max_workers is None or max_in_flight < max_workers:
        return f"{late}, at most {max_in_flight:,} under way at once"
    busy = "its only worker" if max_workers == 1 else f"all {max_workers:,} workers"
    return f"{busy} (max_workers) waited for answers and {late}"
