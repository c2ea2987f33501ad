"""What an attack costs in processor time a request, beside plain vegeta with the same options at the same rate."""

import os
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from attacker.attack import Attacker, attack
from attacker.duration import Duration
from attacker.gob import read_gob
from attacker.plan import Shard
from attacker.rate import Rate
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
    """Attack in turns, by this project and by hand; recording afterwards is no part of an attack.

    All of the attacker is counted: vegeta, and this process, which waits for it as an attack pod's does.
    """
    ours, plain, served = [], [], []
    with trivial_server() as url:
        _ours(folder / "unmeasured", url)
        for nth in range(rounds):
            for is_ours in (nth % 2 == 0, nth % 2 == 1):
                if is_ours:
                    ours.append(_ours(folder / "ours", url))
                else:
                    before_ns = cpu_ns_of(url)
                    plain.append(_plain(folder / "plain", url))
                    served.append((cpu_ns_of(url) - before_ns) / 1e9 / _requests(folder / "plain"))
            tell(f"  CPU a request: ours {ours[-1] * 1e6:.1f} µs, vegeta {plain[-1] * 1e6:.1f} µs")
    for what, beside, mine, others, most in (
        (f"attacker CPU a request, at {_RATE_PER_S}/s", "plain vegeta", ours, plain, _MOST_RATIO),
        ("CPU an answer of calibration's server", "vegeta's a request", served, plain, _MOST_SERVERS_RATIO),
    ):
        ratio = statistics.median(one / another for one, another in zip(mine, others, strict=True))
        medians = " against ".join(f"{statistics.median(all_) * 1e6:.1f} µs" for all_ in (mine, others))
        yield Row(what, beside, f"{ratio:.3f}x ({medians})", f"<= {most}x", ratio <= most)


def _ours(folder: Path, url: str) -> float:
    attacker = Attacker(vegeta=Path(VEGETA), vegeta_version="", cpus=1, run="bench")
    before_s = _used_s()
    done = attack(attacker, _shard(url), into=folder, start_at_ns=time.time_ns(), stop=threading.Event(), grace_s=1)
    used_s = _used_s() - before_s
    if done.exit_code:
        raise RuntimeError(f"vegeta ended with {done.exit_code}")
    return used_s / _requests(folder)


def _plain(folder: Path, url: str) -> float:
    folder.mkdir(exist_ok=True)
    shard, targets = _shard(url), folder / "targets.jsonl"
    targets.write_text(shard.target.as_vegeta_json())
    command = attack_command(Path(VEGETA), shard, targets=targets, output=folder / "results.gob", cpus=1)
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"vegeta ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) / _requests(folder)


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


def _used_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)
