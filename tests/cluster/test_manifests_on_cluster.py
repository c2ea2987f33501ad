"""The manifests of k8s/ on a real cluster. Its registry holds the images `loadtest-api:1` and `loadtest-attacker:1`."""

import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from attacker.targets import Target
from workflows.steps.ready import ready

K8S = Path(__file__).parents[2] / "k8s"
SELECTOR = "--selector=app.kubernetes.io/name=loadtest-api"
KUBECTL = shutil.which("kubectl") or ""
REGISTRY = os.environ.get("CLUSTER_REGISTRY", "")
GIVEN = {"KUBECONFIG": os.environ.get("KUBECONFIG"), "CLUSTER_REGISTRY": REGISTRY, "kubectl": KUBECTL}
MISSING = [name for name, value in GIVEN.items() if not value]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.timeout(300),
]

Rights = dict[tuple[str, str, str], set[str]]
"""Group, resource and name (or "" for any): verbs."""

RESULTS: Rights = {("argoproj.io", "workflowtaskresults", ""): {"create", "patch"}}
TEMPLATES = {"get", "list", "create", "update", "patch"}
ALLOWED: dict[tuple[str, str, str], Rights] = {
    ("loadtest", "loadtest-attacker", "loadtest"): RESULTS,
    ("loadtest", "loadtest-reporter", "loadtest"): RESULTS | {("", "events", ""): {"list"}, ("", "pods", ""): {"list"}},
    ("loadtest", "loadtest-deployer", "loadtest"): RESULTS
    | {
        ("apps", "deployments", "loadtest-api"): {"get", "create", "patch", "delete"},
        ("", "services", "loadtest-api"): {"get", "create", "patch", "delete"},
        ("", "pods", ""): {"get", "list"},
        ("", "events", ""): {"get", "list"},
        ("", "pods/log", ""): {"get"},
    },
    ("loadtest", "loadtest-submitter", "loadtest"): {
        ("argoproj.io", "workflows", ""): {"get", "list", "watch", "create", "patch", "delete"},
        ("argoproj.io", "workflowtemplates", ""): TEMPLATES,
        ("argoproj.io", "cronworkflows", ""): TEMPLATES,
        ("", "configmaps", "loadtest-targets"): {"get", "create", "update", "patch"},
        ("", "configmaps", "loadtest-build"): {"get"},
        ("", "pods", ""): {"get", "list"},
        ("", "services", "loadtest-api"): {"get"},
    },
    ("loadtest", "loadtest-submitter", "loadtest-build"): {
        ("batch", "jobs", ""): {"get", "create", "delete"},
        ("", "configmaps", ""): {"create"},
        ("", "pods", ""): {"get", "list"},
        ("", "events", ""): {"list"},
    },
    ("loadtest", "loadtest-attacker", "loadtest-build"): {},
    ("loadtest", "loadtest-deployer", "loadtest-build"): {},
    ("loadtest-build", "loadtest-builder", "loadtest-build"): {},
    ("loadtest-build", "loadtest-builder", "loadtest"): {},
}
"""Account's namespace, account, the namespace that it asks in: all that it may do there."""


def kubectl(*arguments: str, manifest: object = None) -> str:
    ran = subprocess.run(
        [KUBECTL, *arguments],
        input=None if manifest is None else json.dumps(manifest),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def refusal(*arguments: str, manifest: object = None) -> str:
    with pytest.raises(AssertionError) as refused:
        kubectl(*arguments, manifest=manifest)
    return str(refused.value)


def overlay(folder: Path, *parts: str, **more: object) -> Path:
    """Write a kustomization over parts of k8s/."""
    resources = [os.path.relpath(K8S / part, folder.resolve()) for part in parts]
    folder.mkdir(exist_ok=True)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources, **more}))
    return folder


def config_with_the_emulator() -> dict[str, Any]:
    """Argo's configuration as k8s/ has it, by which its containers find this cluster's storage."""
    config: dict[str, Any] = yaml.safe_load((K8S / "argo/configmap-workflow-controller.yaml").read_text())
    executor = yaml.safe_load(config["data"]["executor"])
    names = [name for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT") if name in os.environ]
    executor["env"] += [{"name": name, "value": os.environ[name]} for name in names]
    config["data"]["executor"] = yaml.safe_dump(executor)
    return config


def a_pod(name: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "loadtest"}, "spec": spec}


def rights(account: str, namespace: str) -> Rights:
    """Ask what an account may do, less what everybody may."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    told = json.loads(
        kubectl("create", "--validate=false", "-f", "-", "-o", "json", f"--as={account}", manifest=review)
    )
    return {
        (group, resource, name): set(rule["verbs"])
        for rule in told["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        if not resource.startswith("selfsubject")
    }


@pytest.fixture(scope="module")
def prepared_cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cluster with all that runs need, but no API."""
    folder = tmp_path_factory.mktemp("prepared")
    patch = {"patch": json.dumps(config_with_the_emulator())}
    kubectl("apply", "-k", str(overlay(folder, "overlays/any", patches=[patch])))


