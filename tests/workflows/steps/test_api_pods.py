"""The API's pods, written down as the cluster shows them."""

from typing import Any

import pytest

from attacker.api_pods import ApiPod, Snapshot, parse_snapshot, render_snapshot
from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn, a_deployment, a_pod
from workflows.steps.api_pods import leave_snapshot, look_at_pods
from workflows.steps.cluster import Cluster

DEPLOYMENT = "/apis/apps/v1/namespaces/tests/deployments/loadtest-api"
PODS = "/api/v1/namespaces/tests/pods"


class Kept(dict[str, bytes]):
    """Files that are written."""

    def write(self, path: str, data: bytes) -> None:
        self[path] = data

    def read(self, path: str) -> bytes | None:
        return self.get(path)

    def names(self, prefix: str) -> tuple[str, ...]:
        return tuple(name for name in self if name.startswith(prefix))

    def create(self, path: str, data: bytes) -> bool:
        return self.setdefault(path, data) is data

    def delete(self, path: str) -> None:
        self.pop(path, None)


def a_container(restarts: int = 0, *, ready: bool = True, last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": "api",
        "image": "api:1",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "lastState": {"terminated": last} if last else {},
    }


def a_running_pod(name: str, *, phase: str = "Running", **container: Any) -> dict[str, Any]:
    pod = a_pod(name, phase=phase, containerStatuses=[a_container(**container)])
    pod["metadata"]["uid"] = f"uid-of-{name}"
    pod["spec"]["nodeName"] = "node-1"
    return pod


def has(stand_in: StandIn, *pods: dict[str, Any]) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment()
    stand_in.objects |= {f"{PODS}/{pod['metadata']['name']}": pod for pod in pods}


def test_a_pod_is_told_by_what_changes_with_it(stand_in: StandIn, cluster: Cluster) -> None:
    has(stand_in, a_running_pod("b", restarts=2, ready=False, last={"exitCode": 137, "reason": "OOMKilled"}))

    assert look_at_pods(cluster) == (
        ApiPod(name="b", uid="uid-of-b", node="node-1", restarts=2, last_end="OOMKilled", is_ready=False),
    )
    assert stand_in.asked[-1].query == {"labelSelector": "app=api"}


def test_pods_that_end_or_have_ended_are_none_of_it(stand_in: StandIn, cluster: Cluster) -> None:
    ending = a_running_pod("ending")
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    has(stand_in, a_running_pod("b"), a_running_pod("a"), ending, a_running_pod("evicted", phase="Failed"))

    assert [pod.name for pod in look_at_pods(cluster)] == ["a", "b"]


def test_they_are_written_down_in_the_runs_folder(stand_in: StandIn, cluster: Cluster) -> None:
    has(stand_in, a_running_pod("a"))
    files = Kept()

    leave_snapshot("run-1", "before", files, cluster)

    assert list(files) == ["runs/run-1/api/before.json"]
    assert parse_snapshot(files["runs/run-1/api/before.json"]) == Snapshot(pods=look_at_pods(cluster))


def test_what_cannot_be_looked_at_breaks_no_run_and_is_written_down_as_such(
    stand_in: StandIn, cluster: Cluster
) -> None:
    has(stand_in)
    stand_in.refusals["GET", PODS] = 403, "pods is forbidden"
    files = Kept()

    leave_snapshot("run-1", "after", files, cluster)

    taken = parse_snapshot(files["runs/run-1/api/after.json"])
    assert taken.pods == ()
    assert taken.trouble.startswith("pods of Deployment loadtest-api: the cluster answered 403: pods is forbidden")


def test_a_snapshot_is_read_as_it_was_written() -> None:
    taken = Snapshot(pods=(ApiPod(name="a", uid="1", node="n", restarts=1, is_ready=True),))

    assert parse_snapshot(render_snapshot(taken)) == taken


def test_what_is_no_snapshot_is_said_to_be_none() -> None:
    with pytest.raises(RunBrokenError, match=r"b'\{\}' is no snapshot of the API's pods"):
        parse_snapshot(b"{}")
