"""The local engine: the steps as calls on this machine, the API and the attacks as processes."""

import json
import os
import platform
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from attacker.attack import Attack, Attacker, attack, record
from attacker.duration import Duration
from attacker.exits import Exit, LoadTestError, RunBrokenError
from attacker.plan import Shard
from attacker.plan_file import Plan, render_plan
from attacker.report.figures import Report, Run, written_moment
from attacker.run_folder import shard_folder
from attacker.tls import check_certificates
from attacker.vegeta import find_vegeta, vegeta_version
from workflows.engines.api_process import ApiProcess, reserve_port, start_api, stop_api
from workflows.engines.place import Place, open_place
from workflows.loadtest import LoadTest, Order
from workflows.progress import Event, State, Tell
from workflows.quantity import cpus_of
from workflows.steps.plan import plan
from workflows.steps.ready import ready

if TYPE_CHECKING:
    from attacker.measuring.measure import Reader
    from attacker.measuring.sample import Sample

__all__ = ["InterruptedBeforeAttackError", "LocalRun", "run_locally"]

_TO_THE_START_NS = 300_000_000  # enough for all of a run's threads to be waiting
_GRACE_S = 10.0


class InterruptedBeforeAttackError(LoadTestError):
    """The run was told to stop before it had measured anything."""

    exit = Exit.INTERRUPTED


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A run that has come to its end."""

    report: Report
    folder: Path
    place: str
    """Where its folder was brought, or stayed."""
    trouble: LoadTestError | None = None
    """Why it could not be brought where it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the steps of one run share."""

    loadtest: LoadTest
    attacker: Attacker
    started: datetime
    tell: Tell
    stop: threading.Event

    @contextmanager
    def step(self, name: str, text: str, lasts_s: float | None = None) -> Iterator[None]:
        """Tell of a step, and how it ends."""
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
    check_certificates(loadtest.sending)
    run = _new_run(loadtest, tell, stop)
    with _reserved_port(loadtest) as listener:
        place = open_place(loadtest, run.attacker.run, _loadtest_json(loadtest))
        with _deployed(run, listener, place.folder / "api.log") as api:
            base_url = loadtest.api_url or (api.url if api else "")
            shards = plan(loadtest, base_url=base_url)
            _wait_until_ready(run, base_url, api)
            attacks = _attack_all(run, shards, place.folder)
            report = _report(run, attacks, place.folder)
            return _deliver(run, place, report)


def _new_run(loadtest: LoadTest, tell: Tell, stop: threading.Event) -> _Run:
    started = datetime.now(UTC)
    vegeta = find_vegeta()
    attacker = Attacker(
        vegeta=vegeta,
        vegeta_version=vegeta_version(vegeta),
        cpus=cpus_of(loadtest.attacker_cpu),
        run=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
    )
    return _Run(loadtest=loadtest, attacker=attacker, started=started, tell=tell, stop=stop)


@contextmanager
def _reserved_port(loadtest: LoadTest) -> Iterator[socket.socket | None]:
    if loadtest.api_url is not None:
        yield None
        return
    with reserve_port(loadtest.api_port) as listener:
        yield listener


def _loadtest_json(loadtest: LoadTest) -> bytes:
    return (json.dumps(loadtest.as_run(), indent=2, ensure_ascii=False) + "\n").encode()


@contextmanager
def _deployed(run: _Run, listener: socket.socket | None, log: Path) -> Iterator[ApiProcess | None]:
    """Have the API run for as long as it is needed, or for good where it is to be kept."""
    if listener is None:
        yield None
        return
    loadtest = run.loadtest
    with run.step("deploy", f"the API, {loadtest.api_workers} workers, port {loadtest.api_port}"):
        api = start_api(loadtest, listener, log)
        listener.close()
    came_to_its_end = False
    try:
        yield api
        came_to_its_end = True
    finally:
        if loadtest.keep and came_to_its_end:
            run.tell(
                Event(step="teardown", state=State.NOTE, text=f"the API stays: {api.url}, process {api.process.pid}")
            )
        else:
            with run.step("teardown", "the API"):
                stop_api(api)


def _wait_until_ready(run: _Run, base_url: str, api: ApiProcess | None) -> None:
    with run.step("ready", f"each target answers once at {base_url}"):
        ready(
            [target.at(base_url) for target in run.loadtest.targets],
            timeout_s=run.loadtest.ready_timeout.s,
            answer_timeout_s=run.loadtest.timeout.s,
            sending=run.loadtest.sending,
            stop=run.stop,
            alive=api.check_alive if api else lambda: None,
        )
    if run.stop.is_set():
        raise InterruptedBeforeAttackError("interrupted before the attack: nothing was measured")


def _attack_all(run: _Run, shards: Sequence[Shard], folder: Path) -> list[Attack]:
    """Attack with all shards at one instant, or target by target; nothing but vegeta works meanwhile."""
    loadtest = run.loadtest
    waves = [list(shards)]
    if loadtest.order is Order.SEQUENTIAL:
        waves = [list(wave) for _, wave in groupby(shards, key=lambda shard: shard.target.name)]
    attacks = []
    for wave in waves:
        with run.step("attack", _attack_in_words(loadtest, wave), loadtest.warmup.s + loadtest.duration.s):
            attacks += _attack_at_once(run, wave, folder)
    return attacks


def _attack_in_words(loadtest: LoadTest, wave: Sequence[Shard]) -> str:
    names = ", ".join(dict.fromkeys(shard.target.name for shard in wave))
    attackers = f"{len(wave)} attackers, " if len(wave) > 1 else ""
    warmup = f" after {loadtest.warmup} of warm-up" if loadtest.warmup.ns else ""
    return f"{names}: {attackers}{loadtest.rate}{' each' if ',' in names else ''} for {loadtest.duration}{warmup}"


def _attack_at_once(run: _Run, shards: Sequence[Shard], folder: Path) -> list[Attack]:
    start_at_ns = time.time_ns() + _TO_THE_START_NS
    grace_s = min(_GRACE_S, run.loadtest.timeout.s)

    def attack_one(shard: Shard) -> Attack:
        into = shard_folder(folder, shard.name)
        return attack(run.attacker, shard, into=into, start_at_ns=start_at_ns, stop=run.stop, grace_s=grace_s)

    with ThreadPoolExecutor(max_workers=len(shards)) as pool:
        return list(pool.map(attack_one, shards))


def _report(run: _Run, attacks: Sequence[Attack], folder: Path) -> Report:
    from workflows.steps.aggregate import aggregate  # noqa: PLC0415  (numba, polars and matplotlib take a second)

    with run.step("report", "merging what was measured"), _kept_in(folder):
        for one in attacks:
            record(run.attacker, one, shard_folder(folder, one.shard.name))
        told = Run(
            id=run.attacker.run,
            started=written_moment(run.started),
            ended=written_moment(datetime.now(UTC)),
            engine="local",
            loadtest=run.loadtest.as_run(),
            environment=_environment(run.attacker),
        )
        doubts = ["the run was interrupted"] if run.stop.is_set() else []
        shards = [one.shard for one in attacks]
        with _readers(run, shards, folder) as reader:
            return aggregate(run.loadtest, shards, told, folder, doubts=doubts, reader=reader)


@contextmanager
def _readers(run: _Run, shards: Sequence[Shard], folder: Path) -> Iterator["Callable[[Sequence[Sample]], Reader]"]:
    """Read all that was measured here, or have processes share it out, where there are to be several readers."""
    from attacker.measuring.reading import Here  # noqa: PLC0415
    from attacker.measuring.shared import AtOnce, Shared  # noqa: PLC0415
    from attacker.share import ShareProcess  # noqa: PLC0415

    readers = run.loadtest.readers
    if readers == 1:
        yield Here
        return
    plan = Plan(run=run.attacker.run, shards=tuple(shards), deadline_ns=0, margin=Duration(0))
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        file = Path(scratch) / "plan.json"  # not in the run's folder: it may hold credentials
        file.write_bytes(render_plan(plan))
        shares = [
            stack.enter_context(ShareProcess(file, folder, number=number, of=readers)) for number in range(readers)
        ]
        yield lambda _: Shared(AtOnce(shares))


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Say where the measurement lies, should anything that comes after it fail."""
    try:
        yield
    except Exception as error:
        raise RunBrokenError(f"the report could not be made ({error}); all that was measured is in {folder}") from error


def _environment(attacker: Attacker) -> dict[str, JsonValue]:
    return {
        "machine": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "vegeta": attacker.vegeta_version,
    }


def _deliver(run: _Run, place: Place, report: Report) -> LocalRun:
    if place.bucket is None:
        return LocalRun(report, place.folder, place.deliver())
    try:
        with run.step("upload", place.bucket.address(place.path)):
            return LocalRun(report, place.folder, place.deliver())
    except LoadTestError as error:
        return LocalRun(report, place.folder, str(place.folder), error)
