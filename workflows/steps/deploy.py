"""Step deploy: apply the API's manifests, as `kubectl apply -k k8s/api` does, with what the load test says of it."""

import copy
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from attacker.exits import RunBrokenError
from workflows.loadtest import LoadTest, ServiceType
from workflows.steps.cluster import Cluster, asking, wait_until_gone

__all__ = [
    "API_MANIFESTS",
    "API_NAME",
    "RUN_ANNOTATION",
    "ApiSpec",
    "Owner",
    "as_specified",
    "deploy",
    "read_manifests",
]

API_NAME = "loadtest-api"
"""Of the API's Deployment and Service; the deployer's role allows no others."""
API_MANIFESTS = Path(__file__).parents[2] / "k8s" / "api"
RUN_ANNOTATION = "load-test/run"
"""On the API's pods: the run that they were deployed for."""

Manifest = dict[str, Any]

_CONTAINER = "api"
_FIELD_MANAGER = "load-test"
_GOING_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The Workflow with which the API is removed at the latest."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSpec:
    """What is to be said of the API that its manifests do not say."""

    image: str
    replicas: int
    workers: int
    cpu: str
    memory: str
    port: int
    service_type: ServiceType
    ready_timeout_s: float
    run: str
    """The run's id: pods of another one are replaced."""
    owner: Owner | None = None

    @classmethod
    def of(cls, loadtest: LoadTest, *, image: str, run: str, owner: Owner | None = None) -> Self:
        """Take a load test's fields.

        Args:
            loadtest: the load test.
            image: what was built, or is there.
            run: the run's id.
            owner: the Workflow that the API goes with, if any; in the same namespace.
        """
        return cls(
            image=image,
            replicas=loadtest.api_replicas,
            workers=loadtest.api_workers,
            cpu=loadtest.api_cpu,
            memory=loadtest.api_memory,
            port=loadtest.api_port,
            service_type=loadtest.api_service,
            ready_timeout_s=loadtest.ready_timeout.s,
            run=run,
            owner=owner,
        )


def deploy(
    api: ApiSpec, cluster: Cluster, *, manifests: Path = API_MANIFESTS, stop: threading.Event | None = None
) -> str:
    """Deploy the API, or change what is deployed; whether it runs is for others to wait for.

    What is still being deleted, as by the run before, is waited for.

    Args:
        api: the API.
        cluster: where to.
        manifests: the folder with its Deployment and its Service.
        stop: when it is set, nothing is waited for.

    Returns:
        The API's address in the cluster, such as `http://loadtest-api.loadtest.svc:5000`.

    Raises:
        RunBrokenError: the manifests are not as needed, or the cluster refuses them.
    """
    deployment, service = (
        as_specified(manifest, api, namespace=cluster.namespace) for manifest in read_manifests(manifests)
    )
    for manifest in (service, deployment):
        _apply(manifest, cluster, stop or threading.Event())
    return f"http://{API_NAME}.{cluster.namespace}.svc:{api.port}"


def read_manifests(folder: Path) -> tuple[Manifest, Manifest]:
    """Read the Deployment and the Service that a folder's kustomization.yaml lists.

    Raises:
        RunBrokenError: it lists anything else, or under another name.
    """
    wanted = [("Deployment", API_NAME), ("Service", API_NAME)]
    try:
        names = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
        found = [yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in names]
        listed = sorted((manifest["kind"], manifest["metadata"]["name"]) for manifest in found)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        told = " ".join(str(error).split())
        raise RunBrokenError(f"{folder}: its manifests cannot be read ({told}): mend them") from error
    if listed != wanted:
        told = ", ".join(f"{kind} {name}" for kind, name in listed) or "nothing"
        raise RunBrokenError(
            f"{folder}: kustomization.yaml lists {told}: a run may deploy a Deployment and a Service {API_NAME} only"
        )
    deployment, service = sorted(found, key=lambda manifest: str(manifest["kind"]))
    return deployment, service


def as_specified(manifest: Manifest, api: ApiSpec, *, namespace: str) -> Manifest:
    """Fill in what the manifest leaves to the load test.

    Raises:
        RunBrokenError: there is no container `api`.
    """
    filled = copy.deepcopy(manifest)
    metadata = filled["metadata"]
    metadata["namespace"] = namespace
    if api.owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "name": api.owner.name,
                "uid": api.owner.uid,
                "controller": False,
                "blockOwnerDeletion": False,
            }
        ]
    fill = _fill_service if filled["kind"] == "Service" else _fill_deployment
    try:
        fill(filled["spec"], api)
    except (KeyError, IndexError, TypeError) as error:
        raise RunBrokenError(
            f"k8s/api: the {filled['kind']} has no {error}: mend it as the one of this project"
        ) from error
    return filled


def _fill_service(spec: Manifest, api: ApiSpec) -> None:
    spec["type"] = api.service_type.value
    spec["ports"][0]["port"] = api.port


def _fill_deployment(spec: Manifest, api: ApiSpec) -> None:
    spec["replicas"] = api.replicas
    spec["progressDeadlineSeconds"] = math.ceil(api.ready_timeout_s)
    template = spec["template"]
    template["metadata"].setdefault("annotations", {})[RUN_ANNOTATION] = api.run
    container = next((one for one in template["spec"]["containers"] if one["name"] == _CONTAINER), None)
    if container is None:
        raise RunBrokenError(f"k8s/api: the Deployment has no container {_CONTAINER!r}: name the API's container so")
    container["image"] = api.image
    container["ports"][0]["containerPort"] = api.port
    amounts = {"cpu": api.cpu, "memory": api.memory}
    container["resources"] = {"requests": amounts, "limits": dict(amounts)}
    settings = {"API_WORKERS": str(api.workers), "API_BIND": f"0.0.0.0:{api.port}"}
    kept = [variable for variable in container.get("env", ()) if variable["name"] not in settings]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in settings.items())]
    probe = container.get("startupProbe")
    if probe is not None:
        # The container is not to be restarted before the time is over that the load test gives it.
        tries = math.ceil(api.ready_timeout_s / probe.get("periodSeconds", 10))
        probe["failureThreshold"] = max(probe.get("failureThreshold", 3), tries)


def _apply(manifest: Manifest, cluster: Cluster, stop: threading.Event) -> None:
    """Apply on the server, whoever else set some of it before."""
    name, what = manifest["metadata"]["name"], f"{manifest['kind']} {manifest['metadata']['name']}"
    patch: Callable[..., Any]
    read: Callable[..., object]
    if manifest["kind"] == "Service":
        patch, read = cluster.core.patch_namespaced_service, cluster.core.read_namespaced_service
    else:
        patch, read = cluster.apps.patch_namespaced_deployment, cluster.apps.read_namespaced_deployment
    while not stop.is_set():
        with asking(what):
            applied = patch(
                name,
                cluster.namespace,
                manifest,
                field_manager=_FIELD_MANAGER,
                force=True,
                _content_type="application/apply-patch+yaml",
            )
        if applied.metadata is None or applied.metadata.deletion_timestamp is None:
            return
        # What was applied goes with the object that the run before deleted.
        wait_until_gone(what, lambda: read(name, cluster.namespace), timeout_s=_GOING_TIMEOUT_S, stop=stop)
