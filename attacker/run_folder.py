"""The run folder: where a run's files lie, on a disk as in a bucket."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from attacker.evidence import Evidence, sha256_of
from attacker.exits import RunBrokenError
from attacker.plan import Shard
from attacker.report.assemble import FoundShard
from attacker.report.validity.shards import ShardState
from attacker.results.columns import Results
from attacker.results.parquet import ROWS_FILE, open_parquet
from attacker.results.rows import HeldRows, Rows

__all__ = ["NO_ROWS", "FindRows", "find_rows", "find_shard", "shard_folder"]

NO_ROWS = HeldRows(Results.joined([]))

FindRows = Callable[[Path, str], tuple[Rows, str | None]]
"""Finds the rows in a file of that checksum: they, or none and what is wrong with them."""


class _Absent(BaseModel, frozen=True):
    reason: str


def shard_folder(run_folder: Path, shard: str) -> Path:
    """Tell where a shard's rows and evidence lie."""
    return run_folder / "shards" / shard


def find_shard(run_folder: Path, shard: Shard, *, run: str, rows_in: FindRows | None = None) -> FoundShard:
    """Find what there is of a planned shard; what is missing or damaged is said in its state, not raised.

    Its rows are those that were measured, by their checksum; they are read when they are measured by.

    Args:
        run_folder: where it lies.
        shard: as it was planned.
        run: the run's id.
        rows_in: finds its rows; without it, they are in the folder.
    """
    folder = shard_folder(run_folder, shard.name)
    try:
        evidence = Evidence.model_validate_json((folder / "shard.json").read_bytes())
    except FileNotFoundError:
        state = ShardState(name=shard.name, run=run, evidence=None, trouble=_reason_of_absence(folder))
        return FoundShard(shard=shard, state=state, rows=NO_ROWS)
    except (OSError, ValidationError) as error:
        damage = f"shard.json cannot be read: {_in_words(error)}"
        state = ShardState(name=shard.name, run=run, evidence=None, trouble=damage)
        return FoundShard(shard=shard, state=state, rows=NO_ROWS)
    rows, trouble = (rows_in or find_rows)(folder / ROWS_FILE, evidence.results_sha256)
    state = ShardState(name=shard.name, run=run, evidence=evidence, trouble=trouble)
    return FoundShard(shard=shard, state=state, rows=rows)


def _reason_of_absence(folder: Path) -> str | None:
    """Say why a shard did not attack, where it said so."""
    try:
        return _Absent.model_validate_json((folder / "absent.json").read_bytes()).reason
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        return f"absent.json cannot be read: {_in_words(error)}"


def _in_words(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ": ".join(part for part in (".".join(map(str, fault["loc"])), fault["msg"]) if part)


def find_rows(file: Path, sha256: str) -> tuple[Rows, str | None]:
    """Find the rows in a file of that checksum; where they are none, say what is wrong with them."""
    try:
        if sha256_of(file) != sha256:
            return NO_ROWS, f"{file.name} is not what was measured: its sha256 differs from the evidence's"
        return open_parquet(file), None
    except FileNotFoundError:
        return NO_ROWS, f"{file.name} is missing"
    except (OSError, RunBrokenError) as error:
        return NO_ROWS, str(error)
