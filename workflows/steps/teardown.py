"""Step teardown: remove the API that the step deploy deployed."""

import threading
from contextlib import suppress

from workflows.steps.cluster import Cluster, asking, wait_until_gone
from workflows.steps.deploy import API_NAME

__all__ = ["teardown"]

_TIMEOUT_S = 60.0


def teardown(
    cluster: Cluster, *, timeout_s: float = _TIMEOUT_S, stop: threading.Event | None = None, name: str = API_NAME
) -> None:
    """Remove the API's Deployment and Service, and wait until its pods are gone; where there are none, that is well.

    A load balancer is given back meanwhile and after, which takes a cloud a minute: nobody waits for it here.

    Args:
        cluster: where they are.
        timeout_s: for the pods to be gone, which have their own time to end.
        stop: when it is set, nothing is waited for.
        name: of both.

    Raises:
        RunBrokenError: the cluster refuses, or pods are still there.
    """
    from kubernetes.client.exceptions import NotFoundException  # noqa: PLC0415

    # Foreground: the Deployment is there for as long as any of its pods.
    for kind, delete, policy in (
        ("Deployment", cluster.apps.delete_namespaced_deployment, "Foreground"),
        ("Service", cluster.core.delete_namespaced_service, "Background"),
    ):
        with asking(f"{kind} {name}"), suppress(NotFoundException):
            delete(name, cluster.namespace, propagation_policy=policy)
    wait_until_gone(
        f"Deployment {name}",
        lambda: cluster.apps.read_namespaced_deployment(name, cluster.namespace),
        timeout_s=timeout_s,
        stop=stop or threading.Event(),
    )
