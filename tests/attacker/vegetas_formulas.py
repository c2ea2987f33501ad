"""What `vegeta report -type=json` computes exactly, computed again from results as this project reads them.

Sources: Metrics in lib/metrics.go and NewRoundRobinDecoder in lib/results.go of vegeta v12.13.0; Duration.Seconds in
Go's time package. Go's float64 is Python's float, and so is their arithmetic.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any

from attacker.results.columns import Results

__all__ = ["exact_fields", "exact_fields_told"]

_ESTIMATED = ("50th", "90th", "95th", "99th")
_NUMBERS = ("timestamp_ns", "latency_ns", "code", "bytes_in", "bytes_out")
_MOMENT = re.compile(r"(.{19})(?:\.(\d+))?(.+)")


def exact_fields(files: Sequence[Results]) -> dict[str, Any]:
    """Compute the report, but for its percentiles, which vegeta estimates; moments are whole nanoseconds since 1970."""
    rows = _in_turns(files)
    timestamps, latencies, codes, bytes_in, bytes_out, errors = zip(*rows, strict=True)
    requests, successes = len(rows), sum(200 <= code < 400 for code in codes)
    earliest, latest = min(timestamps), max(timestamps)
    end = max(timestamp + latency for timestamp, latency in zip(timestamps, latencies, strict=True))
    seconds = _seconds(latest - earliest)
    return {
        "latencies": {
            "total": sum(latencies),
            "mean": int(float(sum(latencies)) / float(requests)),
            "min": _least(latencies),
            "max": max(latencies),
        },
        "bytes_in": {"total": sum(bytes_in), "mean": float(sum(bytes_in)) / float(requests)},
        "bytes_out": {"total": sum(bytes_out), "mean": float(sum(bytes_out)) / float(requests)},
        "earliest": earliest,
        "latest": latest,
        "end": end,
        "duration": latest - earliest,
        "wait": end - latest,
        "requests": requests,
        "rate": float(requests) / seconds if seconds > 0 else float(requests),
        "throughput": float(successes) / _seconds(end - earliest) if seconds > 0 else float(successes),
        "success": float(successes) / float(requests),
        "status_codes": dict(Counter(str(code) for code in codes)),
        "errors": list(dict.fromkeys(error for error in errors if error)),
    }


def exact_fields_told(report: dict[str, Any]) -> dict[str, Any]:
    """Take out of vegeta's report what it estimates, and count its moments in nanoseconds."""
    latencies = {name: value for name, value in report["latencies"].items() if name not in _ESTIMATED}
    moments = {name: _since_1970_ns(report[name]) for name in ("earliest", "latest", "end")}
    return {**report, **moments, "latencies": latencies}


def _seconds(duration_ns: int) -> float:
    whole, rest = divmod(duration_ns, 1_000_000_000)
    return float(whole) + float(rest) / 1e9


def _least(latencies: Iterable[int]) -> int:
    """Take a least latency of 0 for none at all, as vegeta does: what comes after it counts instead."""
    least = 0
    for latency in latencies:
        least = latency if latency < least or least == 0 else least
    return least


def _in_turns(files: Sequence[Results]) -> list[tuple[Any, ...]]:
    """Give the rows in the order in which vegeta reads several files: one of each in turn."""
    columns = [[getattr(results, name).tolist() for name in _NUMBERS] + [results.error.to_list()] for results in files]
    rounds = zip_longest(*(zip(*column, strict=True) for column in columns))
    return [row for row in chain.from_iterable(rounds) if row is not None]


def _since_1970_ns(rfc3339: str) -> int:
    """Read a moment in full, for Python's own clock knows microseconds only."""
    to_the_second, digits, zone = _MOMENT.findall(rfc3339)[0]
    moment = datetime.fromisoformat(to_the_second + zone)
    return int(moment.timestamp()) * 1_000_000_000 + int(digits.ljust(9, "0"))
