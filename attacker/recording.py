"""What vegeta wrote becomes a shard's rows: read once, written as it is read, and measured from what was written."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attacker.evidence import LagFigures
from attacker.exits import RunBrokenError
from attacker.measuring.duplicates import Window
from attacker.measuring.measure import measure
from attacker.measuring.measured import Measured
from attacker.measuring.outline import Outlines
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.report.statistics import lag_figures
from attacker.results.columns import Results, Text
from attacker.results.gob import GobReader, compile_ahead
from attacker.results.parquet import open_parquet, write_parquet

__all__ = ["Recorded", "get_ready", "record_rows"]

_POLARS_THREADS = "POLARS_MAX_THREADS"
"""Read once, when polars is loaded."""
_LONGEST_NS = 1 << 61
"""73 years."""
_LAST_MOMENT_NS = 1 << 62
"""In the year 2116."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the rows of one attack come to, those of the warm-up included."""

    records: int
    trailing_bytes: int
    """Bytes of a last record that was cut off."""
    damage: str | None
    """What is wrong with vegeta's file, where it could not be read to its end; then no row counts."""
    lag_ns: LagFigures | None
    seq_gaps: int
    max_in_flight: int
    cut_bodies: int
    """Answers that may have been longer than what was kept of them, which is all that bytes_in tells."""


def record_rows(raw: Path, rows: Path, *, interval_ns: int, max_body: int) -> Recorded:
    """Write the rows of vegeta's file as Parquet, and measure them, in bounded memory.

    Args:
        raw: what vegeta wrote; it may be missing.
        rows: the file to write. Of a damaged `raw` it holds none: bytes that are wrong may have looked like a row.
        interval_ns: the schedule's.
        max_body: how much was kept of each answer; less than 0: all.
    """
    file = _GobFile(raw, interval_ns=interval_ns, max_body=max_body)
    damage = None if raw.exists() else "vegeta was not started, or wrote nothing"
    try:
        write_parquet(() if damage else file.batches(), rows)
    except RunBrokenError as error:
        damage = str(error)
        write_parquet((), rows)
    measured = _measured(rows, interval_ns)
    return Recorded(
        records=measured.requests,
        trailing_bytes=file.trailing_bytes,
        damage=damage,
        lag_ns=lag_figures(measured.lag_ns),
        seq_gaps=measured.seq_gaps,
        max_in_flight=measured.max_in_flight,
        cut_bodies=0 if damage else file.cut_bodies,
    )


def get_ready(folder: Path) -> None:
    """Load now what recording needs: during an attack it would take CPU time from it, and after it, it takes time."""
    os.environ.setdefault(_POLARS_THREADS, "2")  # each holds rows; a large node would have many
    compile_ahead()
    rows = folder / "rehearsal.parquet"
    number, text = np.zeros(1, np.int64), Text(np.zeros(1, np.int32), ("",))
    numbers = dict.fromkeys(("timestamp_ns", "seq", "code", "latency_ns", "bytes_in", "bytes_out"), number)
    write_parquet([Results(**numbers, attack=text, error=text, method=text, url=text)], rows)
    _measured(rows, interval_ns=1)
    rows.unlink()


class _GobFile:
    """Vegeta's file, and what is seen of it as it is read."""

    def __init__(self, raw: Path, *, interval_ns: int, max_body: int) -> None:
        self._raw = raw
        self._interval_ns = interval_ns
        self._max_body = max_body
        self.cut_bodies = 0
        self.trailing_bytes = 0

    def batches(self) -> Iterator[Results]:
        """Read it. Raises RunBrokenError where it is damaged."""
        with self._raw.open("rb", buffering=0) as stream:
            reader = GobReader(stream, self._raw.name)
            for batch in reader.batches():
                if not self._is_possible(batch):
                    raise reader.broken("a number before it that no attack has", remedy="its bytes are damaged")
                self.cut_bodies += self._cut_bodies(batch)
                yield batch
            self.trailing_bytes = reader.trailing_bytes

    def _is_possible(self, results: Results) -> bool:
        """Can all moments of these rows be told in 64 bits? Bytes that are wrong can look like any number."""
        last_seq = _LONGEST_NS // self._interval_ns
        return bool(
            (results.seq <= last_seq).all()
            and ((results.timestamp_ns >= 0) & (results.timestamp_ns < _LAST_MOMENT_NS)).all()
            and ((results.latency_ns >= -_LONGEST_NS) & (results.latency_ns <= _LONGEST_NS)).all()
        )

    def _cut_bodies(self, results: Results) -> int:
        if self._max_body < 0:
            return 0
        return int(np.count_nonzero((results.bytes_in >= self._max_body) & (results.code != 0)))


class _OneShard(Here):
    """Reads one shard alone, of which nobody asks yet what is there twice."""

    def duplicates(self, outlines: Outlines, window: Window) -> Sequence[int]:  # noqa: ARG002
        return (0,)


def _measured(rows: Path, interval_ns: int) -> Measured:
    """Measure what was written: that it can be read is known then, too."""
    samples = [Sample(shards=(MeasuredShard(rows=open_parquet(rows), interval_ns=interval_ns),))]
    [measured], _ = measure(samples, _OneShard(samples, share=[(0, 0)]))
    return measured.of_all()
