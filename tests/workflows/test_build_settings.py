"""What a cluster says of building images for it."""

import pytest

from attacker.exits import InvalidLoadTestError, RunBrokenError
from tests.workflows.steps.a_cluster import StandIn
from workflows.build_settings import BuildSettings, read_settings
from workflows.steps.cluster import Cluster

CONFIG = "/api/v1/namespaces/tests/configmaps/loadtest-build"
EVERYTHING = {
    "LOADTEST_REGISTRY": "europe-docker.pkg.dev/p/images",
    "LOADTEST_REGISTRY_INSECURE": "true",
    "LOADTEST_BUILD_BUCKET": "sources",
    "LOADTEST_BUILD_ACCOUNT": "builds@p.iam.gserviceaccount.com",
    "LOADTEST_BUILDKIT_IMAGE": "buildkit:1",
    "LOADTEST_BUILDKIT_PRIVILEGED": "true",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EVERYTHING:
        monkeypatch.delenv(name, raising=False)


def test_the_clusters_config_map_says_it_all(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.objects[CONFIG] = {"metadata": {"name": "loadtest-build"}, "data": EVERYTHING}

    assert read_settings(cluster, registry=None) == BuildSettings(
        registry="europe-docker.pkg.dev/p/images",
        is_insecure=True,
        bucket="sources",
        account="builds@p.iam.gserviceaccount.com",
        buildkit_image="buildkit:1",
        is_privileged=True,
    )


def test_the_environment_beats_it_and_an_option_beats_both(
    stand_in: StandIn, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.objects[CONFIG] = {"metadata": {"name": "loadtest-build"}, "data": EVERYTHING}
    monkeypatch.setenv("LOADTEST_REGISTRY", "registry:5000")
    monkeypatch.setenv("LOADTEST_BUILD_BUCKET", "mine")

    assert read_settings(cluster, registry=None).registry == "registry:5000"
    settings = read_settings(cluster, registry="another:5000")
    assert (settings.registry, settings.bucket, settings.buildkit_image) == ("another:5000", "mine", "buildkit:1")


def test_without_a_config_map_there_is_no_registry(cluster: Cluster) -> None:
    assert read_settings(cluster, registry=None) == BuildSettings()


def test_an_argo_server_is_asked_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADTEST_REGISTRY", "registry:5000")

    assert read_settings(None, registry=None) == BuildSettings(registry="registry:5000")


def test_who_may_not_read_it_is_told_so(stand_in: StandIn, cluster: Cluster) -> None:
    stand_in.refusals["GET", CONFIG] = (403, 'configmaps "loadtest-build" is forbidden')

    with pytest.raises(RunBrokenError, match="ConfigMap loadtest-build in namespace tests: the cluster answered 403"):
        read_settings(cluster, registry=None)


def test_a_flag_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(InvalidLoadTestError, match="LOADTEST_REGISTRY_INSECURE is 'yes': write true or false"):
        BuildSettings.of({"LOADTEST_REGISTRY_INSECURE": "yes"})
