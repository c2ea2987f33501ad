"""Calibrating: short attacks on a trivial server beside this attacker, from its start to its end."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attacker.attack import Attack, Attacker, attack
from attacker.calibration.search import Calibration, Step, calibrate
from attacker.duration import Duration
from attacker.exits import Exit, LoadTestError, RunBrokenError
from attacker.measuring.measure import measure
from attacker.measuring.measured import PERCENTILES, Ordered
from attacker.measuring.reading import Here
from attacker.measuring.sample import MeasuredShard, Sample
from attacker.plan import Shard
from attacker.rate import Rate
from attacker.results.columns import Results
from attacker.results.gob import read_gob
from attacker.results.rows import HeldRows
from attacker.sending import Sending
from attacker.targets import Target
from attacker.trivial_server import cpu_ns_of

__all__ = ["CalibrationInterruptedError", "calibrated"]

_SECOND_NS = 1_000_000_000
_WARMUP_SHARE = 4
"""Before each second of an attack, a quarter of one in which it opens its connections."""
_TIMEOUT = Duration.of_seconds(1)
_SENDING = Sending(max_workers=1000)
"""Bounds what an attack far above the attacker's strength opens; a trustworthy one has far fewer under way."""
_STARTING_S = 20.0
_ENDING_S = 5.0
_POLL_S = 0.1


class CalibrationInterruptedError(LoadTestError):
    """Somebody stopped it: nothing was found."""

    exit = Exit.INTERRUPTED


def calibrated(
    attacker: Attacker, *, server: str | None, stop: threading.Event, tell: Callable[[Step], None]
) -> Calibration:
    """Find the highest rate at which this attacker's tails can be trusted; it takes less than a minute.

    Args:
        attacker: vegeta, and the processors that it may use.
        server: the URL of a trivial server that runs beside; without one, it is started here.
        stop: when it is set, all ends.
        tell: hears of each step as it has ended.

    Raises:
        CalibrationInterruptedError: `stop` was set.
        RunBrokenError: vegeta or the server cannot be started.
    """
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="calibrate-") as folder, _serving(server) as url:
        _wait_for(url, stop)

        def measure(rate_per_s: int, duration: Duration) -> Step:
            step = _step(attacker, _shard(url, rate_per_s, duration), Path(folder), stop)
            tell(step)
            return step

        return calibrate(measure, elapsed_s=lambda: time.monotonic() - began_s)


@contextmanager
def _serving(server: str | None) -> Iterator[str]:
    """Give the server's URL; one that is started here ends with this process, however that ends."""
    if server is not None:
        yield server.rstrip("/")
        return
    command = [sys.executable, "-m", "attacker.trivial_server", "--until-eof"]
    serving = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal's Ctrl-C is for this process, which ends the server last
    )
    try:
        yield (serving.stdout.readline().strip() if serving.stdout else "") or _did_not_start(serving)
    finally:
        serving.terminate()
        try:
            serving.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()
        for stream in (serving.stdin, serving.stdout):
            if stream is not None:
                stream.close()


def _did_not_start(serving: "subprocess.Popen[str]") -> str:
    raise RunBrokenError(f"the trivial server ended with {serving.wait(_ENDING_S)}: see above")


def _wait_for(url: str, stop: threading.Event) -> None:
    """Wait for a server that starts at the same time as this does."""
    until_s = time.monotonic() + _STARTING_S
    while not stop.wait(_POLL_S):
        try:
            cpu_ns_of(url)
        except RunBrokenError:
            if time.monotonic() > until_s:
                raise
        else:
            return
    raise _interrupted()


def _shard(url: str, rate_per_s: int, duration: Duration) -> Shard:
    rate = Rate(rate_per_s, _SECOND_NS)
    return Shard(
        name="calibrate",
        target=Target(name="calibrate", url=f"{url}/"),
        rate=rate,
        warmup_requests=rate_per_s // _WARMUP_SHARE,
        requests=rate.requests_in(duration),
        delay_ns=0,
        timeout=_TIMEOUT,
        sending=_SENDING,
    )


def _step(attacker: Attacker, shard: Shard, folder: Path, stop: threading.Event) -> Step:
    raw = folder / "results.gob"
    raw.unlink(missing_ok=True)
    busy_ns = -cpu_ns_of(_root(shard))
    done = attack(attacker, shard, into=folder, start_at_ns=time.time_ns(), stop=stop, grace_s=_TIMEOUT.s)
    if stop.is_set():
        raise _interrupted()
    busy_ns += cpu_ns_of(_root(shard))
    return _measured(done, raw, busy_ratio=busy_ns / (done.ended_ns - done.started_ns))


def _root(shard: Shard) -> str:
    return shard.target.url.rstrip("/")


def _measured(done: Attack, raw: Path, *, busy_ratio: float) -> Step:
    shard = done.shard
    results = _results(raw)
    rows = MeasuredShard(
        rows=HeldRows(results), warmup_requests=shard.warmup_requests, interval_ns=shard.rate.interval_ns
    )
    samples = [Sample(shards=(rows,))]
    [measured], _ = measure(samples, Here(samples))
    return Step(
        rate_per_s=shard.rate.requests,
        duration=Duration(shard.requests * shard.rate.per_ns // shard.rate.requests),
        sent_ratio=measured.requests / shard.requests,
        lag_p99_ns=_p99(measured.lag_ns),
        delay_p99_ns=_p99(measured.corrected_ns),
        max_in_flight=measured.max_in_flight,
        failures=int((results.code != 200).sum()),
        server_busy_ratio=busy_ratio,
        throttled_ratio=done.throttled_ratio,
        exit_code=done.exit_code,
    )


def _results(raw: Path) -> Results:
    if not raw.exists() or not raw.stat().st_size:  # vegeta broke off before its first result
        return Results.joined([])
    with raw.open("rb", buffering=0) as stream:
        return read_gob(stream, name=raw.name).results


def _p99(values_ns: Ordered | None) -> int | None:
    return None if values_ns is None else values_ns.at(PERCENTILES["p99"])


def _interrupted() -> CalibrationInterruptedError:
    return CalibrationInterruptedError("interrupted: nothing was found, and nothing is left running")
