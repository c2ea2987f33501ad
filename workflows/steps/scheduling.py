"""Why a pod was not started: the scheduler's own words, which outlive the pod."""

from workflows.steps.cluster import Cluster, asking

__all__ = ["why_unscheduled"]


def why_unscheduled(cluster: Cluster, *, pods: str) -> tuple[str, ...]:
    """Find what the scheduler said of pods that it never placed.

    Args:
        cluster: where they are, or were.
        pods: how their names begin.

    Returns:
        A sentence for each pod.
    """
    with asking(f"events in namespace {cluster.namespace}"):
        events = cluster.core.list_namespaced_event(cluster.namespace, field_selector="involvedObject.kind=Pod").items
    of_pods = [one for one in events if (one.involved_object.name or "").startswith(pods)]
    placed = {one.involved_object.name for one in of_pods if one.reason == "Scheduled"}
    refused = {
        one.involved_object.name: " ".join((one.message or "").split())
        for one in of_pods
        if one.reason == "FailedScheduling" and one.involved_object.name not in placed
    }
    return tuple(f"pod {pod} was not started: {told}" for pod, told in sorted(refused.items()))
