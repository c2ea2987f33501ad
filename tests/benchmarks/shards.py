"""Make the folder of a run that was never run: as many shards as wanted, as attack pods leave them, of a realistic API.

Latencies have two humps (a cache's hits and misses) and rare outliers, requests go out late as they do, the attacker
stands still for a moment, and some answers are errors. The same arguments give the same rows.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attacker.evidence import Evidence, sha256_of
from attacker.plan import Shard
from attacker.report.figures import Run
from attacker.results.columns import Ints, Results, Text
from attacker.results.parquet import write_parquet
from attacker.run_folder import shard_folder
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest
from workflows.steps.plan import plan

__all__ = ["MadeRun", "a_made_run", "planned"]

RUN = "20260101-000000-made"
START_NS = 1_767_225_600 * 1_000_000_000
SHARD_RATE_PER_S = 5000  # what a core sends and still measures well
MS = 1_000_000
PORTS = 50
"""As many texts has each kind of failure that names the attacker's own port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRun:
    """A run folder and what `aggregate` is to be told of it."""

    folder: Path
    loadtest: LoadTest
    shards: tuple[Shard, ...]
    run: Run


def a_made_run(folder: Path, *, targets: int, shards: int, requests: int) -> MadeRun:
    """Make a run with so many shards a target and requests a shard; shards that are there already stay."""
    made = planned(folder, targets=targets, shards=shards, requests=requests)
    missing = [
        index
        for index, shard in enumerate(made.shards)
        if not (shard_folder(folder, shard.name) / "shard.json").exists()
    ]
    with ProcessPoolExecutor(2) as processes:
        list(
            processes.map(_write_shard, *zip(*((folder, made.shards[index], index) for index in missing), strict=True))
        )
    return made


def planned(folder: Path, *, targets: int, shards: int, requests: int) -> MadeRun:
    """Plan such a run, whose shards may be there or not."""
    asked = {
        "targets": [f"GET /{index}" for index in range(targets)],
        "rate": SHARD_RATE_PER_S * shards,
        "duration": f"{requests * 1_000_000 // SHARD_RATE_PER_S}us",
        "shards": shards,
        "warmup": "0s",
        "objectives": ["p99 < 500ms"],
    }
    loadtest = parse_loadtest(asked)
    run = Run(id=RUN, started="", ended="", engine="made", loadtest=loadtest.as_run(), environment={})
    return MadeRun(folder=folder, loadtest=loadtest, shards=plan(loadtest, base_url="http://api:5000"), run=run)


def _rows_of(shard: Shard, *, seed: int) -> Results:
    """Make what vegeta would have measured, in the order of completion."""
    random = np.random.default_rng(seed)
    n = shard.warmup_requests + shard.requests
    seq = np.arange(n)
    due_ns = START_NS + shard.delay_ns + random.integers(0, 5 * MS) + seq * shard.rate.interval_ns
    timestamp_ns = np.maximum.accumulate(due_ns + _lag_ns(random, n))
    latency_ns = _latency_ns(random, n)
    failed = random.random(n)
    code, errors = _answers(failed, latency_ns, random)
    latency_ns = np.where(failed < 0.001, 30_000 * MS + random.integers(0, MS, n), latency_ns)
    order = np.argsort(timestamp_ns + latency_ns, kind="stable")
    same = np.zeros(n, np.int32)
    return Results(
        timestamp_ns=timestamp_ns[order],
        seq=seq[order],
        code=code[order],
        latency_ns=latency_ns[order],
        bytes_in=np.where(code == 0, 0, 100 + random.integers(0, 50, n))[order],
        bytes_out=np.zeros(n, np.int64),
        attack=Text(same, (shard.name,)),
        error=Text(errors.codes[order], errors.values),
        method=Text(same, ("GET",)),
        url=Text(same, (shard.target.url,)),
    )


def _lag_ns(random: np.random.Generator, n: int) -> Ints:
    """Send a tenth of a millisecond late, and once, for a two-hundredth of the run, not at all."""
    late_ns: Ints = random.exponential(0.1 * MS, n).astype(np.int64)
    stall, begin = max(1, n // 200), int(random.integers(0, n))
    late_ns[begin : begin + stall] += (np.arange(stall, 0, -1) * (1_000_000_000 // SHARD_RATE_PER_S))[: n - begin]
    return late_ns


def _latency_ns(random: np.random.Generator, n: int) -> Ints:
    hits, misses = random.lognormal(np.log(3 * MS), 0.35, n), random.lognormal(np.log(60 * MS), 0.3, n)
    latency_ns = np.where(random.random(n) < 0.92, hits, misses)
    return np.where(random.random(n) < 0.0005, latency_ns * 40, latency_ns).astype(np.int64)


def _answers(failed: npt.NDArray[np.float64], latency_ns: Ints, random: np.random.Generator) -> tuple[Ints, Text]:
    """Let one request in a thousand time out, three be refused by a port of the attacker's, and six get a 503."""
    refusals = [
        f"read tcp 10.1.2.3:{40_000 + port}->10.0.0.1:5000: read: connection reset by peer" for port in range(PORTS)
    ]
    timeout = 'Get "http://api:5000/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    values = ("", timeout, "503 Service Unavailable", *refusals)
    kinds = np.select([failed < 0.001, failed < 0.004, failed < 0.01], [1, 3, 2], default=0)
    codes = np.where(kinds == 3, 3 + random.integers(0, PORTS, len(latency_ns)), kinds)
    return np.select([kinds == 0, kinds == 2], [200, 503], default=0), Text(codes.astype(np.int32), values)


def _write_shard(folder: Path, shard: Shard, seed: int) -> None:
    into = shard_folder(folder, shard.name)
    into.mkdir(parents=True, exist_ok=True)
    rows = _rows_of(shard, seed=seed)
    write_parquet([rows], into / "results.parquet")
    (into / "shard.json").write_text(_evidence(shard, rows, into).model_dump_json())


def _evidence(shard: Shard, rows: Results, into: Path) -> Evidence:
    known: dict[str, object] = {
        "run": RUN,
        "shard": shard.name,
        "target": shard.target.name,
        "method": shard.target.method,
        "url": shard.target.url,
        "command": ("vegeta", "attack"),
        "vegeta_version": "12.13.0",
        "rate": str(shard.rate),
        "interval_ns": shard.rate.interval_ns,
        "delay_ns": shard.delay_ns,
        "warmup_requests": shard.warmup_requests,
        "requests": shard.requests,
        "expected_status": (),
        "start_at_ns": START_NS,
        "started_ns": START_NS,
        "ended_ns": int((rows.timestamp_ns + rows.latency_ns).max()),
        "exit_code": 0,
        "interrupted": False,
        "log": "",
        "records": len(rows),
        "trailing_bytes": 0,
        "damage": None,
        "lag_ns": None,
        "seq_gaps": 0,
        "max_in_flight": 0,
        "max_workers": None,
        "cut_bodies": 0,
        "throttled_ratio": 0.0,
        "oom_kills": 0,
        "busy_ratio": None,
        "clock": None,
        "node": "made",
        "image_digest": None,
        "results_sha256": sha256_of(into / "results.parquet"),
    }
    return Evidence.model_validate(known)
