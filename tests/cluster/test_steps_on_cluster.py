"""The Kubernetes steps on a real cluster, with the rights that k8s/ gives them and no others.

The cluster's registry holds the image `loadtest-api:1`. BuildKit's image there is not rootless, so its pods are privileged,
and has no way to the internet.
"""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, RbacAuthorizationV1Api
from kubernetes.client.exceptions import NotFoundException

from attacker.exits import RunBrokenError
from tests.loopback import wait_until
from workflows.images import API, ATTACKER, existing_digest
from workflows.loadtest import LoadTest, ServiceType
from workflows.progress import Event
from workflows.steps.build import Registry, build
from workflows.steps.buildkit import BuildKit, buildkit
from workflows.steps.cluster import Cluster, connect, wait_until_gone
from workflows.steps.deploy import API_MANIFESTS, API_NAME, ApiSpec, deploy
from workflows.steps.rollout import wait_for_rollout
from workflows.steps.teardown import teardown

CHECKOUT = Path(__file__).parents[2]
GIVEN = {name: os.environ.get(name, "") for name in ("KUBECONFIG", "CLUSTER_REGISTRY")}
REGISTRY = GIVEN["CLUSTER_REGISTRY"]
MISSING = [name for name, value in GIVEN.items() if not value]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.timeout(900),
]


def a_namespace(*, pod_security: str) -> Iterator[Cluster]:
    """Make a namespace for a test, as the kubeconfig's user, and remove it afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    cluster = connect(name)
    labels = {"created-by": "load-test-tests", "pod-security.kubernetes.io/enforce": pod_security}
    namespace: Any = {"metadata": {"name": name, "labels": labels}}
    cluster.core.create_namespace(namespace)
    try:
        yield cluster
    finally:
        cluster.core.delete_namespace(name)
        wait_until_gone(
            f"Namespace {name}", lambda: cluster.core.read_namespace(name), timeout_s=90, stop=threading.Event()
        )


@pytest.fixture
def admin() -> Iterator[Cluster]:
    yield from a_namespace(pod_security="restricted")


@pytest.fixture
def build_admin() -> Iterator[Cluster]:
    yield from a_namespace(pod_security="privileged")


def as_account(admin: Cluster, name: str, role: str) -> Cluster:
    """Become a service account of the test's namespace, which has there what a role of k8s/ allows."""
    rights = RbacAuthorizationV1Api(admin.client)
    content = yaml.safe_load((CHECKOUT / role).read_text())
    content["metadata"]["namespace"] = admin.namespace
    rights.create_namespaced_role(admin.namespace, content)
    account: Any = {"metadata": {"name": name}}
    admin.core.create_namespaced_service_account(admin.namespace, account)
    binding: Any = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": content["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": admin.namespace}],
    }
    rights.create_namespaced_role_binding(admin.namespace, binding)
    user = f"system:serviceaccount:{admin.namespace}:{name}"
    client = ApiClient(admin.client.configuration, header_name="Impersonate-User", header_value=user)
    return replace(admin, client=client)


@pytest.fixture
def deployer(admin: Cluster) -> Cluster:
    return as_account(admin, "loadtest-deployer", "k8s/loadtest/role-deployer.yaml")


@pytest.fixture
def builder(build_admin: Cluster) -> Cluster:
    return as_account(build_admin, "loadtest-builder", "k8s/build/role-builder.yaml")


def an_api(image: str = f"{REGISTRY}/loadtest-api:1", **fields: Any) -> ApiSpec:
    small: dict[str, Any] = {"replicas": 2, "workers": 1, "cpu": "100m", "memory": "150Mi"}
    loadtest = LoadTest(api_service=ServiceType.CLUSTER_IP, ready_timeout="60s")  # type: ignore[arg-type]
    return replace(ApiSpec.of(loadtest, image=image, run="run-1"), **{**small, **fields})


def pods_of(cluster: Cluster) -> dict[str, str]:
    """Tell the run of each of the API's pods, by its name."""
    pods = cluster.core.list_namespaced_pod(cluster.namespace).items
    metadata = [pod.metadata for pod in pods if pod.metadata]
    return {str(one.name): (one.annotations or {})["load-test/run"] for one in metadata}


def test_the_api_is_deployed_rolled_out_and_removed(admin: Cluster, deployer: Cluster) -> None:
    url = deploy(an_api(), deployer)
    wait_for_rollout(deployer, timeout_s=60)

    assert url == f"http://loadtest-api.{deployer.namespace}.svc:5000"
    assert list(pods_of(admin).values()) == ["run-1", "run-1"]

    teardown(deployer)

    assert pods_of(admin) == {}
    with pytest.raises(NotFoundException):
        admin.core.read_namespaced_service(API_NAME, admin.namespace)
    teardown(deployer)


