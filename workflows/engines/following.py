"""Following a run to its end: what its steps do is told, a wish to stop is passed on, a silent cluster is borne."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from workflows.engines.argo import read_run, stop
from workflows.engines.argo_api import ArgoApi, Manifest
from workflows.engines.argo_run import (
    ENDED,
    Ended,
    end_of,
    has_ended,
    has_given_up,
    phases_by_step,
    placeless_attackers,
    starts_in_vain,
    why_stuck,
)
from workflows.progress import Event, State, Tell
from workflows.steps.cluster import NoAnswerError

__all__ = ["Watch", "follow"]

_POLL_S = 0.5
_PATIENCE_S = 600.0
"""How long the cluster may be silent: an upgrade of its control plane takes minutes."""

_WORDS = {
    "deploy": "the API",
    "ready": "the API is rolled out, and each target answers once",
    "read": "what was measured, each reader a share",
    "report": "merging what was measured",
    "teardown": "the API",
}

_HANG_S = 20.0
"""How long an image may be pulled in vain: a registry may be away for a moment."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a run is followed."""

    tell: Tell
    lasts_s: float
    """How long a wave of attackers takes, from the first request to the last."""
    waits_s: float
    """How long attackers wait for each other, once the API is ready."""
    wave: int | None
    """How many attackers a wave has, if not all are one."""
    interrupted: threading.Event
    """When it is set, the run is stopped."""
    abandoned: threading.Event
    """When it is set, only the watching ends."""
    poll_s: float = _POLL_S
    hang_s: float = _HANG_S
    patience_s: float = _PATIENCE_S


def follow(api: ArgoApi, run: str, watch: Watch) -> Ended | None:
    """Watch a run to its end; told to stop, stop it, and wait for its partial report and teardown.

    Returns:
        What it came to; None where only the watching was to end.

    Raises:
        InvalidLoadTestError: there is no such run.
        RunBrokenError: the cluster refuses, or was silent for too long.
    """
    steps, patient, hang = _Steps(watch), _Patient(watch.tell, watch.patience_s), _Hang(watch.hang_s)
    absent = _Absent(watch.waits_s + watch.hang_s)
    stopping = in_vain = False
    while not watch.abandoned.is_set():
        workflow = patient.ask(lambda: read_run(api, run))
        if workflow is not None:
            steps.tell_of(workflow)
            if has_ended(workflow):
                ended = end_of(workflow)
                return ended if hang.given_up is None else replace(ended, reason=hang.given_up)
            if hang.is_hopeless(workflow):
                patient.ask(lambda: api.terminate(run))
            in_vain = in_vain or starts_in_vain(workflow)
            if absent.is_in_vain(workflow):
                watch.tell(Event(step="attack", state=State.NOTE, text=f"nobody attacks: {absent.given_up}"))
        is_unwanted = watch.interrupted.is_set() or absent.given_up is not None or in_vain
        if is_unwanted and not stopping:
            is_deleted = patient.ask(lambda: stop(api, run))
            if is_deleted:
                reason = "it was still waiting: it is deleted"
                return Ended(run=run, phase="", verdict=None, summary="", results="", reason=reason)
            stopping = is_deleted is not None
        (watch.abandoned if watch.interrupted.is_set() else watch.interrupted).wait(watch.poll_s)
    return None


@dataclass(slots=True)
class _Patient:
    """Who asks a cluster that may be silent for a while."""

    tell: Tell
    patience_s: float
    silent_since_s: float | None = None

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """Ask once.

        Returns:
            The answer; None where there was none, which may pass.

        Raises:
            NoAnswerError: there has been none for too long.
        """
        try:
            answer = question()
        except NoAnswerError as error:
            now_s = time.monotonic()
            if self.silent_since_s is None:
                self.silent_since_s = now_s
                self.tell(Event(step="run", state=State.NOTE, text=f"it goes on unwatched for now: {error}"))
            if now_s - self.silent_since_s > self.patience_s:
                raise
            return None
        self.silent_since_s = None
        return answer


@dataclass(slots=True)
class _Hang:
    """A run whose own image does not start: not even its exit handler could do anything."""

    hang_s: float
    since_s: float | None = None
    given_up: str | None = None
    """Why, once it was."""

    def is_hopeless(self, workflow: Manifest) -> bool:
        """Tell whether it has hung for too long."""
        now_s, why = time.monotonic(), why_stuck(workflow)
        if why is None:
            self.since_s = None
            return False
        self.since_s = now_s if self.since_s is None else self.since_s
        if now_s <= self.since_s + self.hang_s:
            return False
        self.given_up = why
        return True


@dataclass(slots=True)
class _Absent:
    """Attackers that find no node: their pods would only go by their timeout, which reckons with the worst."""

    waits_s: float
    since_s: float | None = None
    """When the API was ready and no attacker ran."""
    given_up: str | None = None
    """Who did not come and why, once it is so."""

    def is_in_vain(self, workflow: Manifest) -> bool:
        """Tell once that nobody attacks any more: the others have left, or it took too long."""
        now_s, placeless = time.monotonic(), placeless_attackers(workflow)
        if placeless is None or phases_by_step(workflow).get("ready") != ["Succeeded"]:
            self.since_s = None
            return False
        self.since_s = now_s if self.since_s is None else self.since_s
        if self.given_up is not None or not (has_given_up(workflow) or now_s > self.since_s + self.waits_s):
            return False
        self.given_up = placeless
        return True


@dataclass(slots=True)
class _Steps:
    """What has been told of a run's steps."""

    watch: Watch
    states: dict[str, State] = field(default_factory=dict)
    told: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    message: str = ""

    def tell_of(self, workflow: Manifest) -> None:
        """Tell what has changed."""
        message = str(workflow.get("status", {}).get("message") or "")
        if message != self.message and message.startswith("Waiting"):
            self.watch.tell(Event(step="queue", state=State.NOTE, text=message))
        self.message = message
        for name, phases in phases_by_step(workflow).items():
            self._tell_step(name, phases)

    def _tell_step(self, name: str, phases: list[str]) -> None:
        if self.states.get(name, State.STARTED) is not State.STARTED:
            return
        lasts_s = self._lasts_s(name, phases)
        told = (_attackers(phases, lasts_s) if name == "attack" else _WORDS[name], lasts_s)
        state = State.STARTED if name not in self.states else State.CHANGED
        if told != self.told.get(name):
            self.watch.tell(Event(step=name, state=state, text=told[0], lasts_s=told[1]))
        self.told[name] = told
        self.states[name] = State.STARTED
        if all(phase in ENDED for phase in phases):
            self.states[name] = State.DONE if all(phase == "Succeeded" for phase in phases) else State.FAILED
            self.watch.tell(Event(step=name, state=self.states[name]))

    def _lasts_s(self, name: str, phases: list[str]) -> float | None:
        """Tell how long the attackers take from now on, once all are there, and the API as well."""
        if name != "attack" or "Pending" in phases or self.states.get("ready") is not State.DONE:
            return None
        waves = len(phases) // self.watch.wave if self.watch.wave else 1
        return self.watch.lasts_s * max(1, waves)


def _attackers(phases: list[str], lasts_s: float | None) -> str:
    attackers = f"{len(phases)} attacker{'s' if len(phases) > 1 else ''}"
    if pending := phases.count("Pending"):
        return f"{attackers}, {pending} of them not started yet"
    return attackers if lasts_s is not None else f"{attackers} at the ready"
