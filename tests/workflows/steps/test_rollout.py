"""Waiting for the rollout: when it is over, and when it is hopeless."""

import threading
import time
from typing import Any

import pytest
from kubernetes.client import V1Deployment, V1Pod

from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn, a_deployment, a_pod
from workflows.progress import Event
from workflows.steps.cluster import Cluster
from workflows.steps.pods import Trouble
from workflows.steps.rollout import is_rolled_out, rollout_trouble, wait_for_rollout

DEPLOYMENT = "/apis/apps/v1/namespaces/tests/deployments/loadtest-api"
PODS = "/api/v1/namespaces/tests/pods"
EVENTS = "/api/v1/namespaces/tests/events"

UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}


def deployment_of(content: dict[str, Any]) -> V1Deployment:
    deployment = V1Deployment.from_dict(content)
    assert deployment is not None
    return deployment


def pod_of(content: dict[str, Any]) -> V1Pod:
    pod = V1Pod.from_dict(content)
    assert pod is not None
    return pod


def waiting(reason: str, message: str | None = None, **status: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    common = {"image": "registry/api:1", "imageID": "", "name": "api", "ready": False, "restartCount": 0}
    return {"containerStatuses": [{**common, "state": state, **status}]}


def crashing(**ended: Any) -> dict[str, Any]:
    return waiting("CrashLoopBackOff", "back-off 10s", lastState={"terminated": {"exitCode": 3, **ended}})


# Rolled out


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({}, True, id="all are updated and available"),
        pytest.param({"observedGeneration": 1}, False, id="the controller has not looked yet"),
        pytest.param({"updatedReplicas": 2}, False, id="one is of the run before"),
        pytest.param({"availableReplicas": 2}, False, id="one is not available"),
        pytest.param({"replicas": 4}, False, id="one too many"),
        pytest.param({"availableReplicas": None}, False, id="nothing said of availability"),
        pytest.param(
            dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2), False, id="fewer than specified"
        ),
    ],
)
def test_a_rollout_is_over_when_all_pods_are_the_specified_ones(status: dict[str, Any], *, expected: bool) -> None:
    assert is_rolled_out(deployment_of(a_deployment(status=status))) is expected


@pytest.mark.parametrize("missing", ["metadata", "status"])
def test_a_deployment_that_says_nothing_yet_is_not_rolled_out(missing: str) -> None:
    deployment = deployment_of({**a_deployment(), missing: None})

    assert not is_rolled_out(deployment)


def test_a_deployment_whose_status_is_still_empty_is_not_rolled_out() -> None:
    assert not is_rolled_out(deployment_of({**a_deployment(), "status": {}}))


# Troubles


def trouble_of_pods(*pods: dict[str, Any], **deployment: Any) -> Trouble | None:
    return rollout_trouble(deployment_of(a_deployment(**deployment)), [pod_of(pod) for pod in pods])


