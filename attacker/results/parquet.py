"""Results as Parquet files: one row a request, every number as vegeta wrote it."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attacker.exits import RunBrokenError
from attacker.results.columns import Ints, Results, Text
from attacker.results.rows import PIECE_ROWS, Piece

__all__ = ["ROWS_FILE", "ParquetRows", "open_parquet", "write_parquet"]

ROWS_FILE = "results.parquet"
"""What the rows of a shard are called in its folder."""

_NUMBERS = {
    "timestamp_ns": "Int64",
    "seq": "Int64",
    "code": "UInt16",
    "latency_ns": "Int64",
    "bytes_in": "Int64",
    "bytes_out": "Int64",
}
_TEXTS = ("error", "method", "url")
_KINDS = {**_NUMBERS, **dict.fromkeys(_TEXTS, "String")}


def write_parquet(batches: Iterable[Results], file: Path) -> None:
    """Write rows as they come, with all columns but for the attack's name, which is the file's own.

    Raises:
        Exception: what `batches` raises, as it is; then the file holds the rows before it.
    """
    import polars as pl  # noqa: PLC0415  (a fifth of a second that --help need not wait for)
    from polars.io.plugins import register_io_source  # noqa: PLC0415

    raised: list[Exception] = []

    def frames(*_: object) -> "Iterator[pl.DataFrame]":
        try:
            for batch in batches:
                yield _frame(batch)
        except Exception as error:  # noqa: BLE001  (polars would make an error of its own of it)
            raised.append(error)

    rows = register_io_source(frames, schema={name: getattr(pl, kind) for name, kind in _KINDS.items()})
    # A piece can be read by itself: what is before it need not be decoded.
    rows.sink_parquet(file, compression="zstd", compression_level=3, row_group_size=PIECE_ROWS)
    if raised:
        raise raised[0]


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """The rows of a file, read from it piece by piece."""

    file: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def first(self) -> Iterator[Piece]:
        """Read all pieces in order."""
        return (self.piece(index, (*_NUMBERS, "error")) for index in range(self.pieces))

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.length // PIECE_ROWS)

    def piece(self, index: int, columns: Collection[str]) -> Piece:
        """Read one piece. Raises RunBrokenError where its bytes are damaged."""
        import polars as pl  # noqa: PLC0415

        wanted = (
            pl.scan_parquet(self.file, glob=False, parallel="none", use_statistics=False)
            .select(columns)
            .slice(index * PIECE_ROWS, PIECE_ROWS)
        )
        try:
            frame = wanted.collect()
            numbers = {name: _as_numbers(frame[name]) for name in columns if name in _NUMBERS}
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _no_rows(self.file, error) from error
        return Piece(numbers, lambda chosen: _encoded(frame["error"].filter(pl.Series(chosen))))


def open_parquet(file: Path) -> ParquetRows:
    """Find out how many rows a file has that `write_parquet` wrote; they are read later.

    Raises:
        RunBrokenError: the file is missing, damaged at its end, or of other columns.
    """
    import polars as pl  # noqa: PLC0415

    try:
        rows = pl.scan_parquet(file, glob=False)
        schema = rows.collect_schema()
        wrong = [name for name, kind in _KINDS.items() if str(schema.get(name)) != kind]
        if wrong:
            raise pl.exceptions.SchemaError(f"no column {wrong[0]} of {_KINDS[wrong[0]]}")
        return ParquetRows(file, int(rows.select(pl.len()).collect().item()))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _no_rows(file, error) from error


def _as_numbers(column: "pl.Series") -> Ints:  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    if column.null_count():
        raise pl.exceptions.SchemaError(f"column {column.name} has rows without a value")
    numbers: Ints = column.cast(pl.Int64).to_numpy()
    return numbers


def _no_rows(file: Path, error: BaseException) -> RunBrokenError:
    reason = str(error).splitlines()[0]
    return RunBrokenError(f"{file}: these are no rows of a shard ({reason}): attack again")


def _frame(results: Results) -> "pl.DataFrame":  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    numbers = [pl.Series(name, getattr(results, name)).cast(getattr(pl, kind)) for name, kind in _NUMBERS.items()]
    return pl.DataFrame([*numbers, *(_spelled_out(name, getattr(results, name)) for name in _TEXTS)])


def _spelled_out(name: str, text: Text) -> "pl.Series":  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    return pl.Series(name, text.values, pl.String).gather(text.codes).alias(name)


def _encoded(column: "pl.Series") -> Text:  # type: ignore[name-defined]  # noqa: F821
    import polars as pl  # noqa: PLC0415

    values = column.unique(maintain_order=True)
    return Text(column.cast(pl.Enum(values)).to_physical().to_numpy().astype(np.int32), tuple(values))
