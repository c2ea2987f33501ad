"""Shards of more rows than a piece holds, some of them twice, in this shard and in others."""

from pathlib import Path

import numpy as np

from attacker.evidence import sha256_of
from attacker.plan import Shard
from attacker.results.columns import Results, Text
from attacker.results.parquet import write_parquet
from attacker.run_folder import shard_folder
from tests.attacker.building import MS, START_NS, a_shard, a_target, an_evidence

__all__ = ["many_rows", "planned_shards", "with_twins", "write_shard"]


def many_rows(n: int, *, seed: int) -> Results:
    """Make rows of latencies up to 4 s, in the order of completion, a millisecond from one to the next."""
    random = np.random.default_rng(seed)
    seq = np.arange(n)
    sent_ns = START_NS + seq * MS + random.integers(0, MS, n)
    latency_ns = random.integers(1, 20 * MS, n) * np.where(random.random(n) < 0.01, 200, 1)
    code = np.where(random.random(n) < 0.02, 0, 200)
    same, order = np.zeros(n, np.int32), np.argsort(sent_ns + latency_ns, kind="stable")
    return Results(
        timestamp_ns=sent_ns[order],
        seq=seq[order],
        code=code[order],
        latency_ns=latency_ns[order],
        bytes_in=random.integers(0, 90, n),
        bytes_out=np.full(n, 2),
        attack=Text(same, ("get-a",)),
        error=Text((code[order] == 0).astype(np.int32), ("", "EOF")),
        method=Text(same, ("GET",)),
        url=Text(same, ("http://api:5000/",)),
    )


def with_twins(results: Results, of: Results, *, every: int) -> Results:
    """Add every so manieth row of others."""
    return Results.joined([results, of[::every]])


def planned_shards(*, targets: int = 2, shards: int = 3, requests: int = 100) -> tuple[Shard, ...]:
    """Plan some targets, each with some shards."""
    return tuple(
        a_shard(name=f"get-{target}-{number}", target=a_target(name=f"get-{target}"), requests=requests)
        for target in "abcdefgh"[:targets]
        for number in range(shards)
    )


def write_shard(run_folder: Path, shard: Shard, results: Results) -> None:
    """Leave a shard as an attack pod does."""
    folder = shard_folder(run_folder, shard.name)
    folder.mkdir(parents=True)
    write_parquet([results], folder / "results.parquet")
    digits = sha256_of(folder / "results.parquet")
    evidence = an_evidence(shard=shard.name, target=shard.target.name, results_sha256=digits, records=len(results))
    (folder / "shard.json").write_text(evidence.model_dump_json())
