"""Why a pod does not run: read from what Kubernetes says of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.steps.cluster import Cluster

if TYPE_CHECKING:
    from kubernetes.client import V1ContainerStateTerminated, V1ContainerStatus, V1Pod

__all__ = ["Trouble", "is_hopeless", "last_lines", "trouble_of", "warning_of"]

_NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_NOT_CREATED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_GONE_FOR_GOOD = ("not found", "unauthorized", "denied", "forbidden", "invalid", "no such host", "couldn't parse")
"""What registries say where asking again does not help."""
_SCALE_UP = frozenset({"TriggeredScaleUp", "Nominated"})
"""Said by cluster-autoscaler and GKE, and by Karpenter."""
_SHOWN_LINES, _SHOWN_CHARACTERS = 3, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that keeps a pod from running."""

    pod: str
    text: str
    remedy: str
    is_final: bool = False
    """Whether waiting cannot help."""
    is_unscheduled: bool = False
    """Whether a new node would help."""
    crashed: str | None = None
    """The container whose last lines tell more."""


def trouble_of(pods: Iterable["V1Pod"]) -> Trouble | None:
    """Find what keeps pods from running: the worst of it, and None where there is nothing."""
    troubles = [trouble for pod in pods for trouble in _troubles(pod)]
    return min(troubles, key=lambda trouble: (not trouble.is_final, trouble.pod), default=None)


def _troubles(pod: "V1Pod") -> Iterable[Trouble]:
    """Find what keeps a pod from running; one that is being deleted need not run."""
    status, name = pod.status, pod.metadata.name if pod.metadata else None
    if pod.metadata is None or status is None or name is None or pod.metadata.deletion_timestamp is not None:
        return
    for condition in status.conditions or ():
        if (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable"):
            yield Trouble(
                pod=name,
                text=f"pod {name} fits on no node: {_one_line(condition.message)}",
                remedy="ask for less CPU or memory, or add nodes",
                is_unscheduled=True,
            )
    if status.phase == "Failed":
        told = ": ".join(filter(None, (status.reason, _one_line(status.message)))) or "no reason given"
        yield Trouble(pod=name, text=f"pod {name} failed: {told}", remedy="mend what it says")
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        trouble = _trouble_of_container(name, container)
        if trouble is not None:
            yield trouble


def _trouble_of_container(pod: str, container: "V1ContainerStatus") -> Trouble | None:
    waiting = container.state.waiting if container.state else None
    if waiting is None:
        return None
    told = _one_line(waiting.message) or waiting.reason or ""
    if waiting.reason in _NO_IMAGE:
        return Trouble(
            pod=pod,
            text=f"image {container.image} cannot be pulled: {told}",
            remedy="name an image that the registry has and that the cluster's nodes may pull",
            is_final=waiting.reason == "InvalidImageName" or any(word in told.lower() for word in _GONE_FOR_GOOD),
        )
    ended = container.last_state.terminated if container.last_state else None
    if waiting.reason == "CrashLoopBackOff":
        out_of_memory = ended is not None and ended.reason == "OOMKilled"
        return Trouble(
            pod=pod,
            text=f"pod {pod} crashes: container {container.name} {_end(ended)}",
            remedy="give it more memory" if out_of_memory else f"mend image {container.image}",
            is_final=True,
            crashed=container.name,
        )
    if waiting.reason in _NOT_CREATED:
        text = f"container {container.name} of pod {pod} cannot be started: {told}"
        return Trouble(pod=pod, text=text, remedy="mend what it says")
    return None


def _end(ended: "V1ContainerStateTerminated | None") -> str:
    if ended is None:
        return "does not stay up"
    how = f"ended with exit code {ended.exit_code}"
    reason = f" ({ended.reason})" if ended.reason not in (None, "Error", "Completed") else ""
    return f"{how}{reason}: {_one_line(ended.message)}" if ended.message else f"{how}{reason}"


def last_lines(cluster: Cluster, namespace: str, trouble: Trouble) -> str:
    """Read the end of a crashed container's log, on one line; empty where there is none."""
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

    for previous in (True, False):
        try:
            log = cluster.core.read_namespaced_pod_log(
                trouble.pod, namespace, container=trouble.crashed, previous=previous, tail_lines=20
            )
        except ApiException:
            continue  # it is gone, or may not be read: the exit code must do
        lines = [line.strip() for line in (log or "").splitlines() if line.strip()]
        if lines:
            return " / ".join(lines[-_SHOWN_LINES:])[-_SHOWN_CHARACTERS:]
    return ""


def is_hopeless(trouble: Trouble, cluster: Cluster, namespace: str, *, is_patience_over: bool) -> bool:
    """Tell whether to give up: where waiting cannot help, or did not; but not while an autoscaler brings a node."""
    if trouble.is_final or not is_patience_over:
        return trouble.is_final
    events = _events(cluster, namespace, "Pod", trouble.pod) if trouble.is_unscheduled else []
    return not any(event.reason in _SCALE_UP for event in events)


def warning_of(cluster: Cluster, namespace: str, kind: str, name: str) -> str | None:
    """Read the last warning about an object, such as a probe that fails or a volume that is missing."""
    warnings = [event for event in _events(cluster, namespace, kind, name) if event.type == "Warning"]
    latest = max(
        warnings,
        key=lambda event: event.last_timestamp or event.event_time or event.metadata.creation_timestamp,
        default=None,
    )
    return None if latest is None else _one_line(latest.message)


def _events(cluster: Cluster, namespace: str, kind: str, name: str) -> list[Any]:
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

    try:
        found = cluster.core.list_namespaced_event(
            namespace, field_selector=f"involvedObject.kind={kind},involvedObject.name={name}"
        )
    except ApiException:
        return []  # they only explain; a run does without where they may not be read
    return list(found.items)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
