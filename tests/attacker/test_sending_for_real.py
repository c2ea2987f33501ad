"""Each option of sending, seen to work by the server that the real vegeta attacks."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from attacker.attack import Attacker, attack, record
from attacker.duration import Duration
from attacker.evidence import Evidence
from attacker.plan import Shard
from attacker.rate import Rate
from attacker.sending import Sending
from attacker.vegeta import attack_command, find_vegeta, vegeta_version
from tests.attacker.building import a_shard, a_target
from tests.attacker.by_vegeta import columns_by_vegeta, finished
from tests.attacker.failing import a_name_server
from tests.attacker.loopback import Loopback, a_refusing_port, loopback
from tests.certificates import CLIENT, Certificates, certificates

Attacked = Callable[..., tuple[Evidence, pl.DataFrame]]
"""Attacks a URL with options; returns what is recorded."""


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    (tmp_path / "certificates").mkdir()
    return certificates(tmp_path / "certificates")


@pytest.fixture
def encrypted_api(issued: Certificates) -> Iterator[Loopback]:
    with loopback(tls=issued.server) as server:
        yield server


def a_short_shard(url: str, **sending: Any) -> Shard:
    """20 requests in 0.2 s."""
    return a_shard(
        target=a_target(url=url),
        rate=Rate(100, 1_000_000_000),
        requests=20,
        timeout=Duration.of_seconds(10),
        sending=Sending(**sending),
    )


@pytest.fixture
def attacked(tmp_path: Path) -> Attacked:
    vegeta = find_vegeta()
    attacker = Attacker(vegeta=vegeta, vegeta_version=vegeta_version(vegeta), cpus=1, run="the-run")

    def attack_now(url: str, **sending: Any) -> tuple[Evidence, pl.DataFrame]:
        folder = tmp_path / "shard"
        shard = a_short_shard(url, **sending)
        done = attack(attacker, shard, into=folder, start_at_ns=time.time_ns(), stop=threading.Event(), grace_s=1)
        evidence = record(attacker, done, folder)
        assert (evidence.exit_code, evidence.records > 0) == (0, True), evidence.log
        return evidence, pl.read_parquet(folder / "results.parquet")

    return attack_now


def connections_of(server: Loopback) -> int:
    return len({request.connection for request in server.seen})


def test_over_tls_http_2_is_spoken_on_one_connection(
    attacked: Attacked, encrypted_api: Loopback, issued: Certificates
) -> None:
    _, results = attacked(encrypted_api.url, root_certs=(str(issued.root),))

    assert set(results["code"]) == {200}
    assert {request.protocol for request in encrypted_api.seen} == {"HTTP/2"}
    assert connections_of(encrypted_api) == 1


def test_without_http2_http_1_is_spoken_over_tls(
    attacked: Attacked, encrypted_api: Loopback, issued: Certificates
) -> None:
    _, results = attacked(encrypted_api.url, root_certs=(str(issued.root),), http2=False)

    assert set(results["code"]) == {200}
    assert {request.protocol for request in encrypted_api.seen} == {"HTTP/1.1"}


def test_with_h2c_http_2_is_spoken_without_tls(attacked: Attacked) -> None:
    with loopback(h2c=True) as server:
        _, results = attacked(server.url, h2c=True)

    assert set(results["code"]) == {200}
    assert {request.protocol for request in server.seen} == {"HTTP/2"}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_keepalive_every_request_has_a_connection_of_its_own(
    attacked: Attacked, loopback_api: Loopback, encrypted_api: Loopback, scheme: str
) -> None:
    server = {"http": loopback_api, "https": encrypted_api}[scheme]

    attacked(server.url, keepalive=False, insecure=True)

    assert connections_of(server) == len(server.seen) > 1


def test_with_keepalive_connections_are_used_again(attacked: Attacked, loopback_api: Loopback) -> None:
    attacked(loopback_api.url, max_workers=1)

    assert connections_of(loopback_api) == 1 < len(loopback_api.seen)


def test_no_more_connections_are_made_than_are_allowed(attacked: Attacked, loopback_api: Loopback) -> None:
    evidence, _ = attacked(f"{loopback_api.url}/?wait_s=0.05", max_connections=2)

    assert connections_of(loopback_api) == 2
    assert evidence.max_in_flight > 2


def test_no_more_idle_connections_are_kept_than_were_said(attacked: Attacked) -> None:
    with loopback(together=5) as keeping_all, loopback(together=5) as keeping_one:
        attacked(keeping_all.url, max_workers=5)
        attacked(keeping_one.url, max_workers=5, connections=1)

    assert connections_of(keeping_all) < 10 < connections_of(keeping_one)


def test_no_more_requests_are_under_way_than_there_may_be_workers(attacked: Attacked, loopback_api: Loopback) -> None:
    evidence, _ = attacked(f"{loopback_api.url}/?wait_s=0.1", max_workers=3)

    assert (evidence.max_in_flight, evidence.max_workers) == (3, 3)
    assert "-max-workers=3" in evidence.command


def test_workers_are_added_while_all_are_busy(attacked: Attacked, loopback_api: Loopback) -> None:
    evidence, _ = attacked(f"{loopback_api.url}/?wait_s=0.3", workers=1)

    assert evidence.max_in_flight > 1
    assert "-workers=1" in evidence.command


def test_an_authority_that_nobody_named_is_not_trusted(attacked: Attacked, encrypted_api: Loopback) -> None:
    _, results = attacked(encrypted_api.url)

    assert set(results["code"]) == {0}
    assert "x509: certificate signed by unknown authority" in results["error"][0]


def test_with_insecure_any_certificate_is_taken(attacked: Attacked, encrypted_api: Loopback) -> None:
    _, results = attacked(encrypted_api.url, insecure=True)

    assert set(results["code"]) == {200}


@pytest.mark.parametrize(
    "names", [{"cert": "both"}, {"cert": "cert", "key": "key"}], ids=["in one file with its key", "and its key"]
)
def test_the_clients_certificate_is_shown_to_a_server_that_checks_it(
    attacked: Attacked, issued: Certificates, names: dict[str, str]
) -> None:
    files = {option: str(getattr(issued, name)) for option, name in names.items()}

    with loopback(tls=issued.checking) as server:
        _, results = attacked(server.url, root_certs=(str(issued.root),), **files)

    assert set(results["code"]) == {200}
    assert {request.client for request in server.seen} == {CLIENT}


def test_without_a_certificate_such_a_server_talks_to_nobody(attacked: Attacked, issued: Certificates) -> None:
    with loopback(tls=issued.checking) as server:
        _, results = attacked(server.url, root_certs=(str(issued.root),), http2=False)

    assert (set(results["code"]), server.seen) == ({0}, [])


def test_relative_paths_of_certificates_are_told_whole_in_the_evidence(
    attacked: Attacked, encrypted_api: Loopback, issued: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADTEST_CERTS", str(issued.root.parent))

    evidence, results = attacked(encrypted_api.url, root_certs=("root.pem",))

    assert set(results["code"]) == {200}
    assert f"-root-certs={issued.root}" in evidence.command


@pytest.mark.parametrize(
    ("redirects", "code", "others"), [(10, 200, {"/there"}), (1, 200, {"/there"}), (0, 0, set()), (-1, 302, set())]
)
def test_redirects_are_followed_as_far_as_was_said(
    attacked: Attacked, loopback_api: Loopback, redirects: int, code: int, others: set[str]
) -> None:
    _, results = attacked(f"{loopback_api.url}/?status=302&location=/there", redirects=redirects)

    assert set(results["code"]) == {code}
    assert {request.path for request in loopback_api.seen} == {"/?status=302&location=/there", *others}


@pytest.mark.parametrize(
    ("max_body", "kept", "cut"), [(-1, 100, 0), (101, 100, 0), (100, 100, 1), (10, 10, 1), (0, 0, 1)], ids=str
)
def test_it_is_known_of_how_many_answers_the_length_is_not(
    attacked: Attacked, loopback_api: Loopback, max_body: int, kept: int, cut: int
) -> None:
    evidence, results = attacked(f"{loopback_api.url}/?bytes=100", max_body=max_body)

    assert evidence.cut_bodies == cut * len(results)
    assert set(results["bytes_in"]) == {kept}


def test_of_a_request_without_an_answer_nothing_was_cut(attacked: Attacked) -> None:
    with a_refusing_port() as nobody:
        evidence, _ = attacked(f"http://127.0.0.1:{nobody}/", max_body=0)

    assert evidence.cut_bodies == 0


# Go passes no loopback address to a proxy, but takes 0.0.0.0, which leads to this machine too, for another one.
@pytest.mark.parametrize("asked_for", [True, False])
def test_the_environments_proxy_is_used_only_where_it_is_asked_for(
    attacked: Attacked, loopback_api: Loopback, monkeypatch: pytest.MonkeyPatch, *, asked_for: bool
) -> None:
    with loopback() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)

        _, results = attacked(f"http://0.0.0.0:{loopback_api.port}/", proxies=asked_for)

    assert set(results["code"]) == {200}
    assert len(proxy.seen) == asked_for * len(results)
    assert len(loopback_api.seen) == (not asked_for) * len(results)


@pytest.fixture
def looked_up(tmp_path: Path, loopback_api: Loopback) -> Callable[[Sending], tuple[int, int]]:
    """Attack by a name, a connection a request; tells how many requests were sent and how many names were asked for."""

    def attack_by_name(sending: Sending) -> tuple[int, int]:
        target, file = a_target(url=f"http://api.example:{loopback_api.port}/"), tmp_path / "targets.jsonl"
        shard = replace(a_short_shard("http://unused/"), target=target, sending=sending)
        file.write_text(target.as_vegeta_json())
        command = attack_command(find_vegeta(), shard, targets=file, output=Path("stdout"), cpus=1)
        with a_name_server("127.0.0.1") as (address, asked):
            codes = columns_by_vegeta(finished([*command, f"-resolvers={address}"]))["code"]
        assert set(codes) == {200}
        return len(codes), len(asked)

    return attack_by_name


@pytest.mark.parametrize("dns_ttl", [Duration.of_seconds(5), Duration(0)], ids=str)
def test_an_address_is_looked_up_once_in_its_time(
    looked_up: Callable[[Sending], tuple[int, int]], dns_ttl: Duration
) -> None:
    requests, questions = looked_up(Sending(dns_ttl=dns_ttl, keepalive=False))

    assert questions < requests


def test_without_a_time_an_address_is_looked_up_for_every_connection(
    looked_up: Callable[[Sending], tuple[int, int]],
) -> None:
    requests, questions = looked_up(Sending(dns_ttl=None, keepalive=False))

    assert questions >= requests
