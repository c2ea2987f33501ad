"""The Kubernetes steps on a real cluster, with no more rights than they need.

The cluster's registry holds the image `loadtest-api:1`, the base images and one of BuildKit, which is not rootless, so
its pods are privileged. They have no way to the internet: CLUSTER_WHEELS and CLUSTER_GOPROXY serve what builds fetch.
"""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes.client import ApiClient, RbacAuthorizationV1Api
from kubernetes.client.exceptions import NotFoundException

from attacker.exits import RunBrokenError
from tests.loopback import wait_until
from workflows.images import API, ATTACKER, ImageSource, existing_digest
from workflows.loadtest import LoadTest, ServiceType
from workflows.steps.build import Builder, Registry, build
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
        # A namespace waits for its pods' own time to end; these are of no use any more.
        cluster.apps.delete_collection_namespaced_deployment(name, propagation_policy="Foreground")
        cluster.core.delete_collection_namespaced_pod(name, grace_period_seconds=0)
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
    small: dict[str, Any] = {"replicas": 2, "workers": 1, "cpu": "250m", "memory": "150Mi"}
    loadtest = LoadTest(api_service=ServiceType.CLUSTER_IP, ready_timeout="60s")
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
    with pytest.raises(RunBrokenError) as broken:
        wait_for_rollout(cluster, timeout_s=120, patience_s=patience_s)
    assert time.monotonic() - began < 60
    assert "\n" not in str(broken.value)
    return str(broken.value)


def test_a_crash_ends_the_wait_with_what_the_pod_said_last(deployer: Cluster) -> None:
    deploy(an_api(workers=0), deployer)

    assert "container api ended with exit code 1; its log ends: API_WORKERS is '0': give" in ends_early(deployer)


def changed(folder: Path, name: str, value: object) -> Path:
    """Copy the API's manifests and change a field of its container."""
    manifests = Path(shutil.copytree(API_MANIFESTS, folder / "api"))
    content = yaml.safe_load((manifests / "deployment.yaml").read_text())
    content["spec"]["template"]["spec"]["containers"][0][name] = value
    (manifests / "deployment.yaml").write_text(yaml.safe_dump(content))
    return manifests


def test_a_program_that_is_not_in_the_image_ends_the_wait(deployer: Cluster, tmp_path: Path) -> None:
    deploy(an_api(), deployer, manifests=changed(tmp_path, "command", ["no-such-program"]))

    assert "no-such-program" in ends_early(deployer)


def test_a_config_map_that_is_missing_ends_the_wait_with_its_name(deployer: Cluster, tmp_path: Path) -> None:
    manifests = changed(tmp_path, "envFrom", [{"configMapRef": {"name": "no-such-settings"}}])

    deploy(an_api(), deployer, manifests=manifests)

    assert 'cannot be started: configmap "no-such-settings" not found' in ends_early(deployer)


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


def test_an_api_that_does_not_get_ready_ends_the_wait_with_its_probes_answer(deployer: Cluster, tmp_path: Path) -> None:
    manifests = changed(tmp_path, "readinessProbe", {"httpGet": {"path": "/nothing-there", "port": "http"}})

    deploy(an_api(), deployer, manifests=manifests)

    with pytest.raises(
        RunBrokenError, match=r"0 of 2 pods are available after 15 s: pod \S+: Readiness probe failed: .*404"
    ):
        wait_for_rollout(deployer, timeout_s=15)


# Building


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What both images are made of, for nobody else to change meanwhile."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for folder in ("api", "attacker", "workflows", "k8s/api"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=unwanted)
    shutil.copy(CHECKOUT / ".dockerignore", tmp_path)
    return tmp_path


def in_the_cluster(cluster: Cluster, **fields: Any) -> Builder:
    """Build with BuildKit in a test's namespace, from what the cluster itself has."""
    wheels = os.environ.get("CLUSTER_WHEELS", "")
    place = BuildKit(
        namespace=cluster.namespace,
        image="moby/buildkit:v0.34.2",
        is_privileged=True,
        is_insecure=True,
        build_args={
            "BASE": f"{REGISTRY}/library/python:3.11-slim-bookworm",
            "GO_BASE": f"{REGISTRY}/library/golang:1.26-bookworm",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": wheels,
            "PIP_TRUSTED_HOST": urlsplit(wheels).hostname or "",
            "GOPROXY": os.environ.get("CLUSTER_GOPROXY", ""),
        },
    )
    return lambda context, image, wait: buildkit(context, image, replace(place, **fields), cluster=cluster, wait=wait)


