"""Steps ready and teardown: write down what the API's pods are before the attack, and before they are removed."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attacker.api_pods import ApiPod, Snapshot, render_snapshot, snapshot_path
from attacker.exits import LoadTestError
from attacker.pods.barrier import Files
from workflows.steps.cluster import Cluster, asking
from workflows.steps.deploy import API_NAME

if TYPE_CHECKING:
    from kubernetes.client import V1ContainerStatus, V1Pod

__all__ = ["leave_snapshot", "look_at_pods"]

_OVER = frozenset({"Failed", "Succeeded"})


def leave_snapshot(run: str, moment: str, files: Files, cluster: Cluster) -> None:
    """Write down what the API's pods are, or why that cannot be told: a run does not break for it.

    Args:
        run: the run's id.
        moment: before or after.
        files: where it is written.
        cluster: where the pods are.

    Raises:
        RunBrokenError: it cannot be written.
    """
    try:
        taken = Snapshot(pods=look_at_pods(cluster))
    except LoadTestError as error:
        taken = Snapshot(pods=(), trouble=str(error))
    files.write(snapshot_path(run, moment), render_snapshot(taken))


def look_at_pods(cluster: Cluster, *, name: str = API_NAME) -> tuple[ApiPod, ...]:
    """List the pods that are meant to answer, whoever made them: those that end or have ended are not.

    Raises:
        RunBrokenError: the cluster refuses to tell, or does not answer.
    """
    with asking(f"pods of Deployment {name}"):
        deployment = cluster.apps.read_namespaced_deployment(name, cluster.namespace)
        labels = deployment.spec.selector.match_labels or {}
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = cluster.core.list_namespaced_pod(cluster.namespace, label_selector=selector).items
    return tuple(sorted((_as_value(pod) for pod in pods if _is_meant(pod)), key=lambda pod: pod.name))


def _is_meant(pod: "V1Pod") -> bool:
    return bool(pod.metadata and pod.status and not pod.metadata.deletion_timestamp and pod.status.phase not in _OVER)


def _as_value(pod: "V1Pod") -> ApiPod:
    containers = (pod.status.container_statuses if pod.status else None) or []
    return ApiPod(
        name=(pod.metadata.name if pod.metadata else None) or "",
        uid=(pod.metadata.uid if pod.metadata else None) or "",
        node=(pod.spec.node_name if pod.spec else None) or "",
        restarts=sum(container.restart_count for container in containers),
        last_end=_last_end(containers),
        is_ready=bool(containers) and all(container.ready for container in containers),
    )


def _last_end(containers: Iterable["V1ContainerStatus"]) -> str:
    ends = (container.last_state.terminated for container in containers if container.last_state)
    return next((end.reason or f"exit code {end.exit_code}" for end in ends if end), "")
