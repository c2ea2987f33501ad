"""How far percentiles are from the truth where latency has two humps: vegeta's, and this project's."""

import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tests.benchmarks.measuring import PYTHON, VEGETA, Row, tell

__all__ = ["errors_on_two_humps"]

_REQUESTS = 1_000_000
_RATE_PER_S = 10_000
_START_NS = 1_771_254_421 * 1_000_000_000
_FAST_NS, _SLOW_NS = 5_000_000, 250_000_000
_SPREAD = 0.1
"""Of the logarithm: most of a hump is within a tenth of its middle."""
_SHARES = {"p95": 0.95, "p99": 0.99}
_VEGETAS = {"p95": "95th", "p99": "99th"}

Latencies = npt.NDArray[np.int64]
Errors = dict[str, float]


def errors_on_two_humps(folder: Path, *, rounds: int) -> Iterator[Row]:
    """Compare percentiles with the sorted latencies, on as many draws of each mixture as there are rounds."""
    for slow_share in (0.05, 0.01):
        vegetas: list[Errors] = []
        ours: list[Errors] = []
        for seed in range(rounds):
            latency_ns = _two_humps(slow_share, seed)
            results = _written_by_vegeta(latency_ns, folder / f"humps-{seed}.gob")
            truth = {
                name: int(np.sort(latency_ns)[int(np.ceil(share * _REQUESTS)) - 1]) for name, share in _SHARES.items()
            }
            vegetas.append(_errors(_by_vegeta(results), truth))
            ours.append(_errors(_by_us(results), truth))
            tell(f"  {slow_share:.0%} slow, draw {seed}: vegeta {vegetas[-1]}, ours {ours[-1]}, truth {truth} ns")
            results.unlink()
        for name in _SHARES:
            of_vegeta, of_us = ([one[name] for one in all_] for all_ in (vegetas, ours))
            told = f"{max(of_us):.1%} against {statistics.median(of_vegeta):.1%} ({_span(of_vegeta)})"
            what = f"error of {name}, {1 - slow_share:.0%} around 5 ms and {slow_share:.0%} around 250 ms"
            yield Row(what, "`vegeta report`", told, "0", max(of_us) == 0)


def _two_humps(slow_share: float, seed: int) -> Latencies:
    draw = np.random.default_rng(seed)
    middle_ns = np.where(draw.random(_REQUESTS) < slow_share, _SLOW_NS, _FAST_NS)
    return (middle_ns * np.exp(draw.normal(0, _SPREAD, _REQUESTS))).astype(np.int64)


def _written_by_vegeta(latency_ns: Latencies, file: Path) -> Path:
    """Give vegeta the rows as CSV, which it writes as it writes an attack's results."""
    seq = np.arange(len(latency_ns))
    rows = pl.DataFrame(
        {
            "timestamp": _START_NS + seq * (1_000_000_000 // _RATE_PER_S),
            "code": np.full(len(seq), 200),
            "latency": latency_ns,
            "bytes_out": np.zeros(len(seq), np.int64),
            "bytes_in": np.full(len(seq), 15),
        }
    ).with_columns(
        pl.lit("").alias("error"),
        pl.lit("").alias("body"),
        pl.lit("humps").alias("attack"),
        pl.Series("seq", seq),
        pl.lit("GET").alias("method"),
        pl.lit("http://127.0.0.1/").alias("url"),
        pl.lit("").alias("headers"),
    )
    encode = [VEGETA, "encode", "-to=gob", f"-output={file}"]
    text = rows.write_csv(include_header=False, quote_style="never").encode()
    subprocess.run(encode, input=text, check=True)
    return file


def _by_vegeta(results: Path) -> dict[str, int]:
    told = subprocess.run([VEGETA, "report", "-type=json", results], capture_output=True, check=True).stdout
    latencies = json.loads(told)["latencies"]
    return {name: latencies[_VEGETAS[name]] for name in _SHARES}


def _by_us(results: Path) -> dict[str, int]:
    command = [PYTHON, "-m", "attacker", "report", str(results), "--type", "json"]
    latencies = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["latency_ns"]
    return {name: latencies[name] for name in _SHARES}


def _errors(told_ns: dict[str, int], truth_ns: dict[str, int]) -> Errors:
    return {name: abs(told_ns[name] / truth_ns[name] - 1) for name in _SHARES}


def _span(errors: list[float]) -> str:
    return f"{min(errors):.1%} to {max(errors):.1%} in {len(errors)} draws"