def a_registry() -> Registry:
    """Name a place in the cluster's registry where nothing is yet."""
    find = partial(existing_digest, insecure=True)
    return Registry(prefix=f"{REGISTRY}/load-test-tests/{secrets.token_hex(4)}", find=find)


def left_in(admin: Cluster) -> set[str]:
    """Tell which Jobs, pods and ConfigMaps of builds are there."""
    jobs = admin.batch.list_namespaced_job(admin.namespace).items
    pods = admin.core.list_namespaced_pod(admin.namespace).items
    config_maps = admin.core.list_namespaced_config_map(admin.namespace).items
    found = [*(job.metadata for job in jobs), *(pod.metadata for pod in pods), *(one.metadata for one in config_maps)]
    names = {str(metadata.name) for metadata in found if metadata}
    return {name for name in names if name.startswith("build-")}


def test_both_images_are_built_without_the_internet_once_and_run(
    build_admin: Cluster, builder: Cluster, admin: Cluster, deployer: Cluster, checkout: Path
) -> None:
    registry = a_registry()

    built = build((API, ATTACKER), registry, in_the_cluster(builder), checkout=checkout)

    assert {name: image.digest for name, image in built.items()} == {
        source.name: registry.find(source.reference(registry.prefix, source.context(checkout)))
        for source in (API, ATTACKER)
    }
    wait_until(lambda: not left_in(build_admin))

    def no_builder(_context: object, image: object, _wait: object) -> str:
        pytest.fail(f"{image} is built again")

    assert build((API, ATTACKER), registry, no_builder, checkout=checkout) == built

    deploy(an_api(str(built["api"]), replicas=1), deployer)
    wait_for_rollout(deployer, timeout_s=60)
    assert list(pods_of(admin).values()) == ["run-1"]


def a_source(checkout: Path, dockerfile: str) -> ImageSource:
    folder = checkout / "small"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(f"FROM {REGISTRY}/library/debian:bookworm-slim\n{dockerfile}\n")
    return ImageSource(name="small", folder="small", dockerfile="Dockerfile")


def test_a_build_that_fails_is_told_with_the_end_of_its_log(
    build_admin: Cluster, builder: Cluster, tmp_path: Path
) -> None:
    source = a_source(tmp_path, "RUN echo so far so good && ls /nothing-there")

    with pytest.raises(RunBrokenError) as broken:
        build((source,), a_registry(), in_the_cluster(builder), checkout=tmp_path)

    first, *log = str(broken.value).splitlines()
    assert "BuildKit failed: error: failed to solve: process" in first
    assert any("so far so good" in line for line in log)
    assert any("cannot access '/nothing-there'" in line for line in log)
    wait_until(lambda: not left_in(build_admin))


def test_a_run_that_is_stopped_leaves_nothing_of_its_build(
    build_admin: Cluster, builder: Cluster, tmp_path: Path
) -> None:
    source = a_source(tmp_path, "RUN sleep 600")
    stop = threading.Event()

    def stop_once_there_is_a_pod() -> None:
        wait_until(lambda: len(left_in(build_admin)) == 2)  # its name, and that of the Job and its ConfigMap
        stop.set()

    threading.Thread(target=stop_once_there_is_a_pod, daemon=True).start()

    with pytest.raises(RunBrokenError, match="BuildKit was still at work when the run was stopped"):
        build((source,), a_registry(), in_the_cluster(builder), checkout=tmp_path, stop=stop)

    wait_until(lambda: not left_in(build_admin), timeout_s=60)


def test_a_buildkit_that_is_not_there_ends_the_build_with_its_name(builder: Cluster, tmp_path: Path) -> None:
    source = a_source(tmp_path, "")
    place = in_the_cluster(builder, image=f"{REGISTRY}/no-buildkit:1")

    with pytest.raises(RunBrokenError, match=r"image \S+/no-buildkit:1 cannot be pulled: .*not found"):
        build((source,), a_registry(), place, checkout=tmp_path)
