"""The local engine: the steps as calls on this machine, the API and the attacks as processes."""

import os
import platform
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from pydantic import JsonValue

from attacker.attack import Attack, Attacker, attack, record
from attacker.exits import LoadTestError
from attacker.plan import Shard
from attacker.report.figures import Report, Run
from attacker.run_folder import shard_folder
from attacker.vegeta import find_vegeta, vegeta_version
from workflows.engines.api_process import ApiProcess, reserve_port, start_api, stop_api
from workflows.engines.place import Place, open_place
from workflows.loadtest import LoadTest, Order
from workflows.progress import Event, State, Tell
from workflows.quantity import cpus_of
from workflows.steps.plan import plan
from workflows.steps.ready import ready

__all__ = ["InterruptedBeforeAttackError", "LocalRun", "run_locally"]

_TO_THE_START_NS = 300_000_000  # enough for all of a run's threads to be waiting
_GRACE_S = 10.0


class InterruptedBeforeAttackError(LoadTestError):
    """The run was told to stop before it had measured anything."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A run that has come to its end."""

    report: Report
    folder: Path
    place: str
    """Where its folder was brought."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """How the steps of one run are told of."""

    tell: Tell

    @contextmanager
    def step(self, name: str, text: str, lasts_s: float | None = None) -> Iterator[None]:
        self.tell(Event(step=name, state=State.STARTED, text=text, lasts_s=lasts_s))
        try:
            yield
        except BaseException:
            self.tell(Event(step=name, state=State.FAILED))
            raise
        self.tell(Event(step=name, state=State.DONE))


def run_locally(loadtest: LoadTest, *, tell: Tell, stop: threading.Event) -> LocalRun:
    """Run a load test on this machine.

    Args:
        loadtest: the load test.
        tell: hears of every step.
        stop: when it is set, attacks stop and what was measured is reported as INVALID.

    Raises:
        LoadTestError: something could not be started, did not get ready, or could not be written.
    """
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    vegeta = find_vegeta()
    attacker = Attacker(
        vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=cpus_of(loadtest.attacker_cpu), run=run_id
    )
    steps = _Steps(tell)
    with _reserved(loadtest) as listener:
        place = open_place(loadtest, run_id, _loadtest_json(loadtest))
        with _deployed(loadtest, listener, place.folder / "api.log", steps) as api:
            base_url = loadtest.api_url or (api.url if api else "")
            shards = plan(loadtest, base_url=base_url)
            _wait_until_ready(loadtest, base_url, api, steps, stop)
            if stop.is_set():
                raise InterruptedBeforeAttackError("interrupted before the attack: nothing was measured")
            attacks = _attack_all(attacker, loadtest, shards, place.folder, steps, stop)
            report = _report(attacker, loadtest, attacks, place.folder, started, steps, stop)
            return LocalRun(report, place.folder, _deliver(place, steps))


@contextmanager
def _reserved(loadtest: LoadTest) -> Iterator[socket.socket | None]:
    if loadtest.api_url is not None:
        yield None
        return
    with reserve_port(loadtest.api_port) as listener:
        yield listener


def _loadtest_json(loadtest: LoadTest) -> bytes:
    import json  # noqa: PLC0415

    return (json.dumps(loadtest.as_run(), indent=2, ensure_ascii=False) + "\n").encode()


@contextmanager
def _deployed(
    loadtest: LoadTest, listener: socket.socket | None, log: Path, steps: _Steps
) -> Iterator[ApiProcess | None]:
    """Have the API run for as long as it is needed, or for good where it is to be kept."""
    if listener is None:
        yield None
        return
    with steps.step("deploy", f"the API, {loadtest.api_workers} workers, port {loadtest.api_port}"):
        api = start_api(loadtest, listener, log)
        listener.close()
    reported = False
    try:
        yield api
        reported = True
    finally:
        if loadtest.keep and reported:
            steps.tell(
                Event(step="teardown", state=State.NOTE, text=f"the API stays: {api.url}, process {api.process.pid}")
            )
        else:
            with steps.step("teardown", "the API"):
                stop_api(api)


def _wait_until_ready(
    loadtest: LoadTest, base_url: str, api: ApiProcess | None, steps: _Steps, stop: threading.Event
) -> None:
    with steps.step("ready", f"each target answers once at {base_url}"):
        ready(
            [target.at(base_url) for target in loadtest.targets],
            timeout_s=loadtest.ready_timeout.s,
            answer_timeout_s=loadtest.timeout.s,
            stop=stop,
            alive=api.check_alive if api else lambda: None,
        )


def _attack_all(
    attacker: Attacker,
    loadtest: LoadTest,
    shards: Sequence[Shard],
    folder: Path,
    steps: _Steps,
    stop: threading.Event,
) -> list[Attack]:
    """Attack with all shards at one instant, or target by target; nothing but vegeta works meanwhile."""
    waves = [list(shards)]
    if loadtest.order is Order.SEQUENTIAL:
        waves = [list(wave) for _, wave in groupby(shards, key=lambda shard: shard.target.name)]
    lasts_s = loadtest.warmup.s + loadtest.duration.s
    attacks = []
    for wave in waves:
        names = ", ".join(dict.fromkeys(shard.target.name for shard in wave))
        each = f"{len(wave)} attackers, " if len(wave) > 1 else ""
        warmup = f" after {loadtest.warmup} of warm-up" if loadtest.warmup.ns else ""
        with steps.step("attack", f"{names}: {each}{loadtest.rate} each for {loadtest.duration}{warmup}", lasts_s):
            attacks += _attack_at_once(attacker, loadtest, wave, folder, stop)
    return attacks


def _attack_at_once(
    attacker: Attacker, loadtest: LoadTest, shards: Sequence[Shard], folder: Path, stop: threading.Event
) -> list[Attack]:
    start_at_ns = time.time_ns() + _TO_THE_START_NS
    grace_s = min(_GRACE_S, loadtest.timeout.s)
    with ThreadPoolExecutor(max_workers=len(shards)) as pool:
        attacks = [
            pool.submit(
                attack,
                attacker,
                shard,
                into=shard_folder(folder, shard.name),
                start_at_ns=start_at_ns,
                stop=stop,
                grace_s=grace_s,
            )
            for shard in shards
        ]
        return [one.result() for one in attacks]


def _report(
    attacker: Attacker,
    loadtest: LoadTest,
    attacks: Sequence[Attack],
    folder: Path,
    started: datetime,
    steps: _Steps,
    stop: threading.Event,
) -> Report:
    from workflows.steps.aggregate import aggregate  # noqa: PLC0415  (numba, polars and matplotlib take a second)

    with steps.step("report", "merging what was measured"):
        for one in attacks:
            record(attacker, one, shard_folder(folder, one.shard.name))
        run = Run(
            id=attacker.run,
            started=started.isoformat(timespec="seconds"),
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            engine="local",
            loadtest=loadtest.as_run(),
            environment=_environment(attacker),
        )
        doubts = ["the run was interrupted"] if stop.is_set() else []
        return aggregate(loadtest, [one.shard for one in attacks], run, folder, doubts=doubts)


def _environment(attacker: Attacker) -> dict[str, JsonValue]:
    return {
        "machine": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "vegeta": attacker.vegeta_version,
    }


def _deliver(place: Place, steps: _Steps) -> str:
    if place.bucket is None:
        return place.deliver()
    with steps.step("upload", place.bucket.address(place.path)):
        return place.deliver()
