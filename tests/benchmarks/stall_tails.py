"""What load generators say of p99 where a server stands still for a second of five, beside what callers waited."""

import json
import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks.measuring import PYTHON, VEGETA, Row, tell
from tests.stalling import StallingServer, stalling_server

__all__ = ["p99_after_a_stall"]

_RATE_PER_S, _DURATION_S, _STALL_S, _WORKERS = 500, 5, 1, 10
_MOST_ERROR = 0.02
_DEBIAN = "apt-get install {}"


def p99_after_a_stall(folder: Path, *, rounds: int) -> Iterator[Row]:
    """Attack such a server with each tool in turns; the truth is of the server's own log, for vegeta's requests."""
    tools: dict[str, Callable[[Path], float]] = {"wrk": _of_wrk, "hey": _of_hey}
    absent = [name for name in tools if shutil.which(name) is None]
    for name in absent:
        tell(f"  {name} is not installed, so it is not beside: {_DEBIAN.format(name)}")
        del tools[name]
    told: dict[str, list[float]] = {name: [] for name in ("truth", "corrected", "vegeta", *tools)}
    for _ in range(rounds):
        for name, figure in _of_vegeta_and_us(folder).items():
            told[name].append(figure)
        for name, of_tool in tools.items():
            told[name].append(of_tool(folder))
        tell("  p99: " + ", ".join(f"{name} {figures[-1] * 1000:.1f} ms" for name, figures in told.items()))
    error = statistics.median(abs(ours / true - 1) for ours, true in zip(told["corrected"], told["truth"], strict=True))
    medians_ms = {name: statistics.median(figures) * 1000 for name, figures in told.items()}
    others = ", ".join(f"{name} {medians_ms[name]:.1f} ms" for name in ("vegeta", *tools))
    measured = f"{medians_ms['corrected']:.0f} ms, {error:.1%} from the truth of {medians_ms['truth']:.0f} ms; {others}"
    beside = ", ".join(("plain vegeta", *tools)) + "".join(f"; {name} is not installed" for name in absent)
    yield Row("corrected p99 after a stall", beside, measured, "within 2 %", error <= _MOST_ERROR)


def _of_vegeta_and_us(folder: Path) -> dict[str, float]:
    """Report twice on one attack, and ask the server what its callers waited."""
    targets, results = folder / "targets", folder / "stall.gob"
    with _server(folder) as server:
        targets.write_text(f"GET {server.url}\n")
        options = [f"-rate={_RATE_PER_S}", f"-duration={_DURATION_S}s", f"-max-workers={_WORKERS}"]
        _told([VEGETA, "attack", *options, f"-targets={targets}", f"-output={results}"])
    report = [PYTHON, "-m", "attacker", "report", str(results), "--rate", str(_RATE_PER_S), "--type", "json"]
    ours = json.loads(_told(report))
    vegetas = json.loads(_told([VEGETA, "report", "-type=json", str(results)]))
    true_ns = server.true_latency_ns(interval_ns=1_000_000_000 // _RATE_PER_S, share=0.99)
    return {
        "truth": true_ns / 1e9,
        "corrected": ours["corrected_latency_ns"]["p99"] / 1e9,
        "vegeta": vegetas["latencies"]["99th"] / 1e9,
    }


def _of_wrk(folder: Path) -> float:
    """Wrk knows no rate: its connections send as fast as they are answered."""
    with _server(folder) as server:
        told = _told(["wrk", "-t1", f"-c{_WORKERS}", f"-d{_DURATION_S}s", "--latency", server.url])
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", told)
    if found is None:
        raise RuntimeError(f"wrk told no p99: {told}")
    return float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[found[2]]


def _of_hey(folder: Path) -> float:
    with _server(folder) as server:
        rate = ["-q", str(_RATE_PER_S // _WORKERS)]
        told = _told(["hey", "-z", f"{_DURATION_S}s", "-c", str(_WORKERS), *rate, server.url])
    found = re.search(r"99% in ([\d.]+) secs", told)
    if found is None:
        raise RuntimeError(f"hey told no p99: {told}")
    return float(found[1])


def _server(folder: Path) -> AbstractContextManager[StallingServer]:
    return stalling_server(folder, at=_RATE_PER_S, stall_s=_STALL_S)


def _told(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
