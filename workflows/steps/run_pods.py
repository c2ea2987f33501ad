"""A run's pods, as the cluster sees them: which attackers live, why others came late or never, which readers ended."""

from typing import TYPE_CHECKING

from workflows.steps.cluster import Cluster, asking

if TYPE_CHECKING:
    from kubernetes.client import V1Pod

__all__ = ["living_attackers", "why_killed", "why_readers_ended", "why_unscheduled"]

_LIVING = frozenset({"Pending", "Running"})
_ATTACK, _READ = "attack", "read"


def living_attackers(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Name the attack pods that may still upload something.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    pods = _pods(cluster, run, _ATTACK)
    return tuple(name for name, pod in pods.items() if pod.status and pod.status.phase in _LIVING)


def why_killed(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Find attack pods that did not end by themselves: out of memory, evicted, their node gone.

    Returns:
        A sentence for each pod.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    found = {
        name: _how_it_was_killed(pod, remedy="raise attacker_memory")
        for name, pod in _pods(cluster, run, _ATTACK).items()
    }
    return tuple(f"pod {name} was ended: {how}" for name, how in sorted(found.items()) if how)


def why_readers_ended(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Find reader pods that failed, by themselves or not.

    Returns:
        A sentence for each pod.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    failed = {
        name: _how_it_was_killed(pod, remedy="give more readers") or "see its log"
        for name, pod in _pods(cluster, run, _READ).items()
        if pod.status and pod.status.phase == "Failed"
    }
    return tuple(f"pod {name} ended before the report was made: {how}" for name, how in sorted(failed.items()))


def _pods(cluster: Cluster, run: str, step: str) -> "dict[str, V1Pod]":
    with asking(f"pods of run {run}"):
        pods = cluster.core.list_namespaced_pod(
            cluster.namespace, label_selector=f"workflows.argoproj.io/workflow={run}"
        ).items
    named = {pod.metadata.name or "": pod for pod in pods if pod.metadata}
    return {name: pod for name, pod in named.items() if name.startswith(_beginning(run, step))}


def _how_it_was_killed(pod: "V1Pod", *, remedy: str) -> str:
    """Say it in Kubernetes' words; empty where the pod ended by itself, or lives."""
    if pod.status is None:
        return ""
    if pod.status.reason:
        return ": ".join(filter(None, (pod.status.reason, " ".join((pod.status.message or "").split()))))
    ends = (one.state.terminated for one in pod.status.container_statuses or () if one.state)
    is_out_of_memory = any(end.reason == "OOMKilled" for end in ends if end)
    return f"OOMKilled: {remedy}" if is_out_of_memory else ""


def why_unscheduled(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Find what the scheduler said of attack pods that it did not place at once: its own words outlive the pods.

    Returns:
        A sentence for each pod.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    with asking(f"events in namespace {cluster.namespace}"):
        events = cluster.core.list_namespaced_event(cluster.namespace, field_selector="involvedObject.kind=Pod").items
    of_pods = [one for one in events if (one.involved_object.name or "").startswith(_beginning(run, _ATTACK))]
    placed = {one.involved_object.name for one in of_pods if one.reason == "Scheduled"}
    refused = {
        one.involved_object.name: " ".join((one.message or "").split())
        for one in of_pods
        if one.reason == "FailedScheduling"
    }
    return tuple(
        f"pod {pod} was {'started late' if pod in placed else 'not started'}: {told}"
        for pod, told in sorted(refused.items())
    )


def _beginning(run: str, step: str) -> str:
    """Say how Argo begins the names of a step's pods."""
    return f"{run}-{step}-"
