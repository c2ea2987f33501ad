"""Step teardown: the API is gone afterwards, whether or not it was there."""

import threading

import pytest

from attacker.exits import RunBrokenError
from tests.workflows.steps.a_cluster import StandIn, a_deployment
from workflows.steps.cluster import Cluster
from workflows.steps.teardown import teardown

DEPLOYMENT = "/apis/apps/v1/namespaces/tests/deployments/loadtest-api"
SERVICE = "/api/v1/namespaces/tests/services/loadtest-api"


def test_both_objects_are_deleted_and_the_deployment_only_after_its_pods(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects |= {DEPLOYMENT: a_deployment(), SERVICE: {"metadata": {"name": "loadtest-api"}}}

    teardown(cluster)

    assert stand_in.objects == {}
    assert [(asked.path, asked.query) for asked in stand_in.of("DELETE")] == [
        (DEPLOYMENT, {"propagationPolicy": "Foreground"}),
        (SERVICE, {"propagationPolicy": "Background"}),
    ]


def test_what_is_not_there_needs_no_deletion(stand_in: StandIn, cluster: Cluster) -> None:
    teardown(cluster)
    teardown(cluster)

    assert stand_in.objects == {}


def test_half_of_an_api_is_removed_too(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[SERVICE] = {"metadata": {"name": "loadtest-api"}}

    teardown(cluster)

    assert stand_in.objects == {}


def test_pods_that_are_still_ending_are_waited_for(stand_in: StandIn, cluster: Cluster) -> None:
    def still_ending() -> None:
        if len(stand_in.of("GET")) < 3:
            stand_in.objects[DEPLOYMENT] = a_deployment()
        else:
            stand_in.objects.clear()

    stand_in.reactions["GET", DEPLOYMENT] = still_ending

    teardown(cluster)

    assert len(stand_in.of("GET")) == 3


def test_pods_that_do_not_end_are_not_waited_for_for_ever(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.reactions["GET", DEPLOYMENT] = lambda: stand_in.objects.setdefault(DEPLOYMENT, a_deployment())

    with pytest.raises(RunBrokenError, match=r"^Deployment loadtest-api is still there 0\.6 s after it was deleted"):
        teardown(cluster, timeout_s=0.6)


def test_a_refusal_ends_it(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.refusals["DELETE", DEPLOYMENT] = 403, "deployments is forbidden"

    with pytest.raises(
        RunBrokenError, match=r"^Deployment loadtest-api: the cluster answered 403: deployments is forb"
    ):
        teardown(cluster)


def test_told_to_stop_it_deletes_but_does_not_wait(stand_in: StandIn, cluster: Cluster) -> None:
    stop = threading.Event()
    stop.set()

    teardown(cluster, stop=stop)

    assert [asked.method for asked in stand_in.asked] == ["DELETE", "DELETE"]
