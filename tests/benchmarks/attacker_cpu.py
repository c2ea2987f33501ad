"""What an attack costs in processor time a request, beside plain vegeta with the same options at the same rate."""

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from attacker.attack import Attacker, attack
from attacker.duration import Duration
from attacker.plan import Shard
from attacker.rate import Rate
from attacker.results.gob import read_gob
from attacker.sending import Sending
from attacker.targets import Target
from attacker.trivial_server import cpu_ns_of
from attacker.vegeta import attack_command
from tests.benchmarks.measuring import VEGETA, Row, tell
from tests.benchmarks.results_files import trivial_server

__all__ = ["cpu_a_request"]

_RATE_PER_S, _DURATION_S = 2000, 5
_MOST_RATIO = 1.02
_MOST_SERVERS_RATIO = 0.5
"""Were it not far less, the server would be what calibration measures."""


def cpu_a_request(folder: Path, *, rounds: int) -> Iterator[Row]:
    """Attack by this project and by hand, both at the same time and on one core, for a machine is never twice the same.

    All of the attacker is counted: vegeta, and the thread that waits for it as an attack pod does; recording afterwards
    is no part of an attack.
    """
    ours, plain, served = [], [], []
    with _server_on_a_core_of_its_own() as url, ThreadPoolExecutor(2) as threads:
        for nth in range(rounds):
            before_ns = cpu_ns_of(url)
            turns = sorted(_BY, reverse=nth % 2 == 0)
            running = {name: threads.submit(_BY[name], folder / name, url) for name in turns}
            used_s = {name: one.result() for name, one in running.items()}
            requests = {name: _requests(folder / name) for name in running}
            served.append((cpu_ns_of(url) - before_ns) / 1e9 / sum(requests.values()))
            ours.append(used_s[_OURS] / requests[_OURS])
            plain.append(used_s[_PLAIN] / requests[_PLAIN])
            tell(f"  CPU a request: ours {ours[-1] * 1e6:.1f} µs, vegeta {plain[-1] * 1e6:.1f} µs")
    for what, beside, mine, most in (
        (f"attacker CPU a request, at {_RATE_PER_S}/s", "plain vegeta", ours, _MOST_RATIO),
        ("CPU an answer of calibration's server", "vegeta's a request", served, _MOST_SERVERS_RATIO),
    ):
        ratios = [one / another for one, another in zip(mine, plain, strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
        medians = " against ".join(f"{statistics.median(all_) * 1e6:.1f} µs" for all_ in (mine, plain))
        told = f"{ratio:.3f}x ({medians}; half of {rounds} pairs in {low:.2f} to {high:.2f})"
        yield Row(what, beside, told, f"<= {most}x", ratio <= most)


@contextmanager
def _server_on_a_core_of_its_own() -> Iterator[str]:
    """Run the server on one core and what attacks it on another: where they are changes what a request costs."""
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        with trivial_server() as url:
            os.sched_setaffinity(0, {max(cores)})
            yield url
    finally:
        os.sched_setaffinity(0, cores)


def _attacked(folder: Path, url: str) -> float:
    """Attack as a pod does; returns the seconds of CPU that it took."""
    attacker = Attacker(vegeta=Path(VEGETA), vegeta_version="", cpus=1, run="bench")
    before_s = time.thread_time()
    done = attack(attacker, _shard(url), into=folder, start_at_ns=time.time_ns(), stop=threading.Event(), grace_s=1)
    waiting_s = time.thread_time() - before_s
    if done.exit_code or done.cpu_s is None:
        raise RuntimeError(f"vegeta ended with {done.exit_code}")
    return done.cpu_s + waiting_s


def _attacked_by_hand(folder: Path, url: str) -> float:
    """Attack with nothing but vegeta; returns the seconds of CPU that it took."""
    folder.mkdir(exist_ok=True)
    shard, targets = _shard(url), folder / "targets.jsonl"
    targets.write_text(shard.target.as_vegeta_json())
    command = attack_command(Path(VEGETA), shard, targets=targets, output=folder / "results.gob", cpus=1)
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"vegeta ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


_OURS, _PLAIN = "ours", "plain"
_BY = {_OURS: _attacked, _PLAIN: _attacked_by_hand}


def _shard(url: str) -> Shard:
    return Shard(
        name="bench",
        target=Target(name="bench", url=f"{url}/"),
        rate=Rate(_RATE_PER_S, 1_000_000_000),
        warmup_requests=0,
        requests=_RATE_PER_S * _DURATION_S,
        delay_ns=0,
        timeout=Duration.of_seconds(5),
        sending=Sending(max_workers=100),
    )


def _requests(folder: Path) -> int:
    file = folder / "results.gob"
    with file.open("rb", buffering=0) as stream:
        return len(read_gob(stream, name=file.name).results)
