"""Results files for benchmarks: what vegeta measured on the spot, as often as a size takes, in its own writing."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tests.benchmarks.encode_polars import COLUMNS
from tests.benchmarks.measuring import PYTHON, REPOSITORY, VEGETA

__all__ = ["attack_trivial_server", "repeated", "size_of", "trivial_server"]

_BYTES_A_RESULT = 170  # a little less than one takes
_LONGEST_ATTACK_S = 400
_TIMESTAMP, _SEQ = "timestamp", "seq"


@contextmanager
def trivial_server() -> Iterator[str]:
    """Run the server that calibration attacks; yields its URL."""
    with _serving([PYTHON, "-m", "attacker.trivial_server", "--until-eof"]) as url:
        yield url


def attack_trivial_server(folder: Path, *, least_results: int) -> Path:
    """Let vegeta attack a server that answers at once until the results file is large enough.

    That server is Go's own, whose answers have the usual headers: vegeta keeps them, and reads them again.
    """
    server, results, targets = folder / "trivial_server", folder / f"{least_results}.gob", folder / "targets"
    subprocess.run(["go", "build", "-o", server, "."], cwd=Path(__file__).with_name("trivial_server"), check=True)  # noqa: S607
    with _serving([str(server)]) as address:
        targets.write_text(f"GET http://{address}/health\n")
        options = ["-rate=0", "-max-workers=32", f"-duration={_LONGEST_ATTACK_S}s", "-timeout=5s"]
        with subprocess.Popen([VEGETA, "attack", *options, f"-targets={targets}", f"-output={results}"]) as attack:
            while attack.poll() is None and size_of(results) < least_results * _BYTES_A_RESULT * 1.15:
                time.sleep(1)
            attack.send_signal(signal.SIGINT)
    return results


def repeated(results: Path, times: int) -> Path:
    """Write a file of the same results several times over, each time later and further on in the schedule."""
    rows = pl.read_csv(_as_csv(results), has_header=False, infer_schema=False, new_columns=COLUMNS)
    rows = rows.with_columns(pl.col(_TIMESTAMP, _SEQ).cast(pl.Int64))
    moments_ns = rows[_TIMESTAMP].to_numpy()
    later_ns = int(moments_ns.max() - moments_ns.min()) + 1
    larger = results.with_name(f"{results.stem}-times-{times}.gob")
    encode = [VEGETA, "encode", "-to=gob", f"-output={larger}"]
    with subprocess.Popen(encode, stdin=subprocess.PIPE) as encoding:
        assert encoding.stdin is not None
        for nth in range(times):
            moved = (pl.col(_TIMESTAMP) + nth * later_ns, pl.col(_SEQ) + nth * len(rows))
            rows.with_columns(moved).write_csv(encoding.stdin, include_header=False)
        encoding.stdin.close()
    if encoding.returncode:
        raise RuntimeError(f"{encode} ended with {encoding.returncode}")
    return larger


def size_of(file: Path) -> int:
    """Give a file's size in bytes; 0 before it is there."""
    return file.stat().st_size if file.exists() else 0


@contextmanager
def _serving(command: list[str]) -> Iterator[str]:
    """Run a server; yields where it serves, which it prints."""
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        try:
            yield serving.stdout.readline().strip()
        finally:
            serving.terminate()


def _as_csv(results: Path) -> bytes:
    return subprocess.run([VEGETA, "encode", "-to=csv", results], capture_output=True, check=True).stdout
