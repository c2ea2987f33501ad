"""States of vegeta's results files, and of servers to attack."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.attacker.by_vegeta import attacked
from tests.attacker.corpus import Corpus, attack_everything
from tests.attacker.loopback import Loopback, a_refusing_port, loopback

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture
def loopback_api() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


@pytest.fixture(scope="session")
def results_of_every_kind() -> bytes:
    """An attack that met 200s with 1 KiB bodies, 404s, 500s and refused connections."""
    with loopback() as server, a_refusing_port() as nobody:
        urls = [f"{server.url}/?{query}" for query in ("bytes=1024", "status=404", "status=500")]
        return attacked([*urls, f"http://127.0.0.1:{nobody}/"], "-name=every-kind", "-rate=40/s", "-duration=490ms")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Corpus]:
    """A short attack of each kind."""
    return attack_everything(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def small_results() -> bytes:
    """Three results."""
    with loopback() as server:
        return attacked([f"{server.url}/?status=200", f"{server.url}/?status=404"], "-rate=5/s", "-duration=599ms")
