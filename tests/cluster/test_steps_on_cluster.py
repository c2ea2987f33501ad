"""The Kubernetes steps on a real cluster, with the rights of k8s/ and no others.

The cluster's registry holds the image `loadtest-api:1`; its images for building are privileged and have no way out.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes.client import ApiClient, AuthenticationV1Api, RbacAuthorizationV1Api
from kubernetes.client.exceptions import NotFoundException

from attacker.exits import RunBrokenError
from attacker.targets import Target
from workflows.loadtest import LoadTest, ServiceType
from workflows.steps.cluster import Cluster, connect, wait_until_gone
from workflows.steps.deploy import ApiSpec, deploy
from workflows.steps.ready import ready
from workflows.steps.rollout import wait_for_rollout
from workflows.steps.teardown import teardown

CHECKOUT = Path(__file__).parents[2]
GIVEN = {name: os.environ.get(name, "") for name in ("KUBECONFIG", "CLUSTER_REGISTRY")}
REGISTRY = GIVEN["CLUSTER_REGISTRY"]
MISSING = [name for name, value in GIVEN.items() if not value]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.timeout(600),
]


@pytest.fixture
def admin() -> Iterator[Cluster]:
    """The kubeconfig's user, in a namespace of the test's own."""
    name = f"test-{secrets.token_hex(4)}"
    cluster = connect(name)
    labels = {"created-by": "load-test-tests", "pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.create_namespace({"metadata": {"name": name, "labels": labels}})  # type: ignore[arg-type]
    yield cluster
    cluster.core.delete_namespace(name)
    wait_until_gone(
        f"Namespace {name}", lambda: cluster.core.read_namespace(name), timeout_s=60, stop=threading.Event()
    )


def as_account(admin: Cluster, name: str, *manifests: str) -> Cluster:
    """Become a service account that has the rights of manifests, moved to the test's namespace."""
    admin.core.create_namespaced_service_account(admin.namespace, {"metadata": {"name": name}})  # type: ignore[arg-type]
    rights = RbacAuthorizationV1Api(admin.client)
    for path in manifests:
        content = yaml.safe_load((CHECKOUT / path).read_text())
        content["metadata"]["namespace"] = admin.namespace
        for subject in content.get("subjects", ()):
            subject["namespace"] = admin.namespace
        create: Any = (
            rights.create_namespaced_role if content["kind"] == "Role" else rights.create_namespaced_role_binding
        )
        create(admin.namespace, content)
    request: Any = {"spec": {"audiences": None}}
    token = admin.core.create_namespaced_service_account_token(name, admin.namespace, request).status.token  # type: ignore[union-attr]
    configuration = deepcopy(admin.client.configuration)
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    configuration.refresh_api_key_hook = None
    return replace(admin, client=ApiClient(configuration))
