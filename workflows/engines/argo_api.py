"""Argo's objects, by way of the Kubernetes API or of an Argo Server: create, read, list, stop, delete."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

import httpx

from attacker.exits import RunBrokenError
from workflows.steps.cluster import Cluster, NoAnswerError, asking, connect, may_pass

if TYPE_CHECKING:
    from kubernetes.client import CustomObjectsApi

__all__ = ["ArgoApi", "Kind", "Manifest", "argo_api"]

Kind = Literal["workflows", "workflowtemplates", "cronworkflows"]
Manifest = Mapping[str, Any]

_GROUP, _VERSION = "argoproj.io", "v1alpha1"
_TIMEOUT_S = 30.0
_SERVER_PATHS: Mapping[str, tuple[str, str]] = {
    "workflows": ("workflows", "workflow"),
    "workflowtemplates": ("workflow-templates", "template"),
    "cronworkflows": ("cron-workflows", "cronWorkflow"),
}
"""Of each kind: where the server has it, and what it calls one in a request."""


class ArgoApi(Protocol):
    """Argo's objects in one namespace.

    Every method raises RunBrokenError where it is refused, and NoAnswerError where it is not answered.
    """

    @property
    def namespace(self) -> str:
        """Where the objects are."""

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Make an object; returns it as the cluster has it."""

    def read(self, kind: Kind, name: str) -> Manifest | None:
        """Give an object, None where there is none."""

    def replace(self, kind: Kind, name: str, manifest: Manifest) -> None:
        """Put another in its place: the manifest has the `resourceVersion` of what was read."""

    def workflows(self, label_selector: str) -> tuple[Manifest, ...]:
        """List workflows."""

    def stop(self, name: str) -> None:
        """Stop a workflow: its exit handler runs."""

    def terminate(self, name: str) -> None:
        """End a workflow at once: its exit handler does not run."""

    def delete(self, name: str) -> None:
        """Remove a workflow."""


def argo_api(namespace: str, *, context: str | None) -> ArgoApi:
    """Choose the Argo Server that ARGO_SERVER names, with ARGO_TOKEN, else the kubeconfig's cluster.

    Raises:
        RunBrokenError: there is none that answers.
    """
    server = os.environ.get("ARGO_SERVER")
    if not server:
        return _Kubernetes(connect(namespace, context=context))
    address = server if "://" in server else f"https://{server}"
    # Its own certificate is what it comes with; ARGO_INSECURE_SKIP_VERIFY is what Argo's own client calls this.
    verify = os.environ.get("ARGO_INSECURE_SKIP_VERIFY", "").lower() != "true"
    token = os.environ.get("ARGO_TOKEN", "")
    headers = {"Authorization": token if " " in token else f"Bearer {token}"} if token else {}
    return _Server(httpx.Client(base_url=address, headers=headers, verify=verify, timeout=_TIMEOUT_S), namespace)


@dataclass(frozen=True, slots=True)
class _Kubernetes:
    """Argo's objects by way of the Kubernetes API."""

    cluster: Cluster

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    @property
    def _objects(self) -> "CustomObjectsApi":
        from kubernetes.client import CustomObjectsApi  # noqa: PLC0415  (half a second)

        return CustomObjectsApi(self.cluster.client)

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        with asking(f"{kind} in namespace {self.namespace}"):
            return _mapping(
                self._objects.create_namespaced_custom_object(_GROUP, _VERSION, self.namespace, kind, dict(manifest))
            )

    def read(self, kind: Kind, name: str) -> Manifest | None:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        with asking(f"{kind} {name} in namespace {self.namespace}"):
            try:
                found = self._objects.get_namespaced_custom_object(_GROUP, _VERSION, self.namespace, kind, name)
            except ApiException as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return None
                raise
        return _mapping(found)

    def replace(self, kind: Kind, name: str, manifest: Manifest) -> None:
        with asking(f"{kind} {name} in namespace {self.namespace}"):
            self._objects.replace_namespaced_custom_object(_GROUP, _VERSION, self.namespace, kind, name, dict(manifest))

    def workflows(self, label_selector: str) -> tuple[Manifest, ...]:
        with asking(f"runs in namespace {self.namespace}"):
            found = self._objects.list_namespaced_custom_object(
                _GROUP, _VERSION, self.namespace, "workflows", label_selector=label_selector
            )
        return tuple(_mapping(found)["items"])

    def stop(self, name: str) -> None:
        self._shut_down(name, "Stop")

    def terminate(self, name: str) -> None:
        self._shut_down(name, "Terminate")

    def delete(self, name: str) -> None:
        with asking(f"run {name}"):
            self._objects.delete_namespaced_custom_object(_GROUP, _VERSION, self.namespace, "workflows", name)

    def _shut_down(self, name: str, strategy: str) -> None:
        with asking(f"run {name}"):
            self._objects.patch_namespaced_custom_object(
                _GROUP, _VERSION, self.namespace, "workflows", name, {"spec": {"shutdown": strategy}}
            )


@dataclass(frozen=True, slots=True)
class _Server:
    """Argo's objects by way of an Argo Server."""

    client: httpx.Client
    namespace: str

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        path, called = _SERVER_PATHS[kind]
        return self._asked("POST", f"{path}/{self.namespace}", json={called: manifest}) or {}

    def read(self, kind: Kind, name: str) -> Manifest | None:
        path, _ = _SERVER_PATHS[kind]
        return self._asked("GET", f"{path}/{self.namespace}/{quote(name)}", missing_is_none=True)

    def replace(self, kind: Kind, name: str, manifest: Manifest) -> None:
        path, called = _SERVER_PATHS[kind]
        self._asked("PUT", f"{path}/{self.namespace}/{quote(name)}", json={called: manifest})

    def workflows(self, label_selector: str) -> tuple[Manifest, ...]:
        found = self._asked("GET", f"workflows/{self.namespace}?listOptions.labelSelector={quote(label_selector)}")
        return tuple((found or {}).get("items") or ())

    def stop(self, name: str) -> None:
        self._asked("PUT", f"workflows/{self.namespace}/{quote(name)}/stop", json={})

    def terminate(self, name: str) -> None:
        self._asked("PUT", f"workflows/{self.namespace}/{quote(name)}/terminate", json={})

    def delete(self, name: str) -> None:
        self._asked("DELETE", f"workflows/{self.namespace}/{quote(name)}")

    def _asked(self, method: str, path: str, *, json: object = None, missing_is_none: bool = False) -> Manifest | None:
        try:
            answer = self.client.request(method, f"/api/v1/{path}", json=json)
        except httpx.TransportError as error:
            raise NoAnswerError(
                f"ARGO_SERVER is {self.client.base_url}: it does not answer ({error}): start it, or unset ARGO_SERVER"
            ) from error
        if missing_is_none and answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if answer.is_error:
            told = " ".join(answer.text.split())[:300]
            broken = NoAnswerError if may_pass(answer.status_code) else RunBrokenError
            raise broken(
                f"ARGO_SERVER is {self.client.base_url}: {method} {path} was answered {answer.status_code}: {told}: "
                "check ARGO_TOKEN and what its account may do"
            )
        return _mapping(answer.json())


def _mapping(found: object) -> Manifest:
    if not isinstance(found, Mapping):
        raise RunBrokenError(f"Argo answered with {type(found).__name__} instead of an object: check its version")
    return found
