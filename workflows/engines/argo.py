"""The Argo engine: publish the template, submit a run, follow it to its end, stop it."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attacker.exits import Exit, InvalidLoadTestError
from attacker.report.figures import VerdictResult
from attacker.report.verdict import EXIT_OF
from workflows.engines.argo_api import ArgoApi, Kind, Manifest
from workflows.pipeline import TEMPLATE_NAME
from workflows.progress import Event, State, Tell

__all__ = ["Ended", "KnownRun", "Watch", "follow", "publish", "runs", "stop", "submit"]

_PHASES_AT_THE_END = {"Succeeded", "Failed", "Error"}
_POLL_S = 1.0
_STEPS = ("deploy", "ready", "attack", "report", "teardown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has come to its end."""

    run: str
    phase: str
    verdict: VerdictResult | None
    """None where it broke before there was anything to judge."""
    summary: str
    reason: str
    """Why there is no verdict, in one line."""

    @property
    def knew_no_template(self) -> bool:
        """Tell whether the controller had not heard of the template yet; then nothing was started."""
        return self.phase == "Error" and f'"{TEMPLATE_NAME}" not found' in self.reason

    @property
    def exit(self) -> Exit:
        """The verdict's exit code; without one, the run broke."""
        return Exit.BROKEN if self.verdict is None else EXIT_OF[self.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a run is followed."""

    tell: Tell
    lasts_s: float
    """How long its attack takes."""
    interrupted: threading.Event
    """When it is set, the run is stopped."""
    detach: bool
    """When it is set, only the watching ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """A run that the cluster still knows."""

    run: str
    phase: str
    created: str
    verdict: str


def publish(api: ArgoApi, kind: Kind, manifest: Manifest) -> bool:
    """Create or update a template or schedule where it is not there as it should be.

    Returns:
        True where it was not there before.
    """
    name = manifest["metadata"]["name"]
    found = api.read(kind, name)
    if found is None:
        api.create(kind, manifest)
        return True
    if found["spec"] != manifest["spec"]:
        metadata = {**manifest["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
        api.replace(kind, name, {**manifest, "metadata": metadata})
    return False


def submit(api: ArgoApi, values: Mapping[str, str]) -> str:
    """Start a run of the template with these parameters; returns its name."""
    made = api.create(
        "workflows",
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{TEMPLATE_NAME}-", "namespace": api.namespace},
            "spec": {
                "workflowTemplateRef": {"name": TEMPLATE_NAME},
                "arguments": {"parameters": [{"name": name, "value": value} for name, value in values.items()]},
            },
        },
    )
    return str(made["metadata"]["name"])


def follow(api: ArgoApi, run: str, watch: Watch) -> Ended | None:
    """Watch a run to its end; told to stop, stop it, and wait for its partial report and teardown.

    Returns:
        What it came to; None where only the watching was to end.
    """
    steps = _Steps(watch.tell, watch.lasts_s)
    stopping = False
    while True:
        workflow = _read(api, run)
        steps.tell_of(workflow)
        if workflow.get("status", {}).get("phase") in _PHASES_AT_THE_END:
            return _ended(run, workflow)
        if watch.interrupted.is_set() and watch.detach:
            return None
        if watch.interrupted.is_set() and not stopping:
            stopping = True
            if stop(api, run):
                return Ended(run=run, phase="", verdict=None, summary="", reason="it was still waiting: it is deleted")
        if stopping:
            time.sleep(_POLL_S)
        else:
            watch.interrupted.wait(_POLL_S)


def stop(api: ArgoApi, run: str) -> bool:
    """Stop a run: its exit handler reports and tears down.

    Returns:
        True where it had not begun: then there is nothing to wait for, and it is deleted.
    """
    if not _read(api, run).get("status", {}).get("startedAt"):
        api.delete(run)  # while it waits for another's lock, Argo does not obey
        return True
    api.stop(run)
    return False


def runs(api: ArgoApi) -> tuple[KnownRun, ...]:
    """List the template's runs, the newest first."""
    known = [
        KnownRun(
            run=one["metadata"]["name"],
            phase=one.get("status", {}).get("phase") or "Pending",
            created=one["metadata"]["creationTimestamp"],
            verdict=next((told["verdict"] for told in map(_outputs, _nodes(one).values()) if told.get("verdict")), ""),
        )
        for one in api.workflows(f"app.kubernetes.io/name={TEMPLATE_NAME}")
    ]
    return tuple(sorted(known, key=lambda one: one.created, reverse=True))


class _Steps:
    """What has been told of a run's steps."""

    def __init__(self, tell: Tell, lasts_s: float) -> None:
        self._tell = tell
        self._lasts_s = lasts_s
        self._states: dict[str, State] = {}
        self._message = ""

    def tell_of(self, workflow: Mapping[str, Any]) -> None:
        """Tell what has changed."""
        message = str(workflow.get("status", {}).get("message") or "")
        if message != self._message and message.startswith("Waiting"):
            self._tell(Event(step="queue", state=State.NOTE, text=message))
        self._message = message
        for name, phases in _phases(workflow).items():
            self._tell_step(name, phases)

    def _tell_step(self, name: str, phases: list[str]) -> None:
        if name not in self._states:
            self._states[name] = State.STARTED
            lasts_s = self._lasts_s if name == "attack" else None
            self._tell(Event(step=name, state=State.STARTED, text=_in_words(name, phases), lasts_s=lasts_s))
        if self._states[name] is State.STARTED and all(phase in _PHASES_AT_THE_END for phase in phases):
            failed = any(phase != "Succeeded" for phase in phases)
            self._states[name] = State.FAILED if failed else State.DONE
            self._tell(Event(step=name, state=self._states[name]))


def _in_words(name: str, phases: list[str]) -> str:
    texts = {
        "deploy": "the API",
        "ready": "the API is rolled out, and each target answers once",
        "attack": f"{len(phases)} attacker{'s' if len(phases) > 1 else ''}",
        "report": "merging what was measured",
        "teardown": "the API",
    }
    return texts[name]


def _phases(workflow: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give each step's pods' phases, in the order of the steps."""
    nodes = [node for node in _nodes(workflow).values() if node.get("type") == "Pod"]
    found = {step: [node["phase"] for node in nodes if node.get("templateName") == step] for step in _STEPS}
    return {step: phases for step, phases in found.items() if phases}


def _ended(run: str, workflow: Mapping[str, Any]) -> Ended:
    outputs = [(node, _outputs(node)) for node in _nodes(workflow).values() if node.get("type") == "Pod"]
    judged = next((told for node, told in outputs if told.get("verdict")), None)
    return Ended(
        run=run,
        phase=workflow["status"]["phase"],
        verdict=VerdictResult(judged["verdict"]) if judged else None,
        summary=judged["summary"] if judged else "",
        reason="" if judged else _why(workflow, outputs),
    )


def _why(workflow: Mapping[str, Any], outputs: list[tuple[Mapping[str, Any], dict[str, str]]]) -> str:
    """Find the first failing step's own reason, else Argo's."""
    failed = [(node, told) for node, told in outputs if node.get("phase") in {"Failed", "Error"}]
    for node, told in failed:
        if told.get("reason"):
            return f"{node['displayName']}: {told['reason']}"
    for node, _ in failed:
        return f"{node['displayName']}: {node.get('message') or node['phase']}"
    return str(workflow["status"].get("message") or f"the workflow ended as {workflow['status']['phase']}")


def _outputs(node: Mapping[str, Any]) -> dict[str, str]:
    parameters = (node.get("outputs") or {}).get("parameters") or []
    return {one["name"]: one.get("value", "") for one in parameters}


def _nodes(workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    status = workflow.get("status") or {}
    if status.get("compressedNodes"):
        return dict(json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"]))))
    return dict(status.get("nodes") or {})


def _read(api: ArgoApi, run: str) -> Manifest:
    found = api.read("workflows", run)
    if found is None:
        raise InvalidLoadTestError(f"there is no run {run!r}: name one that 'submit.py list' shows")
    return found
