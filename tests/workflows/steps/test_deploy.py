"""Step deploy: the manifests of k8s/api with the load test's values, applied on the server."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn
from workflows.loadtest import LoadTest, ServiceType
from workflows.steps.cluster import Cluster
from workflows.steps.deploy import API_MANIFESTS, ApiSpec, Owner, as_specified, deploy, read_manifests

DEPLOYMENT = "/apis/apps/v1/namespaces/tests/deployments/loadtest-api"
SERVICE = "/api/v1/namespaces/tests/services/loadtest-api"


def an_api(**fields: Any) -> ApiSpec:
    return replace(ApiSpec.of(LoadTest(), image="registry/api@sha256:1", run="run-1"), **fields)


def filled(api: ApiSpec) -> tuple[Any, Any]:
    deployment, service = read_manifests(API_MANIFESTS)
    return as_specified(deployment, api, namespace="tests"), as_specified(service, api, namespace="tests")


def container_of(deployment: Any) -> Any:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def test_what_kubectl_would_apply_is_changed_only_where_the_load_test_says_so() -> None:
    kept, _ = read_manifests(API_MANIFESTS)

    deployment, _ = filled(an_api())

    written = yaml.safe_load((API_MANIFESTS / "deployment.yaml").read_text())
    container = container_of(written)
    container["image"] = "registry/api@sha256:1"
    container["env"] = [{"name": "API_WORKERS", "value": "4"}, {"name": "API_BIND", "value": "0.0.0.0:5000"}]
    written["metadata"]["namespace"] = "tests"
    written["spec"]["progressDeadlineSeconds"] = 60
    written["spec"]["template"]["metadata"]["annotations"]["load-test/run"] = "run-1"
    assert deployment == written
    assert kept == yaml.safe_load((API_MANIFESTS / "deployment.yaml").read_text())


def test_the_load_tests_size_is_the_apis() -> None:
    loadtest = LoadTest(api_replicas=7, api_workers=2, api_cpu="250m", api_memory="1Gi")

    deployment, _ = filled(ApiSpec.of(loadtest, image="registry/api:1", run="run-1"))

    assert deployment["spec"]["replicas"] == 7
    assert container_of(deployment)["resources"] == {
        "requests": {"cpu": "250m", "memory": "1Gi"},
        "limits": {"cpu": "250m", "memory": "1Gi"},
    }
    assert {"name": "API_WORKERS", "value": "2"} in container_of(deployment)["env"]


def test_the_port_is_the_services_the_containers_and_the_one_that_the_api_is_told() -> None:
    deployment, service = filled(an_api(port=8080))

    assert service["spec"]["ports"][0]["port"] == 8080
    assert service["spec"]["ports"][0]["targetPort"] == container_of(deployment)["ports"][0]["name"]
    assert container_of(deployment)["ports"][0]["containerPort"] == 8080
    assert {"name": "API_BIND", "value": "0.0.0.0:8080"} in container_of(deployment)["env"]


@pytest.mark.parametrize("kind", ServiceType)
def test_the_service_is_of_the_kind_that_was_asked_for(kind: ServiceType) -> None:
    _, service = filled(an_api(service_type=kind))

    assert service["spec"]["type"] == kind.value


def test_another_run_has_pods_of_its_own() -> None:
    one, _ = filled(an_api(run="run-1"))
    other, _ = filled(an_api(run="run-2"))

    assert one["spec"]["template"] != other["spec"]["template"]
    assert one["spec"]["selector"] == other["spec"]["selector"]


def test_both_objects_go_with_the_workflow_that_owns_them() -> None:
    for manifest in filled(an_api(owner=Owner(name="run-1", uid="12-34"))):
        assert manifest["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "name": "run-1",
                "uid": "12-34",
                "controller": False,
                "blockOwnerDeletion": False,
            }
        ]


def test_without_an_owner_they_stay() -> None:
    deployment, service = filled(an_api())

    assert "ownerReferences" not in deployment["metadata"]
    assert "ownerReferences" not in service["metadata"]


@pytest.mark.parametrize(
    ("ready_timeout_s", "tries"),
    [pytest.param(10, 60, id="less than the manifest's"), pytest.param(300.5, 301, id="more")],
)
def test_an_api_that_starts_slowly_is_not_restarted_while_it_is_waited_for(ready_timeout_s: float, tries: int) -> None:
    deployment, _ = filled(an_api(ready_timeout_s=ready_timeout_s))

    assert container_of(deployment)["startupProbe"]["periodSeconds"] == 1
    assert container_of(deployment)["startupProbe"]["failureThreshold"] == tries


def test_both_are_applied_on_the_server_over_whatever_others_set(stand_in: StandIn, cluster: Cluster) -> None:
    url = deploy(an_api(), cluster)

    assert url == "http://loadtest-api.tests.svc:5000"
    assert [asked.path for asked in stand_in.asked] == [SERVICE, DEPLOYMENT]
    for asked in stand_in.asked:
        assert (asked.method, asked.content_type) == ("PATCH", "application/apply-patch+yaml")
        assert asked.query == {"fieldManager": "load-test", "force": "true"}
        assert asked.body["metadata"]["namespace"] == "tests"


def test_what_the_run_before_still_deletes_is_waited_for_and_then_applied_anew(
    stand_in: StandIn, cluster: Cluster
) -> None:
    going = {"name": "loadtest-api", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    stand_in.objects[SERVICE] = {"kind": "Service", "metadata": going}
    stand_in.reactions["GET", SERVICE] = lambda: stand_in.objects.pop(SERVICE)

    deploy(an_api(), cluster)

    assert [(asked.method, asked.path) for asked in stand_in.asked] == [
        ("PATCH", SERVICE),
        ("GET", SERVICE),
        ("PATCH", SERVICE),
        ("PATCH", DEPLOYMENT),
    ]
    assert "deletionTimestamp" not in stand_in.objects[SERVICE]["metadata"]


def test_told_to_stop_it_does_not_wait(stand_in: StandIn, cluster: Cluster) -> None:
    stop = threading.Event()
    stop.set()

    deploy(an_api(), cluster, stop=stop)

    assert stand_in.asked == []


def test_a_refusal_names_the_object_and_the_reason(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.refusals["PATCH", DEPLOYMENT] = 422, "spec.selector: field is immutable"

    with pytest.raises(
        RunBrokenError, match=r"^Deployment loadtest-api: the cluster answered 422: spec.selector: field is immutable: "
    ):
        deploy(an_api(), cluster)


def a_folder(folder: Path, **files: str) -> Path:
    for name in ("kustomization", "deployment", "service"):
        (folder / f"{name}.yaml").write_text((API_MANIFESTS / f"{name}.yaml").read_text())
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param({"deployment": "{"}, r"its manifests cannot be read \(.*\): mend them", id="no YAML"),
        pytest.param({"deployment": "[]"}, r"its manifests cannot be read \(.*\): mend them", id="no object"),
        pytest.param({"kustomization": "resources: [none.yaml]"}, r"cannot be read \(.*none.yaml.*\)", id="no file"),
        pytest.param(
            {"kustomization": "resources: [service.yaml]"},
            "lists Service loadtest-api: a run may deploy a Deployment and a Service loadtest-api only",
            id="one is missing",
        ),
        pytest.param(
            {"service": "{kind: Service, metadata: {name: other}}"},
            "lists Deployment loadtest-api, Service other: a run may",
            id="a name that the role does not allow",
        ),
    ],
)
def test_manifests_that_a_run_cannot_deploy_are_refused(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    with pytest.raises(RunBrokenError, match=reason):
        read_manifests(a_folder(tmp_path, **files))


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        pytest.param(
            {"kind": "Deployment", "metadata": {}, "spec": {"template": {"metadata": {}, "spec": {"containers": []}}}},
            "the Deployment has no container 'api': name the API's container so",
            id="no container of that name",
        ),
        pytest.param(
            {"kind": "Service", "metadata": {}, "spec": {}}, "the Service has no 'ports': mend it", id="no ports"
        ),
    ],
)
def test_a_manifest_without_what_is_to_be_filled_in_is_refused(manifest: Any, reason: str) -> None:
    with pytest.raises(RunBrokenError, match=reason):
        as_specified(manifest, an_api(), namespace="tests")