@pytest.mark.parametrize(
    ("status", "text", "remedy"),
    [
        pytest.param(
            crashing(reason="Error"),
            "pod api-1 crashes: container api ended with exit code 3",
            "mend image registry/api:1",
            id="a crash",
        ),
        pytest.param(
            crashing(reason="OOMKilled", exitCode=137),
            "pod api-1 crashes: container api ended with exit code 137 (OOMKilled)",
            "give it more memory",
            id="no memory left",
        ),
        pytest.param(
            crashing(reason="StartError", exitCode=128, message='exec: "gunicorn":\nnot found'),
            'pod api-1 crashes: container api ended with exit code 128 (StartError): exec: "gunicorn": not found',
            "mend image registry/api:1",
            id="a program that is not there",
        ),
        pytest.param(
            waiting("CrashLoopBackOff"),
            "pod api-1 crashes: container api does not stay up",
            "mend image registry/api:1",
            id="a crash that nothing is known of",
        ),
        pytest.param(
            waiting("ErrImagePull", "failed to resolve registry/api:1: not found"),
            "image registry/api:1 cannot be pulled: failed to resolve registry/api:1: not found",
            "name an image that the registry has and that the cluster's nodes may pull",
            id="an image that is not there",
        ),
        pytest.param(
            waiting("ImagePullBackOff", "Back-off pulling: 403 Forbidden"),
            "image registry/api:1 cannot be pulled: Back-off pulling: 403 Forbidden",
            "name an image that the registry has and that the cluster's nodes may pull",
            id="an image that may not be pulled",
        ),
        pytest.param(
            waiting("InvalidImageName", "couldn't parse"),
            "image registry/api:1 cannot be pulled: couldn't parse",
            "name an image that the registry has and that the cluster's nodes may pull",
            id="a name that is none",
        ),
    ],
)
def test_what_waiting_cannot_mend_is_final(status: dict[str, Any], text: str, remedy: str) -> None:
    trouble = trouble_of_pods(a_pod(**status))

    assert trouble is not None
    assert (trouble.text, trouble.remedy, trouble.is_final) == (text, remedy, True)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(
            {"conditions": [UNSCHEDULABLE]},
            "pod api-1 fits on no node: 0/1 nodes are available: 1 Insufficient cpu.",
            id="no room",
        ),
        pytest.param(
            waiting("ErrImagePull", "503 Service Unavailable"),
            "image registry/api:1 cannot be pulled: 503 Service Unavailable",
            id="a registry that is away",
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'configmap "settings" not found'),
            'container api of pod api-1 cannot be started: configmap "settings" not found',
            id="a ConfigMap that is missing",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."},
            "pod api-1 failed: Evicted: The node was low on memory.",
            id="an eviction",
        ),
        pytest.param({"phase": "Failed"}, "pod api-1 failed: no reason given", id="a failure without a reason"),
    ],
)
def test_what_may_pass_by_itself_is_not_final(status: dict[str, Any], text: str) -> None:
    trouble = trouble_of_pods(a_pod(**status))

    assert trouble is not None
    assert (trouble.text, trouble.is_final) == (text, False)


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_pod(), id="just created"),
        pytest.param(a_pod(**waiting("ContainerCreating")), id="being created"),
        pytest.param(a_pod(phase="Running", **waiting("PodInitializing")), id="initialising"),
        pytest.param(
            {**a_pod(**crashing()), "metadata": {"name": "api-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
            id="being deleted",
        ),
    ],
)
def test_a_pod_that_only_takes_its_time_is_no_trouble(pod: dict[str, Any]) -> None:
    assert trouble_of_pods(pod) is None


def test_of_several_troubles_the_final_one_is_told() -> None:
    trouble = trouble_of_pods(a_pod("api-1", conditions=[UNSCHEDULABLE]), a_pod("api-2", **crashing()), a_pod("api-3"))

    assert trouble is not None
    assert trouble.pod == "api-2"


def test_pods_that_may_not_be_created_are_a_trouble_of_the_deployment() -> None:
    message = 'pods "loadtest-api-x" is forbidden: exceeded quota: small'
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}

    trouble = trouble_of_pods(status={"conditions": [condition]})

    assert trouble is not None
    assert trouble.text == f"a pod cannot be created: {message}"
    assert not trouble.is_final


# The wait


def wait(cluster: Cluster, *, timeout_s: float = 20, patience_s: float = 20, **options: Any) -> None:
    wait_for_rollout(cluster, timeout_s=timeout_s, patience_s=patience_s, **options)


def test_it_ends_when_the_rollout_is_over_and_tells_how_far_it_is(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 1})
    told: list[Event] = []

    def rolled_out() -> None:
        if len(stand_in.asked) > 4:
            stand_in.objects[DEPLOYMENT] = a_deployment()

    stand_in.reactions["GET", DEPLOYMENT] = rolled_out
    wait(cluster, tell=told.append)

    assert [event.text for event in told] == ["1 of 3 pods are available"]


