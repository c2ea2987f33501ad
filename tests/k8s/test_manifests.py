"""What the manifests in k8s/ hold, looked at as data: no cluster is needed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import gunicorn_conf
from workflows.loadtest import LoadTest
from workflows.loadtest_file import parse_loadtest

Manifest = dict[str, Any]

K8S = Path(__file__).parents[2] / "k8s"
KUSTOMIZATIONS = sorted(K8S.rglob("kustomization.yaml"))
PATCHES = sorted(K8S.rglob("patch-*.yaml"))
FILES = sorted(set(K8S.rglob("*.yaml")) - {*KUSTOMIZATIONS, *PATCHES})
KUBECTL = shutil.which("kubectl") or ""

needs_kubectl = pytest.mark.skipif(not KUBECTL, reason="kubectl, which renders kustomizations, is not on the PATH")


def name_of(file: Path) -> str:
    return file.relative_to(K8S).as_posix()


def read(file: Path) -> Manifest:
    manifest: Manifest = yaml.safe_load(file.read_text())
    return manifest


def all_of(kind: str) -> list[Manifest]:
    return [manifest for manifest in map(read, FILES) if manifest["kind"] == kind]


def identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def by_identity(manifests: list[Manifest]) -> dict[tuple[str, str, str], Manifest]:
    return {identity(manifest): manifest for manifest in manifests}


def values_of(key: str, tree: object) -> Iterator[object]:
    """Find all values of a key, however deep it stands."""
    children: list[object] = []
    if isinstance(tree, dict):
        yield from (value for name, value in tree.items() if name == key)
        children = list(tree.values())
    elif isinstance(tree, list):
        children = tree
    for child in children:
        yield from values_of(key, child)


def rendered(folder: Path) -> list[Manifest]:
    told = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=True, timeout=60)
    return list(yaml.safe_load_all(told.stdout))


@pytest.fixture
def deployment() -> Manifest:
    return read(K8S / "api/deployment.yaml")


@pytest.fixture
def container(deployment: Manifest) -> Manifest:
    only: Manifest
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


@pytest.fixture
def service() -> Manifest:
    return read(K8S / "api/service.yaml")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_holds_one_object_and_begins_with_its_kind(file: Path) -> None:
    (manifest,) = yaml.safe_load_all(file.read_text())

    assert re.match("[a-z]+", file.name)[0] == manifest["kind"].lower()  # type: ignore[index]
    assert manifest["apiVersion"]
    assert manifest["metadata"]["name"]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_an_object_says_what_it_is_and_what_it_is_part_of(file: Path) -> None:
    labels = read(file)["metadata"]["labels"]

    assert labels["app.kubernetes.io/name"]
    assert labels["app.kubernetes.io/part-of"] == "load-test"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_an_object_is_in_a_namespace_of_the_load_test_or_is_one(file: Path) -> None:
    manifest = read(file)
    metadata = manifest["metadata"]

    namespace = metadata["name"] if manifest["kind"] == "Namespace" else metadata["namespace"]

    assert namespace in {"loadtest", "loadtest-build"}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_image_has_a_tag_or_a_digest_outside_a_kustomization(file: Path) -> None:
    images = [str(image) for image in values_of("image", read(file))]

    assert [image for image in images if re.search("[:@]", re.sub("{{.*?}}", "", image))] == []


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS, ids=name_of)
def test_a_kustomization_lists_all_that_lies_beside_it(kustomization: Path) -> None:
    listed = read(kustomization)
    files = [resource for resource in listed["resources"] if "/" not in resource]
    patches = [patch["path"] for patch in listed.get("patches", [])]

    beside = {file.name for file in kustomization.parent.glob("*.yaml")} - {kustomization.name}

    assert {*files, *patches} == beside
    assert len(files) + len(patches) == len(beside)


def test_no_right_reaches_beyond_a_namespace() -> None:
    assert all_of("ClusterRole") == []
    assert all_of("ClusterRoleBinding") == []


@pytest.mark.parametrize("role", all_of("Role"), ids=lambda role: "/".join(identity(role)[1:]))
def test_a_role_names_what_it_allows(role: Manifest) -> None:
    granted = {word for rule in role["rules"] for field in ("apiGroups", "resources", "verbs") for word in rule[field]}

    assert not granted & {"*", "secrets", "pods/exec", "serviceaccounts/token", "escalate", "bind", "impersonate"}


@pytest.mark.parametrize("binding", all_of("RoleBinding"), ids=lambda binding: "/".join(identity(binding)[1:]))
def test_a_binding_binds_a_role_of_its_namespace_to_accounts_that_there_are(binding: Manifest) -> None:
    argos_own = {("ServiceAccount", "loadtest", "argo")}
    known = {identity(manifest) for manifest in map(read, FILES)} | argos_own
    role = (binding["roleRef"]["kind"], binding["metadata"]["namespace"], binding["roleRef"]["name"])
    subjects = {(subject["kind"], subject["namespace"], subject["name"]) for subject in binding["subjects"]}

    assert role in known
    assert subjects <= known


def test_runs_are_held_to_the_strictest_pod_security() -> None:
    labels = read(K8S / "loadtest/namespace.yaml")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_traffic_that_no_policy_names_is_forbidden() -> None:
    spec = read(K8S / "loadtest/networkpolicy-default-deny.yaml")["spec"]

    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_api_gets_what_it_asks_for_and_no_more(container: Manifest) -> None:
    resources = container["resources"]

    assert resources["requests"] == resources["limits"]
    assert set(resources["limits"]) == {"cpu", "memory"}


def test_argos_containers_get_what_they_ask_for_and_no_more() -> None:
    config = read(K8S / "argo/configmap-workflow-controller.yaml")["data"]
    resources = yaml.safe_load(config["executor"])["resources"]

    assert resources["requests"] == resources["limits"]
    assert set(resources["limits"]) == {"cpu", "memory"}


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_the_api_is_asked_for_its_health_at_the_port_by_name(container: Manifest, probe: str) -> None:
    assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_the_api_runs_with_the_least_that_it_needs(deployment: Manifest, container: Manifest) -> None:
    pod = deployment["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_api_has_the_time_to_answer_what_it_has_accepted_and_is_gone_soon(
    deployment: Manifest, container: Manifest
) -> None:
    pod = deployment["spec"]["template"]["spec"]

    assert gunicorn_conf.graceful_timeout + 5 < pod["terminationGracePeriodSeconds"]
    assert "lifecycle" not in container


def test_the_api_is_as_a_load_test_has_it_by_default(
    deployment: Manifest, container: Manifest, service: Manifest
) -> None:
    default = LoadTest()
    (port,) = service["spec"]["ports"]

    assert deployment["spec"]["replicas"] == default.api_replicas
    assert container["resources"]["limits"] == {"cpu": default.api_cpu, "memory": default.api_memory}
    assert {"name": "API_WORKERS", "value": str(default.api_workers)} in container["env"]
    assert port["port"] == container["ports"][0]["containerPort"] == default.api_port


def test_the_service_leads_to_the_apis_pods(deployment: Manifest, container: Manifest, service: Manifest) -> None:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (port,) = service["spec"]["ports"]

    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert port["targetPort"] == container["ports"][0]["name"]


def test_the_stored_targets_are_those_of_a_load_test_that_names_none() -> None:
    stored = read(K8S / "loadtest/configmap-targets.yaml")

    targets = parse_loadtest({"targets": yaml.safe_load(stored["data"]["targets"])}).targets

    assert targets == LoadTest().targets
    assert stored["metadata"]["labels"]["workflows.argoproj.io/configmap-type"] == "Parameter"


@pytest.fixture
def calibration() -> Manifest:
    """The pod that calibrates."""
    pod: Manifest = read(K8S / "calibrate/job-calibrate.yaml")["spec"]["template"]["spec"]
    return pod


@pytest.fixture
def attack() -> Manifest:
    """How attack pods are made."""
    templates = read(K8S / "loadtest/workflowtemplate-load-test.yaml")["spec"]["templates"]
    template: Manifest = next(one for one in templates if one["name"] == "attack")
    return template


@pytest.mark.parametrize("field", ["affinity", "tolerations", "securityContext"])
def test_what_is_calibrated_is_where_attack_pods_are_and_may_do_what_they_may(
    calibration: Manifest, attack: Manifest, field: str
) -> None:
    assert calibration[field] == attack[field]


def test_what_is_calibrated_is_of_an_attackers_size_and_knows_it(calibration: Manifest, attack: Manifest) -> None:
    default = LoadTest()
    (container,) = calibration["containers"]
    size = {"cpu": default.attacker_cpu, "memory": default.attacker_memory}
    (cpus,) = (one for one in attack["container"]["env"] if one["name"] == "ATTACKER_CPUS")

    assert container["resources"] == {"requests": size, "limits": size}
    assert [one["name"] for one in container["env"]] == [cpus["name"]]
    assert container["env"][0]["valueFrom"]["resourceFieldRef"] == {
        **cpus["valueFrom"]["resourceFieldRef"],
        "containerName": container["name"],
    }
    assert container["command"] == attack["container"]["command"]
    assert container["securityContext"] == attack["container"]["securityContext"]


def test_the_server_beside_it_uses_no_cpu_of_the_attackers_and_ends_with_it(calibration: Manifest) -> None:
    (attacker,), (server,) = calibration["containers"], calibration["initContainers"]
    port = server["command"][-1]

    assert server["restartPolicy"] == "Always"
    assert server["resources"]["limits"]["cpu"] == "1"  # it has one thread: it can use no more
    assert attacker["args"] == ["calibrate", "--server", f"http://127.0.0.1:{port}"]
    assert server["securityContext"] == attacker["securityContext"]
    assert calibration["automountServiceAccountToken"] is False


def test_both_of_its_commands_are_understood(calibration: Manifest) -> None:
    (attacker,), (server,) = calibration["containers"], calibration["initContainers"]
    commands = [[*attacker["command"], *attacker["args"], "--help"], [*server["command"], "--help"]]
    repository = K8S.parent

    helps = [
        subprocess.run(
            [sys.executable, *command[1:]], cwd=repository, capture_output=True, text=True, check=True
        ).stdout
        for command in commands
    ]

    assert ["can be trusted" in helps[0], "--until-eof" in helps[1]] == [True, True]


@needs_kubectl
def test_the_attackers_image_is_the_only_one_that_calibrates() -> None:
    (job,) = rendered(K8S / "calibrate")

    assert set(values_of("image", job)) == {"loadtest-attacker"}


def defaults_of(template: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in template["spec"]["arguments"]["parameters"]}


@needs_kubectl
def test_the_overlay_for_any_cluster_changes_nothing_of_what_it_lists() -> None:
    listed = [file for part in ("loadtest", "argo", "build") for file in (K8S / part).glob("*.yaml") if file in FILES]

    assert by_identity(rendered(K8S / "overlays/any")) == by_identity([read(file) for file in listed])


@needs_kubectl
def test_the_overlay_for_google_differs_by_bucket_node_pool_metadata_server_and_cloud_build() -> None:
    of_any, of_google = (by_identity(rendered(K8S / "overlays" / place)) for place in ("any", "gke"))
    config = ("ConfigMap", "loadtest", "workflow-controller-configmap")
    template = ("WorkflowTemplate", "loadtest", "load-test")

    assert {one for one in of_any if "loadtest-build" in one} == of_any.keys() - of_google.keys()
    assert of_google.keys() - of_any.keys() == {
        ("NetworkPolicy", "loadtest", "loadtest-metadata"),
        ("ConfigMap", "loadtest", "loadtest-build"),
    }
    assert {one for one in of_google.keys() & of_any.keys() if of_google[one] != of_any[one]} == {
        config,
        template,
    }
    assert defaults_of(of_google[template]) == defaults_of(of_any[template]) | {"attacker_pool": "attacker"}
    assert of_google[config]["data"]["executor"] == of_any[config]["data"]["executor"]


@needs_kubectl
def test_the_apis_image_stands_in_one_place(tmp_path: Path) -> None:
    kustomization = {
        "resources": [os.path.relpath(K8S / "api", tmp_path.resolve())],
        "images": [{"name": "loadtest-api", "newName": "registry/api", "digest": "sha256:" + "0" * 64}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    assert list(values_of("image", rendered(tmp_path))) == ["registry/api@sha256:" + "0" * 64]


@needs_kubectl
def test_argos_deployments_are_made_fit_for_the_namespace(tmp_path: Path) -> None:
    # As far as the patches need it, what https://github.com/argoproj/argo-workflows has in its namespace-install.yaml.
    pod = {"securityContext": {"runAsNonRoot": True}, "containers": [{"name": "main", "image": "main", "env": []}]}
    argos = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"template": {"spec": pod}}}
        for name in ("workflow-controller", "argo-server")
    ]
    install = shutil.copytree(K8S / "argo/install", tmp_path / "install")
    (install / "argos.yaml").write_text(yaml.safe_dump_all(argos))
    kustomization = install / "kustomization.yaml"
    kustomization.write_text(re.sub("https://.*", "argos.yaml", kustomization.read_text()))

    controller, server = (one["spec"]["template"]["spec"] for one in sorted(rendered(install), key=identity)[::-1])

    assert controller["securityContext"] == server["securityContext"]
    assert server["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert controller["containers"][0]["env"] == [{"name": "DEFAULT_REQUEUE_TIME", "value": "1s"}]
    assert server["containers"][0]["env"] == []
