"""The Kubernetes cluster of a run: finding it, and telling in one line what it refuses."""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacker.exits import InvalidLoadTestError, RunBrokenError

# The client takes half a second to import: --help and runs on this machine can do without.
if TYPE_CHECKING:
    from kubernetes.client import ApiClient, AppsV1Api, BatchV1Api, Configuration, CoreV1Api

__all__ = ["NAMESPACE", "Cluster", "NoAnswerError", "asking", "connect", "may_pass", "wait_until_gone"]

NAMESPACE = "loadtest"

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_PROBE_TIMEOUT_S = (2.0, 3.0)
_ANSWER_TIMEOUT_S = (5.0, 30.0)
_CONNECTION = re.compile(r"^HTTPS?Connection(?:Pool)?\(.*?\): ")
_POLL_S = 0.25
_LOCAL = "or run on this machine with --local"
_REMEDIES = {
    HTTPStatus.UNAUTHORIZED: "log in to the cluster",
    HTTPStatus.FORBIDDEN: "have it allowed: k8s/overlays/any holds the roles",
    HTTPStatus.NOT_FOUND: "apply k8s/overlays/any, or see who removed it",
}


class NoAnswerError(RunBrokenError):
    """The cluster does not answer, or only that it cannot for now: asking again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster's API, and the namespace that runs have in it."""

    client: "ApiClient"
    namespace: str = NAMESPACE

    @property
    def apps(self) -> "AppsV1Api":
        """Deployments."""
        from kubernetes.client import AppsV1Api  # noqa: PLC0415

        return AppsV1Api(self.client)

    @property
    def batch(self) -> "BatchV1Api":
        """Jobs."""
        from kubernetes.client import BatchV1Api  # noqa: PLC0415

        return BatchV1Api(self.client)

    @property
    def core(self) -> "CoreV1Api":
        """Services, pods, their logs, events and ConfigMaps."""
        from kubernetes.client import CoreV1Api  # noqa: PLC0415

        return CoreV1Api(self.client)


def connect(namespace: str = NAMESPACE, *, context: str | None = None) -> Cluster:
    """Connect to the kubeconfig's cluster, or in a pod to its own, and see that it answers.

    Args:
        namespace: of the runs.
        context: of the kubeconfig; the current one if left out.

    Raises:
        InvalidLoadTestError: the kubeconfig has no such context.
        RunBrokenError: no cluster is known here, or it does not answer within some 5 s.
    """
    from kubernetes.client import ApiClient, VersionApi  # noqa: PLC0415
    from urllib3 import Retry  # noqa: PLC0415

    configuration = _configuration(context)
    configuration.retries = False
    with asking(f"no cluster at {configuration.host}", unanswered=f"start it, choose another with --context, {_LOCAL}"):
        VersionApi(ApiClient(configuration)).get_code(_request_timeout=_PROBE_TIMEOUT_S)
    # A cluster's API may be away for seconds. All that is asked again here has the same effect twice.
    configuration.retries = Retry(
        total=4,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=("GET", "PATCH", "DELETE"),
        raise_on_status=False,
    )
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it would print a warning at each of them
    return Cluster(client=_client(configuration), namespace=namespace)


@contextmanager
def asking(what: str, *, unanswered: str = "try again when it answers") -> Iterator[None]:
    """Have what the cluster refuses in here, or that it does not answer, end the run.

    Args:
        what: the thing that it is about; the error begins with it.
        unanswered: what to do where it does not answer.

    Raises:
        NoAnswerError: in one line; what it was may pass.
        RunBrokenError: in one line, with Kubernetes' own words.
    """
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError, MaxRetryError  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        if may_pass(error.status or 0):
            raise NoAnswerError(f"{what}: {_refusal(error)}: {unanswered}") from error
        advice = _REMEDIES.get(error.status, "mend what it says")
        raise RunBrokenError(f"{what}: {_refusal(error)}: {advice}") from error
    except HTTPError as error:
        reason = (error.reason if isinstance(error, MaxRetryError) else None) or error
        told = _CONNECTION.sub("", _one_line(str(reason)))
        raise NoAnswerError(f"{what}: no answer from the cluster ({told}): {unanswered}") from error


def may_pass(status: int) -> bool:
    """Tell of an HTTP status whether the same request may be answered otherwise a little later."""
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def wait_until_gone(what: str, read: Callable[[], object], *, timeout_s: float, stop: threading.Event) -> None:
    """Wait until an object that is being deleted is no longer there.

    Args:
        what: the object.
        read: reads it.
        timeout_s: how long to wait.
        stop: when it is set, the wait ends.

    Raises:
        RunBrokenError: it is still there.
    """
    from kubernetes.client.exceptions import NotFoundException  # noqa: PLC0415

    until = time.monotonic() + timeout_s
    while not stop.is_set():
        with asking(what):
            try:
                read()
            except NotFoundException:
                return
        if time.monotonic() > until:
            raise RunBrokenError(
                f"{what} is still there {timeout_s:g} s after it was deleted: 'kubectl describe' may tell what holds it"
            )
        stop.wait(_POLL_S)


def _refusal(error: Any) -> str:
    try:
        told = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        told = error.body or error.reason or "no reason given"
    return f"the cluster answered {error.status}: {_one_line(str(told))}" if error.status else _one_line(str(told))


def _configuration(context: str | None) -> "Configuration":
    """Find address and credentials: of the kubeconfig where there is one, else of the pod that this runs in."""
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    configuration = Configuration()
    kubeconfig = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(Path(path).expanduser().exists() for path in kubeconfig.split(os.pathsep) if path):
        if not _SERVICE_ACCOUNT.exists():
            raise RunBrokenError(
                f"no cluster: {kubeconfig} is not there: make it, as with "
                f"'gcloud container clusters get-credentials CLUSTER', {_LOCAL}"
            )
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return configuration
    try:
        with _complaints() as complaints:
            load_kube_config(  # type: ignore[no-untyped-call]
                kubeconfig, context=context, client_configuration=configuration
            )
    except (ConfigException, YAMLError, OSError) as error:
        told = _one_line(str(error))
        if context is not None:
            raise InvalidLoadTestError(
                f"context is {context!r}: {told}: give one that 'kubectl config get-contexts' lists"
            ) from error
        raise RunBrokenError(f"no cluster: {kubeconfig}: {told}: mend it, {_LOCAL}") from error
    if complaints and not (configuration.api_key or configuration.cert_file):
        raise RunBrokenError(
            f"no credentials for the cluster at {configuration.host}: {_one_line(complaints[-1])}: "
            f"install what {kubeconfig} names under 'exec', or log in with it, {_LOCAL}"
        )
    return configuration


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the client logs: of a credentials program that fails it tells in no other way."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    collector = Collector()
    logging.getLogger().addHandler(collector)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(collector)


def _client(configuration: "Configuration") -> "ApiClient":
    """Make a client that waits for no answer for ever, as the package's own does."""
    from kubernetes.client import ApiClient  # noqa: PLC0415

    class Client(ApiClient):
        def call_api(self, *args: Any, **kwargs: Any) -> Any:
            kwargs["_request_timeout"] = kwargs.get("_request_timeout") or _ANSWER_TIMEOUT_S
            return super().call_api(*args, **kwargs)

    return Client(configuration)


def _one_line(text: str) -> str:
    return " ".join(text.split())
