"""A run's attack pods, as the cluster sees them: which of them live, and why others came late or never."""

from workflows.steps.cluster import Cluster, asking

__all__ = ["living_attackers", "why_unscheduled"]

_LIVING = frozenset({"Pending", "Running"})


def living_attackers(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Name the attack pods that may still upload something.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    with asking(f"pods of run {run}"):
        pods = cluster.core.list_namespaced_pod(
            cluster.namespace, label_selector=f"workflows.argoproj.io/workflow={run}"
        ).items
    alive = (pod for pod in pods if pod.status and pod.status.phase in _LIVING)
    names = (pod.metadata.name or "" for pod in alive if pod.metadata)
    return tuple(name for name in names if name.startswith(_beginning(run)))


def why_unscheduled(cluster: Cluster, *, run: str) -> tuple[str, ...]:
    """Find what the scheduler said of attack pods that it did not place at once: its own words outlive the pods.

    Returns:
        A sentence for each pod.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    with asking(f"events in namespace {cluster.namespace}"):
        events = cluster.core.list_namespaced_event(cluster.namespace, field_selector="involvedObject.kind=Pod").items
    of_pods = [one for one in events if (one.involved_object.name or "").startswith(_beginning(run))]
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


def _beginning(run: str) -> str:
    """Say how Argo begins the names of a run's attack pods."""
    return f"{run}-attack-"
