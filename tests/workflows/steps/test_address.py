"""The address of an API in the cluster: its load balancer's from outside, its Service's from inside."""

import pytest
from kubernetes.client import (
    V1LoadBalancerIngress,
    V1LoadBalancerStatus,
    V1ObjectMeta,
    V1Service,
    V1ServicePort,
    V1ServiceSpec,
    V1ServiceStatus,
)

from attacker.exits import RunBrokenError
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest
from workflows.steps.address import in_cluster_url, url_of


def a_service(*addresses: V1LoadBalancerIngress, kind: str = "LoadBalancer") -> V1Service:
    return V1Service(
        metadata=V1ObjectMeta(name="api"),
        spec=V1ServiceSpec(type=kind, ports=[V1ServicePort(port=5000)]),
        status=V1ServiceStatus(load_balancer=V1LoadBalancerStatus(ingress=list(addresses) or None)),
    )


@pytest.mark.parametrize(
    ("ingress", "url"),
    [
        pytest.param(V1LoadBalancerIngress(ip="203.0.113.7"), "http://203.0.113.7:5000", id="an address"),
        pytest.param(V1LoadBalancerIngress(ip="2001:db8::7"), "http://[2001:db8::7]:5000", id="an IPv6 address"),
        pytest.param(V1LoadBalancerIngress(hostname="lb.example"), "http://lb.example:5000", id="a name"),
    ],
)
def test_the_url_is_the_load_balancers_with_the_services_port(ingress: V1LoadBalancerIngress, url: str) -> None:
    assert url_of(a_service(ingress)) == url


def test_a_load_balancer_that_is_being_made_has_no_url_yet() -> None:
    assert url_of(a_service()) is None


def test_a_service_without_a_load_balancer_never_has_one() -> None:
    with pytest.raises(RunBrokenError, match="Service api is of type ClusterIP: only a LoadBalancer is reachable"):
        url_of(a_service(kind="ClusterIP"))


def test_pods_reach_a_service_by_its_name() -> None:
    loadtest = parse_loadtest({"api_url": "service/api", "api_port": 80})

    assert in_cluster_url("service/api", loadtest, namespace="shop") == "http://api.shop.svc:80"
    assert in_cluster_url("https://api.example", LoadTest(), namespace="shop") == "https://api.example"
