"""Step ready, its first half: wait until all pods of the API run what was deployed last."""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attacker.exits import RunBrokenError
from workflows.progress import Event, State, Tell
from workflows.steps.cluster import Cluster, asking
from workflows.steps.deploy import API_NAME, RUN_ANNOTATION
from workflows.steps.pods import Trouble, is_hopeless, last_lines, trouble_of, warning_of

if TYPE_CHECKING:
    from kubernetes.client import V1Deployment, V1Pod, V1PodTemplateSpec

__all__ = ["is_rolled_out", "rollout_trouble", "wait_for_rollout"]

_POLL_S = 0.5
_PATIENCE_S = 20.0


def wait_for_rollout(
    cluster: Cluster,
    *,
    timeout_s: float,
    stop: threading.Event | None = None,
    patience_s: float = _PATIENCE_S,
    tell: Tell = lambda _: None,
    name: str = API_NAME,
) -> None:
    """Wait until a Deployment is rolled out, but not for what cannot come.

    Args:
        cluster: where it is.
        timeout_s: for all of it.
        stop: when it is set, the wait ends.
        patience_s: how long to look at what may pass by itself, such as a pod that fits on no node yet. Where an
            autoscaler brings one, it is waited for until the end.
        tell: hears how many pods are available.
        name: of the Deployment.

    Raises:
        RunBrokenError: a pod crashes, its image cannot be pulled, it fits nowhere, or time is over; with the reason
            that Kubernetes gives.
    """
    stop = stop or threading.Event()
    until = time.monotonic() + timeout_s
    calm_at = time.monotonic()
    told = ""
    while not stop.is_set():
        deployment, pods = _look(name, cluster)
        if is_rolled_out(deployment):
            return
        now, trouble = time.monotonic(), rollout_trouble(deployment, pods)
        calm_at = now if trouble is None else calm_at
        if trouble and is_hopeless(trouble, cluster, cluster.namespace, is_patience_over=now > calm_at + patience_s):
            raise RunBrokenError(f"{name}: {_in_full(trouble, cluster)}: {trouble.remedy}")
        if now > until:
            raise RunBrokenError(
                f"{name}: {_progress(deployment)} after {timeout_s:g} s{_why(trouble, pods, cluster)}: "
                "give a longer ready_timeout, or mend the API"
            )
        if told != (told := _progress(deployment)):
            tell(Event(step="ready", state=State.NOTE, text=told))
        stop.wait(_POLL_S)


def is_rolled_out(deployment: "V1Deployment") -> bool:
    """Tell whether all pods are as was specified last and available, and no other is left.

    Until the controller has looked at a Deployment, its status is empty, or that of what was specified before.
    """
    if deployment.metadata is None or deployment.status is None:
        return False
    status, wanted = deployment.status, deployment.spec.replicas
    is_observed = (status.observed_generation or 0) >= (deployment.metadata.generation or 1)
    return is_observed and (status.updated_replicas, status.replicas, status.available_replicas) == (wanted,) * 3


def rollout_trouble(deployment: "V1Deployment", pods: Iterable["V1Pod"]) -> Trouble | None:
    """Find what keeps a Deployment from being rolled out; None where it only takes its time."""
    of_pods = trouble_of(pods)
    if of_pods is not None and of_pods.is_final:
        return of_pods
    for condition in (deployment.status.conditions if deployment.status else None) or ():
        if (condition.type, condition.status) == ("ReplicaFailure", "True"):
            told = " ".join((condition.message or condition.reason or "no reason given").split())
            return Trouble(
                pod="", text=f"a pod cannot be created: {told}", remedy="raise that limit, or have k8s/api ask for less"
            )
    return of_pods


def _look(name: str, cluster: Cluster) -> tuple["V1Deployment", Sequence["V1Pod"]]:
    """Read a Deployment, and its pods but those of earlier runs."""
    with asking(f"Deployment {name}"):
        deployment = cluster.apps.read_namespaced_deployment(name, cluster.namespace)
        labels = deployment.spec.selector.match_labels or {}
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = cluster.core.list_namespaced_pod(cluster.namespace, label_selector=selector).items
    run = _run_of(deployment.spec.template)
    return deployment, [pod for pod in pods if _run_of(pod) == run]


def _run_of(made: "V1PodTemplateSpec | V1Pod") -> str | None:
    return ((made.metadata.annotations if made.metadata else None) or {}).get(RUN_ANNOTATION)


def _in_full(trouble: Trouble, cluster: Cluster) -> str:
    log = last_lines(cluster, cluster.namespace, trouble) if trouble.crashed else ""
    return f"{trouble.text}; its log ends: {log}" if log else trouble.text


def _progress(deployment: "V1Deployment") -> str:
    available = (deployment.status.available_replicas if deployment.status else None) or 0
    return f"{available} of {deployment.spec.replicas} pods are available"


def _why(trouble: Trouble | None, pods: Sequence["V1Pod"], cluster: Cluster) -> str:
    """Say what was seen last: the trouble, or else the last warning about a pod that is not ready."""
    if trouble is not None:
        return f": {trouble.text}"
    for pod in pods:
        if pod.metadata and pod.metadata.name and not _is_ready(pod):
            warning = warning_of(cluster, cluster.namespace, "Pod", pod.metadata.name)
            return f": pod {pod.metadata.name}: {warning or 'it starts'}"
    return ""


def _is_ready(pod: "V1Pod") -> bool:
    conditions = (pod.status.conditions if pod.status else None) or ()
    return any((condition.type, condition.status) == ("Ready", "True") for condition in conditions)
