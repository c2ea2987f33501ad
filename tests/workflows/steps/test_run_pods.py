"""A run's pods: which attackers live, why others came late or never, and which readers ended."""

import pytest

from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn, a_pod
from workflows.steps.cluster import Cluster
from workflows.steps.run_pods import living_attackers, why_killed, why_readers_ended, why_unscheduled

PODS = "/api/v1/namespaces/tests/pods"
EVENTS = "/api/v1/namespaces/tests/events"
FULL = "0/1 nodes are available: 1 Insufficient cpu."


def an_event(pod: str, reason: str, message: str = "") -> dict[str, object]:
    return {
        "metadata": {"name": f"{pod}.{reason}"},
        "involvedObject": {"kind": "Pod", "name": pod},
        "reason": reason,
        "message": message,
    }


def have(stand_in: StandIn, place: str, *found: dict[str, object]) -> None:
    stand_in.objects.update({f"{place}/{number}": one for number, one in enumerate(found)})


def test_who_is_pending_or_runs_may_still_upload_something(stand_in: StandIn, cluster: Cluster) -> None:
    phases = {"run-1-attack-1": "Running", "run-1-attack-2": "Pending", "run-1-attack-3": "Failed"}
    others = {"run-1-deploy-4": "Running"}
    have(stand_in, PODS, *(a_pod(name, phase=phase) for name, phase in {**phases, **others}.items()))

    assert living_attackers(cluster, run="run-1") == ("run-1-attack-1", "run-1-attack-2")
    assert stand_in.asked[-1].query == {"labelSelector": "workflows.argoproj.io/workflow=run-1"}


def test_the_scheduler_says_why_an_attacker_never_started_or_late(stand_in: StandIn, cluster: Cluster) -> None:
    have(
        stand_in,
        EVENTS,
        an_event("run-1-attack-1", "FailedScheduling", FULL),
        an_event("run-1-attack-2", "FailedScheduling", f"{FULL}\n preemption"),
        an_event("run-1-attack-2", "Scheduled"),
        an_event("run-1-attack-3", "Scheduled"),
        an_event("run-1-report-4", "FailedScheduling", FULL),
        an_event("run-2-attack-5", "FailedScheduling", FULL),
    )

    assert why_unscheduled(cluster, run="run-1") == (
        f"pod run-1-attack-1 was not started: {FULL}",
        f"pod run-1-attack-2 was started late: {FULL} preemption",
    )


def an_end(reason: str) -> dict[str, object]:
    state = {"terminated": {"exitCode": 137, "reason": reason}}
    return {"name": "main", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def test_attackers_that_did_not_end_by_themselves_are_told_with_kubernetes_reason(
    stand_in: StandIn, cluster: Cluster
) -> None:
    have(
        stand_in,
        PODS,
        a_pod("run-1-attack-1", phase="Failed", containerStatuses=[an_end("OOMKilled")]),
        a_pod("run-1-attack-2", phase="Failed", reason="Evicted", message="The node was low on\n memory."),
        a_pod("run-1-attack-3", phase="Failed", containerStatuses=[an_end("Error")]),
        a_pod("run-1-deploy-4", phase="Failed", containerStatuses=[an_end("OOMKilled")]),
    )

    assert why_killed(cluster, run="run-1") == (
        "pod run-1-attack-1 was ended: OOMKilled: raise attacker_memory",
        "pod run-1-attack-2 was ended: Evicted: The node was low on memory.",
    )


def test_readers_that_failed_are_told_with_what_ended_them(stand_in: StandIn, cluster: Cluster) -> None:
    have(
        stand_in,
        PODS,
        a_pod("run-1-read-1", phase="Failed", containerStatuses=[an_end("OOMKilled")]),
        a_pod("run-1-read-2", phase="Failed", containerStatuses=[an_end("Error")]),
        a_pod("run-1-read-3", phase="Running"),
        a_pod("run-1-attack-4", phase="Failed", containerStatuses=[an_end("Error")]),
    )

    assert why_readers_ended(cluster, run="run-1") == (
        "pod run-1-read-1 ended before the report was made: OOMKilled: give more readers",
        "pod run-1-read-2 ended before the report was made: see its log",
    )


@pytest.mark.parametrize("place", [PODS, EVENTS])
def test_a_cluster_that_refuses_to_tell_is_quoted(stand_in: StandIn, cluster: Cluster, place: str) -> None:
    stand_in.refusals["GET", place] = (403, "forbidden by the test")
    asked = {PODS: living_attackers, EVENTS: why_unscheduled}[place]

    with pytest.raises(RunBrokenError, match="the cluster answered 403: forbidden by the test"):
        asked(cluster, run="run-1")
