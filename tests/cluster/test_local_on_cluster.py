"""From a machine outside the cluster: an API that runs in it is attacked through its load balancer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacker.exits import Exit
from tests.cluster.runs import REGISTRY
from tests.workflows.submit_process import start_submit, submit
from workflows.loadtest import LoadTest
from workflows.steps.cluster import Cluster, connect
from workflows.steps.deploy import API_NAME, ApiSpec, deploy
from workflows.steps.rollout import wait_for_rollout
from workflows.steps.teardown import teardown

MISSING = [name for name in ("KUBECONFIG", "CLUSTER_REGISTRY") if not os.environ.get(name)]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.timeout(300),
]

ATTACK = ("--local", "--api-url", f"service/{API_NAME}", "--rate", "20", "--duration", "2s")

ADDRESS = "203.0.113.7"
"""For documentation only (RFC 5737): nobody has it but the cluster's own nodes, which answer for a load balancer."""


def make_load_balancer(cluster: Cluster) -> None:
    """Do what a cloud does: give the Service an address."""
    status = {"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS, "ipMode": "VIP"}]}}}
    cluster.core.patch_namespaced_service_status(API_NAME, cluster.namespace, status)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster that runs the API; its load balancer is still to be made."""
    cluster = connect("default")
    small = {"api_replicas": 1, "api_workers": 1, "api_cpu": "250m", "api_memory": "150Mi"}
    deploy(ApiSpec.of(LoadTest(**small), image=f"{REGISTRY}/loadtest-api:1", run="run-1"), cluster)
    wait_for_rollout(cluster, timeout_s=60)
    yield cluster
    teardown(cluster)


def test_an_address_that_does_not_come_ends_the_wait(cluster: Cluster, tmp_path: Path) -> None:
    told = submit(*ATTACK, "--namespace", cluster.namespace, "--ready-timeout", "2s", cwd=tmp_path)

    assert told.code == Exit.BROKEN
    assert told.error == (
        "submit: Service loadtest-api in namespace default had no external address within 2 s: "
        "look at 'kubectl describe service', or give a longer ready_timeout"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_apis_external_address_is_waited_for_and_attacked(cluster: Cluster, tmp_path: Path) -> None:
    process = start_submit(*ATTACK, "--json", "--namespace", cluster.namespace, cwd=tmp_path)
    make_load_balancer(cluster)
    out, err = process.communicate(timeout=100)

    assert process.returncode == Exit.PASS, err
    report = json.loads(out)
    assert [one["requests"] for one in report["targets"]] == [40] * 3
    assert report["run"]["loadtest"]["api_url"] == f"http://{ADDRESS}:5000"
    wait_for_rollout(cluster, timeout_s=1)  # it is still there