def test_only_the_deployments_own_pods_are_looked_at(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment()

    wait(cluster)

    assert [asked.query for asked in stand_in.asked] == [{}, {"labelSelector": "app=api"}]


def test_a_crash_ends_it_at_once_with_the_last_lines_of_the_log(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 0})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", **crashing())
    stand_in.texts[f"{PODS}/api-1/log"] = "starting\n\nTraceback:\n  line 1\nValueError: no settings\n"
    began = time.monotonic()

    with pytest.raises(RunBrokenError) as broken:
        wait(cluster)

    assert str(broken.value) == (
        "loadtest-api: pod api-1 crashes: container api ended with exit code 3; its log ends: Traceback: / line 1 / "
        "ValueError: no settings: mend image registry/api:1"
    )
    assert time.monotonic() - began < 5
    assert stand_in.asked[-1].query == {"container": "api", "previous": "true", "tailLines": "20"}


def test_a_crash_whose_log_cannot_be_read_is_told_without(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 0})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", **crashing())

    with pytest.raises(RunBrokenError, match=r"ended with exit code 3: mend image registry/api:1$"):
        wait(cluster)


def test_the_crashes_of_an_earlier_run_are_not_this_ones(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 0})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", run="run-0", **crashing())

    with pytest.raises(RunBrokenError, match=r"^loadtest-api: 0 of 3 pods are available after 0 s: give a longer"):
        wait(cluster, timeout_s=0)


def test_a_pod_that_fits_nowhere_ends_it_when_patience_is_over(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 0})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", conditions=[UNSCHEDULABLE])

    with pytest.raises(RunBrokenError) as broken:
        wait(cluster, patience_s=0.1)

    assert str(broken.value) == (
        "loadtest-api: pod api-1 fits on no node: 0/1 nodes are available: 1 Insufficient cpu.: "
        "ask for less CPU or memory, or add nodes"
    )
    assert [asked.query for asked in stand_in.asked if asked.path == EVENTS] == [
        {"fieldSelector": "involvedObject.kind=Pod,involvedObject.name=api-1"}
    ]


def test_a_node_that_an_autoscaler_brings_is_waited_for(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 0})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", conditions=[UNSCHEDULABLE])
    stand_in.objects[f"{EVENTS}/1"] = {
        "metadata": {"name": "1"},
        "involvedObject": {},
        "type": "Normal",
        "reason": "TriggeredScaleUp",
    }

    with pytest.raises(
        RunBrokenError, match=r"0 of 3 pods are available after 1 s: pod api-1 fits on no node: .*: give"
    ):
        wait(cluster, patience_s=0, timeout_s=1)


def test_time_that_is_over_ends_it_with_the_last_warning(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[DEPLOYMENT] = a_deployment(status={"availableReplicas": 2})
    stand_in.objects[f"{PODS}/api-1"] = a_pod("api-1", conditions=[{"type": "Ready", "status": "True"}])
    stand_in.objects[f"{PODS}/api-2"] = a_pod("api-2", conditions=[{"type": "Ready", "status": "False"}])
    for number, message in enumerate(("too early", "Startup probe failed:\n  503"), start=1):
        stand_in.objects[f"{EVENTS}/{number}"] = {
            "metadata": {"name": f"{number}"},
            "involvedObject": {},
            "type": "Warning",
            "message": message,
            "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
        }

    with pytest.raises(RunBrokenError) as broken:
        wait(cluster, timeout_s=0)

    assert str(broken.value) == (
        "loadtest-api: 2 of 3 pods are available after 0 s: pod api-2: Startup probe failed: 503: "
        "give a longer ready_timeout, or mend the API"
    )


def test_a_deployment_that_is_not_there_ends_it(cluster: Cluster) -> None:
    with pytest.raises(RunBrokenError, match=r"^Deployment loadtest-api: the cluster answered 404: .*: apply k8s/over"):
        wait(cluster)


def test_told_to_stop_it_does_not_wait(stand_in: StandIn, cluster: Cluster) -> None:
    stop = threading.Event()
    stop.set()

    wait(cluster, stop=stop)

    assert stand_in.asked == []
