"""The exact report that people write themselves: vegeta encode, then polars. `encode_polars.py RESULTS SCRATCH`."""

import subprocess
import sys
from pathlib import Path

import polars as pl

VEGETA = str(Path(sys.executable).parent / "vegeta")
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
COLUMNS = [
    "timestamp",
    "code",
    "latency",
    "bytes_out",
    "bytes_in",
    "error",
    "body",
    "attack",
    "seq",
    "method",
    "url",
    "headers",
]
TIMESTAMP, CODE, LATENCY = COLUMNS[:3]


def main(results: str, scratch: str) -> None:
    """Print exact percentiles, mean, rate and status codes."""
    subprocess.run([VEGETA, "encode", "-to=csv", f"-output={scratch}", results], check=True)
    rows = pl.scan_csv(scratch, has_header=False, new_columns=COLUMNS)
    latency = pl.col(LATENCY)
    figures = rows.select(
        pl.len(),
        latency.mean().alias("mean"),
        latency.max().alias("max"),
        *(latency.quantile(share, "higher").alias(f"p{share}") for share in SHARES),
        (pl.col(TIMESTAMP).max() - pl.col(TIMESTAMP).min()).alias("span"),
    ).collect()
    codes = rows.group_by(CODE).len().collect()
    print(figures, codes)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
