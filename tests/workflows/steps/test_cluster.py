"""The cluster is found or the run ends in one line that says what to do, and so does whatever it refuses."""

import threading
import time
from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError, RunBrokenError
from tests.loopback import a_free_port
from tests.workflows.steps.a_cluster import StandIn, kubeconfig
from workflows.steps.cluster import Cluster, asking, connect, wait_until_gone

POD = "/api/v1/namespaces/tests/pods/api-1"


@pytest.fixture
def no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "missing"
    monkeypatch.setenv("KUBECONFIG", str(file))
    return file


def test_the_kubeconfigs_cluster_is_asked_with_its_credentials(stand_in: StandIn, cluster: Cluster) -> None:
    cluster.core.list_namespaced_pod(cluster.namespace)

    assert [asked.path for asked in stand_in.asked] == ["/api/v1/namespaces/tests/pods"]
    assert cluster.client.configuration.api_key == {"BearerToken": "Bearer token"}


def test_without_a_kubeconfig_the_error_names_local(no_kubeconfig: Path) -> None:
    with pytest.raises(RunBrokenError) as broken:
        connect()

    assert str(broken.value) == (
        f"no cluster: {no_kubeconfig} is not there: make it, as with 'gcloud container clusters get-credentials "
        "CLUSTER', or run on this machine with --local"
    )


def test_a_cluster_that_refuses_connections_ends_the_run_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, began = f"http://127.0.0.1:{a_free_port()}", time.monotonic()
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", url)))

    with pytest.raises(RunBrokenError) as broken:
        connect()

    assert str(broken.value) == (
        f"no cluster at {url}: no answer from the cluster (Failed to establish a new connection: [Errno 111] "
        "Connection refused): start it, choose another with --context, or run on this machine with --local"
    )
    assert time.monotonic() - began < 5


def test_another_context_is_another_cluster(cluster: Cluster) -> None:
    with pytest.raises(RunBrokenError, match=r"^no cluster at http://127\.0\.0\.1:1: no answer"):
        connect(context="there")

    assert cluster.namespace == "tests"


def test_a_context_that_the_kubeconfig_does_not_have_is_wrong_use(cluster: Cluster) -> None:
    with pytest.raises(InvalidLoadTestError, match=r"context is 'nowhere': .*nowhere.*give one that 'kubectl config"):
        connect(cluster.namespace, context="nowhere")


@pytest.mark.parametrize(
    "content",
    [pytest.param("", id="empty"), pytest.param("{", id="no YAML"), pytest.param("a: 1", id="something else")],
)
def test_a_damaged_kubeconfig_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(RunBrokenError, match=r"^no cluster: \S+/kubeconfig: [^\n]+: mend it, or run on this machine"):
        connect()


def test_a_credentials_program_that_is_missing_is_named(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", stand_in.url, user=user)))

    with pytest.raises(RunBrokenError, match=r"no credentials for the cluster at .*no-such-plugin.*install what"):
        connect()

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        pytest.param(401, "log in to the cluster", id="credentials"),
        pytest.param(403, "have it allowed: k8s/overlays/any holds the roles", id="rights"),
        pytest.param(404, "apply k8s/overlays/any, or see who removed it", id="namespace"),
        pytest.param(422, "mend what it says", id="a field"),
    ],
)
def test_a_refusal_is_told_in_kubernetes_words_with_a_remedy(
    stand_in: StandIn, cluster: Cluster, status: int, remedy: str
) -> None:
    stand_in.refusals["GET", POD] = status, "pods is\n no good"

    with pytest.raises(RunBrokenError) as broken, asking("Pod api-1"):
        cluster.core.read_namespaced_pod("api-1", "tests")

    assert str(broken.value) == f"Pod api-1: the cluster answered {status}: pods is no good: {remedy}"


def test_a_cluster_that_is_away_for_a_moment_is_asked_again(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.refusals["GET", POD] = 503, "the API restarts"
    stand_in.objects[POD] = {"metadata": {"name": "api-1"}}

    def restarted() -> None:
        if len(stand_in.asked) > 1:
            stand_in.refusals.clear()

    stand_in.reactions["GET", POD] = restarted

    assert cluster.core.read_namespaced_pod("api-1", "tests").metadata.name == "api-1"  # type: ignore[union-attr]


def test_what_is_being_deleted_is_waited_for(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[POD] = {"metadata": {"name": "api-1"}}

    def gone() -> None:
        if len(stand_in.asked) > 1:
            stand_in.objects.clear()

    stand_in.reactions["GET", POD] = gone

    wait_until_gone(
        "Pod api-1",
        lambda: cluster.core.read_namespaced_pod("api-1", "tests"),
        timeout_s=10,
        stop=threading.Event(),
    )

    assert len(stand_in.asked) == 2


def test_what_does_not_go_ends_the_wait(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[POD] = {"metadata": {"name": "api-1"}}

    with pytest.raises(RunBrokenError, match=r"Pod api-1 is still there 0 s after it was deleted: 'kubectl describe'"):
        wait_until_gone(
            "Pod api-1",
            lambda: cluster.core.read_namespaced_pod("api-1", "tests"),
            timeout_s=0,
            stop=threading.Event(),
        )
