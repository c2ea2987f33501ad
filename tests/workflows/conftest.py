"""The states that tests of the workflow start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflows.steps.a_cluster import StandIn, a_stand_in, kubeconfig
from workflows.steps.cluster import Cluster, connect


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with a_stand_in() as server:
        yield server


@pytest.fixture
def cluster(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", stand_in.url)))
    connected = connect("tests")
    stand_in.asked.clear()
    return connected
