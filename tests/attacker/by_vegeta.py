"""What the real vegeta writes, and what it reads of it."""

import csv
import io
import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attacker.results.columns import Results
from attacker.vegeta import find_vegeta

__all__ = [
    "a_record",
    "attacked",
    "columns_by_vegeta",
    "columns_of",
    "encoded",
    "finished",
    "gob_of",
    "message_ends",
    "reported",
]

_TIMEOUT_S = 60


def attacked(urls: Sequence[str], *options: str, by: Sequence[str] = ()) -> bytes:
    """Attack URLs in turn, vegeta being started by way of the program `by`; returns the results file.

    A URL can have a method before it: `POST http://api/`.
    """
    requests = [url.rpartition(" ") for url in urls]
    targets = "".join(json.dumps({"method": method or "GET", "url": url}) + "\n" for method, _, url in requests)
    command = [*by, str(find_vegeta()), "-cpus=1", "attack", "-format=json", "-timeout=10s", *options]
    return finished(command, stdin=targets.encode())


def finished(command: Sequence[str], *, stdin: bytes = b"") -> bytes:
    """Run vegeta to its end; returns what it printed."""
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=_TIMEOUT_S).stdout


def reported(*files: Path) -> dict[str, Any]:
    """Have vegeta report on results files, as JSON."""
    found: dict[str, Any] = json.loads(
        finished([str(find_vegeta()), "-cpus=1", "report", "-type=json", *map(str, files)])
    )
    return found


def encoded(results: bytes, to: str) -> bytes:
    """Have vegeta write results in another of its encodings, as far as it can read them."""
    command = [str(find_vegeta()), "-cpus=1", "encode", f"-to={to}"]
    return subprocess.run(command, input=results, capture_output=True, check=False, timeout=_TIMEOUT_S).stdout


def a_record(**changes: object) -> dict[str, object]:
    """Make a result in vegeta's own words; `timestamp_ns` is since 1970."""
    return {
        "attack": "get-health",
        "seq": 0,
        "code": 200,
        "timestamp_ns": 1_771_254_421_123_456_789,
        "latency": 1_000_000,
        "bytes_out": 0,
        "bytes_in": 15,
        "error": "",
        "body": "",
        "method": "GET",
        "url": "http://api:5000/health",
        "headers": None,
        **changes,
    }


def gob_of(records: Sequence[Mapping[str, object]]) -> bytes:
    """Have vegeta write a results file of these records."""
    return encoded("".join(json.dumps(_as_vegeta_json(record)) + "\n" for record in records).encode(), "gob")


def _as_vegeta_json(record: Mapping[str, object]) -> dict[str, object]:
    seconds, ns = divmod(int(str(record["timestamp_ns"])), 1_000_000_000)
    moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"
    return {name: value for name, value in record.items() if name != "timestamp_ns"} | {"timestamp": moment}


def columns_by_vegeta(results: bytes) -> dict[str, list[int] | list[str]]:
    """Read a results file by `vegeta encode -to csv`."""
    csv.field_size_limit(1 << 30)
    rows = list(csv.reader(io.StringIO(encoded(results, "csv").decode(), newline="")))
    numbers = {"timestamp_ns": 0, "seq": 8, "code": 1, "latency_ns": 2, "bytes_in": 4, "bytes_out": 3}
    texts = {"attack": 7, "error": 5, "method": 9, "url": 10}
    return {
        **{name: [int(row[column]) for row in rows] for name, column in numbers.items()},
        **{name: [row[column] for row in rows] for name, column in texts.items()},
    }


def columns_of(results: Results) -> dict[str, list[int] | list[str]]:
    """Spell results out as `columns_by_vegeta` does."""
    numbers = ("timestamp_ns", "seq", "code", "latency_ns", "bytes_in", "bytes_out")
    return {
        **{name: getattr(results, name).tolist() for name in numbers},
        **{name: getattr(results, name).to_list() for name in ("attack", "error", "method", "url")},
    }


def message_ends(results: bytes) -> list[int]:
    """Find where each message of a gob stream ends, by the length before it."""
    ends, at = [], 0
    while at < len(results):
        first = results[at]
        start = at + 1 if first < 128 else at + 1 + 256 - first
        length = first if first < 128 else int.from_bytes(results[at + 1 : start], "big")
        at = start + length
        ends.append(at)
    return ends
