"""A run as Argo tells of it: its steps' pods, what they gave out, and what it came to. Values in, values out."""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from attacker.exits import Exit
from attacker.report.figures import VerdictResult
from attacker.report.verdict import EXIT_OF
from workflows.engines.argo_api import Manifest
from workflows.pipeline import TEMPLATE_NAME

__all__ = [
    "ENDED",
    "Ended",
    "end_of",
    "has_ended",
    "has_given_up",
    "outputs_of",
    "phases_by_step",
    "placeless_attackers",
    "results_of",
    "starts_in_vain",
    "verdict_of",
    "why_stuck",
]

ENDED = frozenset({"Succeeded", "Failed", "Error"})
"""The phases from which nothing comes back, of a workflow and of its nodes."""
_STEPS = ("deploy", "ready", "attack", "read", "report", "teardown")
_FIRST_STEPS = frozenset({"deploy", "ready"})
_STUCK = ("ErrImage", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")
"""How Kubernetes' reasons begin for which a pod's containers do not start."""

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has come to its end."""

    run: str
    phase: str
    verdict: VerdictResult | None
    """None where it broke before there was anything to judge."""
    summary: str
    results: str
    """Where its folder lies, gs://BUCKET/PREFIX; empty where it did not get so far."""
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


def has_ended(workflow: Manifest) -> bool:
    """Tell whether a run has come to its end, its exit handler included."""
    return workflow.get("status", {}).get("phase") in ENDED


def end_of(workflow: Manifest) -> Ended:
    """Say what a run came to that has ended."""
    judged = next((told for told in outputs_of(workflow) if told.get("verdict")), None)
    return Ended(
        run=workflow["metadata"]["name"],
        phase=workflow["status"]["phase"],
        verdict=VerdictResult(judged["verdict"]) if judged else None,
        summary=judged["summary"] if judged else "",
        results=results_of(workflow),
        reason="" if judged else _why(workflow),
    )


def phases_by_step(workflow: Manifest) -> dict[str, list[str]]:
    """Give each step's pods' phases, in the order of the steps; a step that has no pod yet is not there."""
    pods = list(_pods(workflow))
    found = {step: [pod["phase"] for pod in pods if pod.get("templateName") == step] for step in _STEPS}
    return {step: phases for step, phases in found.items() if phases}


def outputs_of(workflow: Manifest) -> Iterator[dict[str, str]]:
    """Give each pod's output parameters by name."""
    return map(_outputs, _pods(workflow))


def verdict_of(workflow: Manifest) -> str:
    """Give a run's verdict, empty where there is none."""
    return next((told["verdict"] for told in outputs_of(workflow) if told.get("verdict")), "")


def results_of(workflow: Manifest) -> str:
    """Give the place of a run's results, gs://BUCKET/PREFIX, as its step `deploy` settled it; else empty."""
    return next((told["results"] for told in outputs_of(workflow) if told.get("results")), "")


def why_stuck(workflow: Manifest) -> str | None:
    """Say why the run's own image cannot be started, where its first steps hang for that; all others need it too."""
    for pod in _pods(workflow):
        message = str(pod.get("message") or "")
        if pod.get("templateName") in _FIRST_STEPS and pod.get("phase") == "Pending" and message.startswith(_STUCK):
            return f"{pod['displayName']}: {' '.join(message.split())}: name an attacker_image that can be pulled"
    return None


def placeless_attackers(workflow: Manifest) -> str | None:
    """Say which attack pods have no node, and why, where no attacker runs; None where there are none, or some run."""
    attackers = [pod for pod in _pods(workflow) if pod.get("templateName") == "attack"]
    pending = [pod for pod in attackers if pod.get("phase") == "Pending"]
    if not pending or any(pod.get("phase") == "Running" for pod in attackers):
        return None
    names = ", ".join(sorted(str(pod["displayName"]) for pod in pending))
    return f"{names}: {' '.join(str(pending[0].get('message') or 'not started').split())}"


def starts_in_vain(workflow: Manifest) -> bool:
    """Tell whether attackers are still being started for an API that did not get ready."""
    phases = phases_by_step(workflow)
    return phases.get("ready") in (["Failed"], ["Error"]) and "Pending" in phases.get("attack", ())


def has_given_up(workflow: Manifest) -> bool:
    """Tell whether an attacker has left without an attack, as all do that wait for one that does not come."""
    return any(pod.get("templateName") == "attack" and pod.get("phase") == "Failed" for pod in _pods(workflow))


def _why(workflow: Manifest) -> str:
    """Find the first failing step's own reason, else Argo's."""
    failed = [node for node in _pods(workflow) if node.get("phase") in {"Failed", "Error"}]
    for node in failed:
        if reason := _outputs(node).get("reason"):
            return f"{node['displayName']}: {reason}"
    for node in failed:
        return f"{node['displayName']}: {node.get('message') or node['phase']}"
    return str(workflow["status"].get("message") or f"the workflow ended as {workflow['status']['phase']}")


def _outputs(node: Node) -> dict[str, str]:
    parameters = (node.get("outputs") or {}).get("parameters") or []
    return {one["name"]: one.get("value", "") for one in parameters}


def _pods(workflow: Manifest) -> Iterator[Node]:
    """Give the pods in the order of the steps: those that run side by side begin, and fail, in any."""
    status = workflow.get("status") or {}
    nodes = status.get("nodes") or {}
    if status.get("compressedNodes"):
        nodes = json.loads(gzip.decompress(base64.b64decode(status["compressedNodes"])))
    pods = [node for node in nodes.values() if node.get("type") == "Pod"]
    order = {step: place for place, step in enumerate(_STEPS)}
    return iter(
        sorted(pods, key=lambda node: (order.get(node.get("templateName"), len(order)), node.get("startedAt") or ""))
    )
