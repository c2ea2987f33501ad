"""What an attack pod does: read the plan, wait for the others, attack, and upload what was measured, all by itself."""

import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from attacker.attack import Attacker, attack, record
from attacker.bucket import Bucket
from attacker.command_line import say
from attacker.evidence import Clock
from attacker.exits import Exit, LoadTestError, RunBrokenError
from attacker.plan import Shard
from attacker.plan_file import Plan, parse_plan, plan_path, shards_path
from attacker.pods.barrier import STOPPED, Absence, Files, Start, say_done, wait_at_barrier
from attacker.pods.clock import ClockedFiles
from attacker.pods.gate import wait_at_gate
from attacker.recording import get_ready
from attacker.tls import check_certificates
from attacker.vegeta import find_vegeta, vegeta_version

__all__ = ["attack_in_pod"]

_GRACE_S = 8.0
"""How long answers may take once it is told to stop: recording and uploading come after it."""

_SETTING_OUT_S = 0.2
"""Before the common instant, a shard leaves the barrier for its attack."""

_tell = partial(say, to_stderr=True)


def attack_in_pod(name: str, run: str, bucket: Bucket, *, cpus: float, stop: threading.Event) -> int:
    """Attack with one shard of a run's plan, together with the others, and upload its rows and evidence.

    Where it does not attack although the API was ready, `absent.json` takes their place and says why.

    Args:
        name: the shard's.
        run: the run's id.
        bucket: where the plan lies, and the results go.
        cpus: the attacker's CPU limit.
        stop: when it is set, no new request is sent, and what was measured is uploaded.

    Returns:
        The process's exit code: 0 where the shard attacked, else that of `Why`.

    Raises:
        RunBrokenError: something was missing, or could not be read or written.
        InvalidLoadTestError: a certificate's file cannot be used.
    """
    with _absence_told(name, run, bucket):
        plan = _read_plan(run, bucket)
        shard = _own(plan, name)
        check_certificates(shard.sending)
        vegeta = find_vegeta()
        attacker = Attacker(vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=cpus, run=run)
        with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
            get_ready(Path(scratch))
            let_in = wait_at_gate(plan, bucket, now_ns=time.time_ns, wait=stop.wait)
            if isinstance(let_in, Absence):
                _tell(f"{name}: no attack: {let_in.reason}")
                return let_in.why
            try:
                files = ClockedFiles(bucket, time.time_ns)
                admission = _admission(let_in, name, files, stop)
                if isinstance(admission, Absence):
                    _leave_absence(name, run, bucket, admission.reason)
                    _tell(f"{name}: no attack: {admission.reason}")
                    return admission.why
                folder = Path(scratch) / name
                _attack(attacker, shard, folder, admission.at_ns, stop, clock=files.clock)
                _upload(folder, name, run, bucket)
            finally:
                _let_the_next_wave_begin(let_in, name, bucket)
    return Exit.PASS


def _read_plan(run: str, bucket: Bucket) -> Plan:
    data = bucket.read(plan_path(run))
    if data is None:
        raise RunBrokenError(f"{bucket.address(plan_path(run))} is not there: --run {run!r} was not planned")
    plan = parse_plan(data)
    if plan.run != run:
        raise RunBrokenError(f"{bucket.address(plan_path(run))} is the plan of run {plan.run!r}: plan {run!r} anew")
    return plan


def _own(plan: Plan, name: str) -> Shard:
    for shard in plan.shards:
        if shard.name == name:
            return shard
    names = ", ".join(shard.name for shard in plan.shards[:10]) + (", …" if len(plan.shards) > 10 else "")
    raise RunBrokenError(f"shard {name!r} is not in the plan of run {plan.run}: it has {names}")


def _admission(plan: Plan, name: str, files: Files, stop: threading.Event) -> Start | Absence:
    """Wait until all are ready, and until they set out."""
    _tell(f"{name}: at the barrier of run {plan.run}, {len(plan.shards)} shards in all")
    admission = wait_at_barrier(plan, name, files, now_ns=time.time_ns, wait=stop.wait)
    if isinstance(admission, Start):
        _tell(f"{name}: the attack starts at {datetime.fromtimestamp(admission.at_ns / 1e9, UTC):%H:%M:%S.%f} UTC")
        if stop.wait(max(0.0, (admission.at_ns - time.time_ns()) / 1e9 - _SETTING_OUT_S)):
            return STOPPED
    return admission


def _attack(
    attacker: Attacker, shard: Shard, folder: Path, start_at_ns: int, stop: threading.Event, *, clock: Clock | None
) -> None:
    grace_s = min(_GRACE_S, shard.timeout.s)
    done = attack(attacker, shard, into=folder, start_at_ns=start_at_ns, stop=stop, grace_s=grace_s)
    evidence = record(attacker, done, folder, clock=clock)
    _tell(f"{shard.name}: the attack {'was stopped' if done.interrupted else 'ended'}: {evidence.records} requests")


def _upload(folder: Path, name: str, run: str, bucket: Bucket) -> None:
    place = f"{shards_path(run)}/{name}"
    began_s = time.monotonic()
    bucket.upload(folder, place)
    _tell(f"{name}: uploaded to {bucket.address(place)} in {time.monotonic() - began_s:.1f} s")


def _let_the_next_wave_begin(plan: Plan, name: str, bucket: Bucket) -> None:
    try:
        say_done(plan, name, bucket)
    except LoadTestError as error:
        _tell(f"{name}: the next wave has to wait for its deadline: {error}")


@contextmanager
def _absence_told(name: str, run: str, bucket: Bucket) -> Iterator[None]:
    """Leave the reason in the bucket, too, where the shard breaks."""
    try:
        yield
    except Exception as error:
        broken = _as_broken(name, error)
        with suppress(LoadTestError):
            _leave_absence(name, run, bucket, str(broken) or type(broken).__name__)
        if broken is error:
            raise
        raise broken from error


def _as_broken(name: str, error: Exception) -> Exception:
    """Say what to do about a file that could not be written."""
    from polars.exceptions import PolarsError  # noqa: PLC0415

    if not isinstance(error, OSError | PolarsError):
        return error
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return RunBrokenError(f"shard {name}: {reason}: give it a TMPDIR with more room")


def _leave_absence(name: str, run: str, bucket: Bucket, reason: str) -> None:
    bucket.write(f"{shards_path(run)}/{name}/absent.json", (json.dumps({"reason": reason}) + "\n").encode())
