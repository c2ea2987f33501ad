"""A run's shards shared out over its readers, as whoever reports on them does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attacker.bucket import Bucket
from attacker.measuring.packing import pack, unpack
from attacker.measuring.shared import Readers, Shared
from attacker.plan_file import Plan, shards_path
from attacker.results.parquet import ROWS_FILE
from attacker.results.rows import Rows
from attacker.run_folder import NO_ROWS, find_shard

__all__ = ["SharedOut", "share_out", "shares_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedOut:
    """Shards that readers answer for."""

    reader: Shared
    """Asks them."""
    troubles: tuple[str, ...]
    """What could not be fetched from the bucket, by whomever, in the order of the files' names."""
    damages: Mapping[str, str | None]
    """What is wrong with each shard's rows, by whoever fetched them."""

    def rows_in(self, file: Path, _: str) -> tuple[Rows, str | None]:
        """Say what is wrong with a shard's rows; they themselves are elsewhere."""
        return NO_ROWS, self.damages[file.parent.name]


def share_out(plan: Plan, folder: Path, bucket: Bucket, readers: Readers) -> SharedOut:
    """Tell each reader what to fetch, and then what there is in all.

    Args:
        plan: of the run.
        folder: where everything but rows is brought.
        bucket: where the run lies.
        readers: to be asked.

    Raises:
        RunBrokenError: the bucket cannot be read, or a reader failed or said nothing.
    """
    place = shards_path(plan.run)
    sizes = bucket.sizes(f"{place}/")
    rows_of = {shard.name: f"{place}/{shard.name}/{ROWS_FILE}" for shard in plan.shards}
    troubles = bucket.fetch(sizes.keys() - rows_of.values(), place, folder / "shards")
    sha256 = _checksums(plan, folder)
    sizes_bytes = {shard: sizes.get(rows_of[shard], 0) for shard in sha256}
    shares = shares_of(sizes_bytes, readers.number)
    takes = [[(shard, sha256[shard], rows_of[shard] in sizes) for shard in share] for share in shares]
    damages, rows = dict[str, str | None](), dict[str, int]()
    for share, answer in zip(shares, readers.ask([pack({"take": one}) for one in takes]), strict=True):
        for shard, (trouble, damage, found) in zip(share, unpack(answer), strict=True):
            damages[shard], rows[shard] = damage, found
            troubles |= {rows_of[shard]: trouble} if trouble else {}
    everything = pack({"all": {shard: (rows[shard], sizes_bytes[shard]) for shard in sha256}})
    list(readers.ask([everything] * readers.number))
    return SharedOut(
        reader=Shared(readers), troubles=tuple(troubles[name] for name in sorted(troubles)), damages=damages
    )


def shares_of(sizes: Mapping[str, int], number: int) -> list[list[str]]:
    """Share things out so that about as much is in each: the largest first, each to whoever has least so far."""
    shares: list[list[str]] = [[] for _ in range(number)]
    loads = [0] * number
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        least = loads.index(min(loads))
        shares[least].append(name)
        loads[least] += sizes[name]
    return shares


def _checksums(plan: Plan, folder: Path) -> dict[str, str]:
    """Give the checksum of each shard's rows, where it left evidence."""
    found = (find_shard(folder, shard, run=plan.run, rows_in=lambda *_: (NO_ROWS, None)) for shard in plan.shards)
    return {one.shard.name: one.state.evidence.results_sha256 for one in found if one.state.evidence}
