"""Buckets of equal width over a run, by the moment that each request was due."""

from dataclasses import dataclass

__all__ = ["MOST_BUCKETS", "SECOND_NS", "Buckets", "buckets_over"]

MOST_BUCKETS = 120
SECOND_NS = 1_000_000_000
_FEWEST_REQUESTS = 20
_DAY_NS = 86_400 * SECOND_NS
_WIDTHS_NS = (
    *(tenths * SECOND_NS // 10 for tenths in (1, 2, 5)),
    *(seconds * SECOND_NS for seconds in (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600)),
)


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one target."""

    first_ns: int
    """The moment that the first request was due."""
    span_ns: int
    """From there to the last one's."""
    width_ns: int

    @property
    def number(self) -> int:
        """How many there are."""
        return 1 + self.span_ns // self.width_ns


def buckets_over(first_ns: int, last_ns: int, requests: int) -> Buckets:
    """Choose the finest width that gives few enough buckets with enough requests in each."""
    span_ns = last_ns - first_ns
    most = max(1, min(MOST_BUCKETS, requests // _FEWEST_REQUESTS))
    days = 1 + span_ns // (most * _DAY_NS)
    widths_ns = (*_WIDTHS_NS, days * _DAY_NS)
    return Buckets(first_ns, span_ns, next(width_ns for width_ns in widths_ns if span_ns // width_ns < most))