@pytest.fixture
def deployed_api(prepared_cluster: None, tmp_path: Path) -> Iterator[None]:  # noqa: ARG001  (it comes first)
    """The API as k8s/api has it, applied and deleted by the account of the step `deploy`."""
    image = {"name": "loadtest-api", "newName": f"{REGISTRY}/loadtest-api", "newTag": "1"}
    folder = str(overlay(tmp_path / "api", "api", images=[image]))
    deployer = "--as=system:serviceaccount:loadtest:loadtest-deployer"
    kubectl("apply", "--server-side", "-k", folder, deployer)
    try:
        kubectl("rollout", "status", "deployment/loadtest-api", "--namespace=loadtest", "--timeout=90s")
        yield
    finally:
        kubectl("delete", "-k", folder, deployer, "--wait=false")
        kubectl("wait", "pod", SELECTOR, "--namespace=loadtest", "--for=delete", "--timeout=60s")


@pytest.mark.usefixtures("prepared_cluster")
@pytest.mark.parametrize("place", ["overlays/any", "overlays/gke", "api"])
def test_the_server_accepts_every_manifest(place: str) -> None:
    told = kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(K8S / place))

    assert "serverside-applied (server dry run)" in told


@pytest.mark.usefixtures("prepared_cluster")
@pytest.mark.parametrize(
    ("account", "namespace", "allowed"),
    [(f"{home}:{name}", where, allowed) for (home, name, where), allowed in ALLOWED.items()],
    ids=[f"{home}:{name} in {where}" for home, name, where in ALLOWED],
)
def test_an_account_may_do_what_its_duty_is_and_nothing_else(account: str, namespace: str, allowed: Rights) -> None:
    assert rights(f"system:serviceaccount:{account}", namespace) == allowed


@pytest.mark.usefixtures("deployed_api")
def test_the_api_gets_ready_under_restricted_and_answers_through_its_service() -> None:
    pods = kubectl("get", "pods", SELECTOR, "--namespace=loadtest", "-o", "jsonpath={.items[*].status.qosClass}")
    address = kubectl("get", "service/loadtest-api", "--namespace=loadtest", "-o", "jsonpath={.spec.clusterIP}")
    health = Target(name="health", url=f"http://{address}:5000/health")

    # A rollout is complete before kube-proxy has told the node, which it does once a second: until then connections
    # are refused ("has no endpoints"). A run waits for the answer too.
    ready([health], timeout_s=30, answer_timeout_s=10, stop=threading.Event())
    with urllib.request.urlopen(health.url, timeout=10) as answer:
        told = json.load(answer)

    assert told == {"health": "ok"}
    assert pods.split() == ["Guaranteed"] * 3


@pytest.mark.usefixtures("prepared_cluster")
def test_the_deployer_may_deploy_nothing_of_another_name() -> None:
    metadata = {"name": "another-api", "namespace": "loadtest"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}

    told = refusal(
        "apply", "--server-side", "-f", "-", "--as=system:serviceaccount:loadtest:loadtest-deployer", manifest=service
    )

    assert 'services "another-api" is forbidden' in told


@pytest.mark.usefixtures("prepared_cluster")
def test_a_pod_that_might_be_root_is_refused() -> None:
    told = refusal("create", "-f", "-", manifest=a_pod("root", containers=[{"name": "main", "image": "debian"}]))

    assert 'violates PodSecurity "restricted:latest"' in told


@pytest.mark.usefixtures("prepared_cluster")
def test_the_attackers_image_brings_its_compiled_code_along() -> None:
    main = {
        "name": "main",
        "image": f"{REGISTRY}/loadtest-attacker:1",
        "command": ["python", "-m", "attacker.results.gob"],
        "env": [{"name": "NUMBA_DEBUG_CACHE", "value": "1"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  (the pod's own)
    }
    pod = a_pod(
        "compiled-ahead",
        restartPolicy="Never",
        automountServiceAccountToken=False,
        securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        containers=[main],
        volumes=[{"name": "tmp", "emptyDir": {}}],
    )

    kubectl("create", "-f", "-", manifest=pod)
    try:
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("wait", "pod/compiled-ahead", "--namespace=loadtest", done, "--timeout=120s")
        log = kubectl("logs", "compiled-ahead", "--namespace=loadtest")
    finally:
        kubectl("delete", "pod/compiled-ahead", "--namespace=loadtest", "--grace-period=1")

    assert "data loaded" in log
    assert "data saved" not in log