def test_another_run_gets_pods_of_its_own_with_its_own_settings(admin: Cluster, deployer: Cluster) -> None:
    deploy(an_api(), deployer)
    wait_for_rollout(deployer, timeout_s=60)
    before = pods_of(admin)

    url = deploy(an_api(run="run-2", replicas=1, port=8080, service_type=ServiceType.LOAD_BALANCER), deployer)
    wait_for_rollout(deployer, timeout_s=90)

    after = pods_of(admin)
    assert list(after.values()) == ["run-2"]
    assert not set(before) & set(after)
    assert url.endswith(":8080")
    service = admin.core.read_namespaced_service(API_NAME, admin.namespace).spec
    assert service is not None
    assert service.type == "LoadBalancer"
    assert [port.port for port in service.ports or ()] == [8080]


def test_an_api_is_deployed_while_the_run_before_still_removes_its_own(admin: Cluster, deployer: Cluster) -> None:
    deploy(an_api(replicas=1), deployer)
    wait_for_rollout(deployer, timeout_s=60)
    stopped = threading.Event()
    stopped.set()
    teardown(deployer, stop=stopped)

    deploy(an_api(run="run-2", replicas=1), deployer)
    wait_for_rollout(deployer, timeout_s=90)

    assert list(pods_of(admin).values()) == ["run-2"]


def ends_early(cluster: Cluster, *, patience_s: float = 5) -> str:
    """Wait for a rollout that cannot come; returns why it does not."""
    began = time.monotonic()
    with pytest.raises(RunBrokenError) as broken:  # noqa: PT012  (how long it takes is what is tested)
        wait_for_rollout(cluster, timeout_s=120, patience_s=patience_s)
    assert time.monotonic() - began < 60
    assert "\n" not in str(broken.value)
    return str(broken.value)


def test_a_crash_ends_the_wait_with_what_the_pod_said_last(deployer: Cluster) -> None:
    deploy(an_api(workers=0), deployer)

    assert "container api ended with exit code 1; its log ends: API_WORKERS is '0': give" in ends_early(deployer)


def test_a_program_that_is_not_in_the_image_ends_the_wait(deployer: Cluster, tmp_path: Path) -> None:
    manifests = Path(shutil.copytree(API_MANIFESTS, tmp_path / "api"))
    content = yaml.safe_load((manifests / "deployment.yaml").read_text())
    content["spec"]["template"]["spec"]["containers"][0]["command"] = ["no-such-program"]
    (manifests / "deployment.yaml").write_text(yaml.safe_dump(content))

    deploy(an_api(), deployer, manifests=manifests)

    assert "no-such-program" in ends_early(deployer)


def test_an_image_that_is_not_there_ends_the_wait_with_its_name(deployer: Cluster) -> None:
    deploy(an_api(f"{REGISTRY}/no-such-image:1"), deployer)

    reason = ends_early(deployer)
    assert reason.startswith(f"loadtest-api: image {REGISTRY}/no-such-image:1 cannot be pulled: ")
    assert "not found" in reason


def test_a_name_that_is_none_of_an_image_ends_the_wait(deployer: Cluster) -> None:
    deploy(an_api("No Image"), deployer)

    assert "image No Image cannot be pulled: " in ends_early(deployer)


def test_a_pod_that_fits_on_no_node_ends_the_wait_with_the_schedulers_reason(deployer: Cluster) -> None:
    deploy(an_api(cpu="1000"), deployer)

    assert "fits on no node: 0/1 nodes are available: 1 Insufficient cpu" in ends_early(deployer)


def test_a_quota_that_is_used_up_ends_the_wait(admin: Cluster, deployer: Cluster) -> None:
    quota: Any = {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}
    admin.core.create_namespaced_resource_quota(admin.namespace, quota)

    deploy(an_api(), deployer)

    assert "a pod cannot be created: " in (reason := ends_early(deployer))
    assert "exceeded quota: small" in reason


def test_an_api_that_does_not_get_ready_ends_the_wait_with_its_probes_answer(deployer: Cluster) -> None:
    deploy(an_api(image=f"{REGISTRY}/library/debian:bookworm-slim"), deployer)

    assert "crashes: container api ended with exit code 0" in ends_early(deployer)
