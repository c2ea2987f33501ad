"""Following a run to its end: what its steps do is told, a wish to stop is passed on, a silent cluster is borne."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from workflows.engines.argo import read_run, stop
from workflows.engines.argo_api import ArgoApi, Manifest
from workflows.engines.argo_run import ENDED, Ended, end_of, has_ended, phases_by_step
from workflows.progress import Event, State, Tell
from workflows.steps.cluster import NoAnswerError

__all__ = ["Watch", "follow"]

_POLL_S = 1.0
_PATIENCE_S = 600.0
"""How long the cluster may be silent: an upgrade of its control plane takes minutes."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a run is followed."""

    tell: Tell
    lasts_s: float
    """How long a wave of attackers takes, from the first request to the last."""
    wave: int | None
    """How many attackers a wave has, if not all are one."""
    interrupted: threading.Event
    """When it is set, the run is stopped."""
    abandoned: threading.Event
    """When it is set, only the watching ends."""
    poll_s: float = _POLL_S
    patience_s: float = _PATIENCE_S


def follow(api: ArgoApi, run: str, watch: Watch) -> Ended | None:
    """Watch a run to its end; told to stop, stop it, and wait for its partial report and teardown.

    Returns:
        What it came to; None where only the watching was to end.

    Raises:
        InvalidLoadTestError: there is no such run.
        RunBrokenError: the cluster refuses, or was silent for too long.
    """
    steps, patient = _Steps(watch), _Patient(watch.tell, watch.patience_s)
    stopping = False
    while not watch.abandoned.is_set():
        workflow = patient.ask(lambda: read_run(api, run))
        if workflow is not None:
            steps.tell_of(workflow)
            if has_ended(workflow):
                return end_of(workflow)
        if watch.interrupted.is_set() and not stopping:
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
class _Steps:
    """What has been told of a run's steps."""

    watch: Watch
    states: dict[str, State] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
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
        text, lasts_s = _in_words(name, phases), self._lasts_s(name, phases)
        state = State.STARTED if name not in self.states else State.CHANGED
        if text != self.texts.get(name):
            self.watch.tell(Event(step=name, state=state, text=text, lasts_s=lasts_s))
        self.texts[name] = text
        self.states[name] = State.STARTED
        if all(phase in ENDED for phase in phases):
            self.states[name] = State.DONE if all(phase == "Succeeded" for phase in phases) else State.FAILED
            self.watch.tell(Event(step=name, state=self.states[name]))

    def _lasts_s(self, name: str, phases: list[str]) -> float | None:
        """Tell how long the attackers take from now on, once all are there."""
        if name != "attack" or any(phase == "Pending" for phase in phases):
            return None
        waves = len(phases) // self.watch.wave if self.watch.wave else 1
        return self.watch.lasts_s * max(1, waves)


def _in_words(name: str, phases: list[str]) -> str:
    if name == "attack":
        return _attackers(phases)
    return {
        "deploy": "the API",
        "ready": "the API is rolled out, and each target answers once",
        "report": "merging what was measured",
        "teardown": "the API",
    }[name]


def _attackers(phases: list[str]) -> str:
    attackers = f"{len(phases)} attacker{'s' if len(phases) > 1 else ''}"
    pending = phases.count("Pending")
    return f"{attackers}, {pending} of them not started yet" if pending else attackers
