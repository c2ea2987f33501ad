"""The figures a second way: by SQL, in another database, on what `vegeta encode` makes of the results files.

Nothing here is this project's: neither its reader nor its arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tests.attacker.by_vegeta import encoded

__all__ = ["SecondWay"]

_COLUMNS = {
    "timestamp_ns": "BIGINT",
    "code": "INTEGER",
    "latency_ns": "BIGINT",
    "bytes_out": "BIGINT",
    "bytes_in": "BIGINT",
    "error": "VARCHAR",
    "body": "VARCHAR",
    "attack": "VARCHAR",
    "seq": "BIGINT",
    "method": "VARCHAR",
    "url": "VARCHAR",
    "headers": "VARCHAR",
}
_SHARES = {
    "p50": (1, 2),
    "p90": (9, 10),
    "p95": (19, 20),
    "p99": (99, 100),
    "p99.9": (999, 1000),
    "p99.99": (9999, 10000),
}
_ROWS = """
    CREATE VIEW rows AS SELECT *, shift_ns - min(shift_ns) OVER (PARTITION BY shard) AS lag_ns
    FROM (SELECT *, timestamp_ns - seq * {interval_ns} AS shift_ns FROM everything)
"""
_ORDER = """
    SELECT value FROM (SELECT {what} AS value, row_number() OVER (ORDER BY {what}) AS rank FROM counted)
    WHERE rank = {rank}
"""
_IN_FLIGHT = """
    SELECT coalesce(max(under_way), 0) FROM (
        SELECT sum(change) OVER (ORDER BY at_ns, change ROWS UNBOUNDED PRECEDING) AS under_way FROM (
            SELECT timestamp_ns AS at_ns, 1 AS change FROM counted
            UNION ALL SELECT timestamp_ns + latency_ns, -1 FROM counted))
"""
_SKEW = """
    SELECT max(origin_ns) - min(origin_ns)
    FROM (SELECT min(timestamp_ns - seq * {interval_ns}) AS origin_ns FROM everything GROUP BY shard)
"""
_GAPS = "SELECT sum(gaps) FROM (SELECT max(seq) + 1 - count(DISTINCT seq) AS gaps FROM everything GROUP BY shard)"


@dataclass(frozen=True, slots=True)
class SecondWay:
    """A database of the shards of one target."""

    files: Sequence[Path]
    interval_ns: int
    warmup_requests: int

    def figures(self, folder: Path) -> dict[str, Any]:
        """Compute what `Figures` holds, but for classes of errors, by its own names."""
        with duckdb.connect() as database:
            self._read(database, folder)
            return {**_figures(database), "attack": self._attack(database)}

    def _read(self, database: duckdb.DuckDBPyConnection, folder: Path) -> None:
        shards = []
        for shard, file in enumerate(self.files):
            table = folder / f"shard-{shard}.csv"
            table.write_bytes(encoded(file.read_bytes(), "csv"))
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
            shards.append(
                f"SELECT *, {shard} AS shard FROM read_csv('{table}', header = false, columns = {{{columns}}})"
            )
        database.execute(f"CREATE TABLE everything AS {' UNION ALL '.join(shards)}")
        database.execute(_ROWS.format(interval_ns=self.interval_ns))
        database.execute(f"CREATE TABLE counted AS SELECT * FROM rows WHERE seq >= {self.warmup_requests}")

    def _attack(self, database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
        lag = {name: value for name, value in _latency(database, "lag_ns").items() if name in {"p50", "p99", "max"}}
        return {
            "shards": len(self.files),
            "sent": _one(database, "SELECT count(*) FROM counted"),
            "start_skew_ns": _one(database, _SKEW.format(interval_ns=self.interval_ns)),
            "lag_ns": lag,
            "seq_gaps": _one(database, _GAPS),
            "duplicates": _one(
                database, "SELECT count(*) - count(DISTINCT (timestamp_ns, seq, latency_ns)) FROM everything"
            ),
            "max_in_flight": _one(database, _IN_FLIGHT),
        }


def _figures(database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    span = "nullif(max(timestamp_ns) - min(timestamp_ns), 0)"
    whole = "nullif(max(timestamp_ns + latency_ns) - min(timestamp_ns), 0)"
    succeeded = "count(*) FILTER (code BETWEEN 200 AND 399)"
    codes = database.execute("SELECT code::VARCHAR, count(*) FROM counted GROUP BY code ORDER BY code").fetchall()
    return {
        "requests": _one(database, "SELECT count(*) FROM counted"),
        "rate_per_s": _one(database, f"SELECT (count(*) - 1) * 1e9::DOUBLE / {span} FROM counted"),
        "throughput_per_s": _one(database, f"SELECT {succeeded} * 1e9::DOUBLE / {whole} FROM counted"),
        "success": _one(database, f"SELECT {succeeded}::DOUBLE / count(*) FROM counted"),
        "bytes_in": _one(database, "SELECT sum(bytes_in) FROM counted"),
        "bytes_out": _one(database, "SELECT sum(bytes_out) FROM counted"),
        "latency_ns": _latency(database, "latency_ns"),
        "corrected_latency_ns": _latency(database, "latency_ns + lag_ns"),
        "status_codes": dict(codes),
        "failed": _one(database, "SELECT count(*) FILTER (code NOT BETWEEN 200 AND 399) FROM counted"),
    }


def _latency(database: duckdb.DuckDBPyConnection, what: str) -> dict[str, int]:
    n = _one(database, "SELECT count(*) FROM counted")
    mean = f"SELECT sum({what}) // count(*) FROM counted"
    ranks = {name: (n * over + under - 1) // under for name, (over, under) in _SHARES.items()}
    return {
        "min": _one(database, f"SELECT min({what}) FROM counted"),
        "mean": _one(database, mean),
        **{name: _one(database, _ORDER.format(what=what, rank=rank)) for name, rank in ranks.items()},
        "max": _one(database, f"SELECT max({what}) FROM counted"),
    }


def _one(database: duckdb.DuckDBPyConnection, query: str) -> Any:
    found = database.execute(query).fetchone()
    assert found is not None
    return found[0]
