"""How much one attack pod carries is found on the cluster, by a pod of the same size."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from attacker.exits import Exit
from tests.cluster.runs import KUBECTL, REGISTRY
from tests.cluster.test_steps_on_cluster import a_namespace
from tests.loopback import wait_until
from tests.workflows.submit_process import REPOSITORY
from workflows.steps.cluster import Cluster

MISSING = [name for name in ("KUBECONFIG", "CLUSTER_REGISTRY") if not os.environ.get(name)]

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no cluster here: {', '.join(MISSING)} missing"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    yield from a_namespace(pod_security="restricted")


def the_job(cluster: Cluster) -> Any:
    """Give the manifest with an image, as a JSON object, in the test's namespace."""
    command = [KUBECTL, "create", "--dry-run=client", "-o", "json", "-k", str(REPOSITORY / "k8s/calibrate")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    job = json.loads(made.replace('"image": "loadtest-attacker"', f'"image": "{REGISTRY}/loadtest-attacker:1"'))
    job["metadata"]["namespace"] = cluster.namespace
    return job


def test_a_pod_like_an_attack_pod_finds_what_it_carries(cluster: Cluster) -> None:
    cluster.batch.create_namespaced_job(cluster.namespace, the_job(cluster))

    def has_ended() -> bool:
        status = cluster.batch.read_namespaced_job("loadtest-calibrate", cluster.namespace).status
        return bool(status and (status.succeeded or status.failed))

    wait_until(has_ended, timeout_s=150)
    [pod] = cluster.core.list_namespaced_pod(cluster.namespace).items
    assert pod.metadata is not None
    assert pod.status is not None
    name = pod.metadata.name or ""
    log = str(cluster.core.read_namespaced_pod_log(name, cluster.namespace, container="calibrate"))
    [ended] = [
        one.state.terminated
        for one in pod.status.container_statuses or ()
        if one.name == "calibrate" and one.state and one.state.terminated
    ]

    assert re.search(r"^ +500/s +1s ", log, re.MULTILINE), log
    # A machine that others use, too, may let nothing be found.
    assert ("An attacker of 1 CPU carries " in log, ended.exit_code) in {
        (True, Exit.PASS),
        (False, Exit.INVALID),
    }, log
