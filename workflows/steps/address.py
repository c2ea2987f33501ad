"""The address of an API that runs in the cluster, as a machine outside it can reach it: its load balancer's."""

import threading
import time
from typing import TYPE_CHECKING

from attacker.exits import RunBrokenError
from workflows.loadtest import LoadTest
from workflows.steps.cluster import Cluster, asking, connect

if TYPE_CHECKING:
    from kubernetes.client import V1Service

__all__ = ["external_url", "in_cluster_url", "url_of", "with_external_url"]

_SERVICE = "service/"  # how an api_url begins that names a Service instead of an address
_POLL_S = 1.0


def with_external_url(loadtest: LoadTest, *, namespace: str, context: str | None, stop: threading.Event) -> LoadTest:
    """Put the address in the place of the Service that the load test's `api_url` names. Raises as `external_url`."""
    name = (loadtest.api_url or "").removeprefix(_SERVICE)
    cluster = connect(namespace, context=context)
    url = external_url(cluster, name, timeout_s=loadtest.ready_timeout.s, stop=stop)
    return loadtest.model_copy(update={"api_url": url})


def in_cluster_url(api_url: str, loadtest: LoadTest, *, namespace: str) -> str:
    """Give the address that pods reach an `api_url` by: a Service's is its name, on the load test's port."""
    if not api_url.startswith(_SERVICE):
        return api_url
    return f"http://{api_url.removeprefix(_SERVICE)}.{namespace}.svc:{loadtest.api_port}"


def external_url(cluster: Cluster, name: str, *, timeout_s: float, stop: threading.Event) -> str:
    """Look a Service's external address up, waiting for it where its load balancer is still being made.

    Args:
        cluster: where the Service is.
        name: the Service's.
        timeout_s: how long to wait; making a load balancer takes a minute or two.
        stop: when it is set, the wait ends.

    Raises:
        RunBrokenError: there is no such Service, it has no load balancer, or none in time.
    """
    until = time.monotonic() + timeout_s
    while True:
        with asking(f"Service {name} in namespace {cluster.namespace}"):
            service: V1Service = cluster.core.read_namespaced_service(name, cluster.namespace)
        url = url_of(service)
        if url is not None:
            return url
        if time.monotonic() > until or stop.wait(_POLL_S):
            raise RunBrokenError(
                f"Service {name} in namespace {cluster.namespace} had no external address within {timeout_s:g} s: "
                "look at 'kubectl describe service', or give a longer ready_timeout"
            )


def url_of(service: "V1Service") -> str | None:
    """Give a Service's external URL; None while its load balancer has no address.

    Raises:
        RunBrokenError: it is of another type, and will never have one.
    """
    spec, status = service.spec, service.status
    name = service.metadata.name if service.metadata else "?"
    if spec is None or spec.type != "LoadBalancer":
        kind = spec.type if spec else "no type"
        raise RunBrokenError(f"Service {name} is of type {kind}: only a LoadBalancer is reachable from outside")
    ingress = (status.load_balancer.ingress if status and status.load_balancer else None) or []
    address = next((one.ip or one.hostname for one in ingress if one.ip or one.hostname), None)
    port = spec.ports[0].port if spec.ports else 80
    if address is None:
        return None
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"
