"""Results as Parquet files: one row a request, every number as vegeta wrote it."""

from pathlib import Path
from typing import Any

import numpy as np

from attacker.exits import RunBrokenError
from attacker.results import Results, Text

__all__ = ["read_parquet", "write_parquet"]

_NUMBERS = {
    "timestamp_ns": "Int64",
    "seq": "Int64",
    "code": "UInt16",
    "latency_ns": "Int64",
    "bytes_in": "Int64",
    "bytes_out": "Int64",
}
_TEXTS = ("error", "method", "url")


def write_parquet(results: Results, file: Path) -> None:
    """Write all rows and columns, but for the attack's name, which is the file's own."""
    import polars as pl  # noqa: PLC0415  (a fifth of a second that --help need not wait for)

    numbers = [pl.Series(name, getattr(results, name)).cast(getattr(pl, kind)) for name, kind in _NUMBERS.items()]
    texts = [_spelled_out(name, getattr(results, name)) for name in _TEXTS]
    order = ["timestamp_ns", "seq", "code", "latency_ns", "bytes_in", "bytes_out", *_TEXTS]
    pl.DataFrame([*numbers, *texts]).select(order).write_parquet(file, compression="zstd", compression_level=3)


def read_parquet(file: Path, *, attack: str) -> Results:
    """Read what `write_parquet` wrote.

    Raises:
        RunBrokenError: the file is missing, damaged or of other columns.
    """
    import polars as pl  # noqa: PLC0415

    try:
        frame = pl.read_parquet(file, columns=[*_NUMBERS, *_TEXTS])
        numbers: dict[str, Any] = {name: frame[name].cast(pl.Int64).to_numpy() for name in _NUMBERS}
        texts: dict[str, Any] = {name: _encoded(frame[name]) for name in _TEXTS}
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise RunBrokenError(f"{file}: these are no rows of a shard ({reason}): attack again") from error
    return Results(**numbers, **texts, attack=Text(np.zeros(len(frame), np.int32), (attack,)))


def _spelled_out(name: str, text: Text) -> "pl.Series":  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    return pl.Series(name, text.values, pl.String).gather(text.codes).alias(name)


def _encoded(column: "pl.Series") -> Text:  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    values = column.unique(maintain_order=True)
    return Text(column.cast(pl.Enum(values)).to_physical().to_numpy().astype(np.int32), tuple(values))
