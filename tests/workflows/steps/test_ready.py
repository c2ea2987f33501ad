"""Step ready: every target is answered once as its author expects, or the run ends with the answer shown."""

import threading
from itertools import chain, repeat
from pathlib import Path

import pytest

from attacker.exits import InvalidLoadTestError, RunBrokenError
from attacker.sending import USUAL, Sending
from attacker.targets import Target
from tests.attacker.loopback import loopback
from tests.certificates import CLIENT, Certificates, certificates
from tests.loopback import a_free_port, answering
from workflows.steps.ready import ready


def wait_for(url: str, *, timeout_s: float = 5, sending: Sending = USUAL, **target: object) -> None:
    ready(
        [Target.model_validate({"name": "it", "url": url, **target})],
        timeout_s=timeout_s,
        answer_timeout_s=2,
        stop=threading.Event(),
        sending=sending,
    )


@pytest.fixture
def issued(tmp_path: Path) -> Certificates:
    return certificates(tmp_path)


def test_an_api_that_is_still_starting_is_waited_for() -> None:
    statuses = chain([503, 503, 502], repeat(200))

    with answering(lambda *_: (next(statuses), b"")) as url:
        wait_for(url)

    assert next(statuses) == 200


def test_each_target_is_asked_once() -> None:
    asked = []

    def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        asked.append((method, path, body))
        return 201, b""

    with answering(answer) as url:
        wait_for(f"{url}/users?a=b", method="POST", json={"id": 4}, expected_status=201)

    assert asked == [("POST", "/users?a=b", b'{"id": 4}')]


def test_an_unexpected_answer_ends_the_wait_and_is_shown() -> None:
    with answering(lambda *_: (404, b'{"detail":\n "Not Found"}')) as url, pytest.raises(RunBrokenError) as broken:
        wait_for(f"{url}/users")

    assert str(broken.value) == (
        f'it: GET {url}/users answered 404 Not Found: {{"detail": "Not Found"}} (expected 200 to 399): '
        "mend the target or the API"
    )


def test_a_success_that_is_not_the_expected_one_ends_the_wait() -> None:
    with answering(lambda *_: (200, b"")) as url, pytest.raises(RunBrokenError, match=r"200 OK: an empty answer.*201"):
        wait_for(url, expected_status=201)


def test_an_api_that_never_answers_ends_the_wait_with_what_was_seen_last() -> None:
    url = f"http://127.0.0.1:{a_free_port()}/"

    with pytest.raises(RunBrokenError, match=r"was not ready within 0.3 s: no answer \(.*refused.*ready_timeout"):
        wait_for(url, timeout_s=0.3)


def test_what_cannot_get_ready_any_more_is_not_waited_for() -> None:
    def ended() -> None:
        raise RunBrokenError("the API ended")

    with pytest.raises(RunBrokenError, match="the API ended"):
        ready(
            [Target(name="it", url=f"http://127.0.0.1:{a_free_port()}/")],
            timeout_s=60,
            answer_timeout_s=1,
            stop=threading.Event(),
            alive=ended,
        )


def test_told_to_stop_it_does_not_wait() -> None:
    stop = threading.Event()
    stop.set()

    ready([Target(name="it", url="http://127.0.0.1:1/")], timeout_s=60, answer_timeout_s=1, stop=stop)


@pytest.mark.parametrize(("http2", "protocol"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_it_is_asked_with_the_certificates_and_the_protocol_of_the_attack(
    issued: Certificates, protocol: str, *, http2: bool
) -> None:
    sending = Sending(root_certs=(str(issued.root),), cert=str(issued.cert), key=str(issued.key), http2=http2)

    with loopback(tls=issued.checking) as server:
        wait_for(server.url, sending=sending)

    assert [(one.client, one.protocol) for one in server.seen] == [(CLIENT, protocol)]


def test_it_is_asked_in_http_2_without_tls_where_the_attack_will_be() -> None:
    with loopback(h2c=True) as server:
        wait_for(server.url, sending=Sending(h2c=True), method="POST", json={"id": 4})

    assert [(one.protocol, one.method, one.body) for one in server.seen] == [("HTTP/2", "POST", b'{"id": 4}')]


def test_a_certificate_that_the_attack_would_not_trust_is_not_trusted(issued: Certificates) -> None:
    with (
        loopback(tls=issued.server) as server,
        pytest.raises(RunBrokenError, match=r"was not ready within 0.2 s: no answer \(.*CERTIFICATE_VERIFY_FAILED"),
    ):
        wait_for(server.url, timeout_s=0.2)


def test_with_insecure_any_certificate_is_taken(issued: Certificates) -> None:
    with loopback(tls=issued.server) as server:
        wait_for(server.url, sending=Sending(insecure=True))

    assert len(server.seen) == 1


def test_a_certificates_file_that_cannot_be_read_ends_the_wait() -> None:
    with pytest.raises(InvalidLoadTestError, match=r"root_certs is '/nowhere.pem': No such file or directory: give"):
        wait_for("https://127.0.0.1:1/", sending=Sending(root_certs=("/nowhere.pem",)))


@pytest.mark.parametrize("redirects", [1, 10])
def test_redirects_are_followed_as_in_the_attack(redirects: int) -> None:
    with loopback() as server:
        wait_for(f"{server.url}/?status=302&location=/there", sending=Sending(redirects=redirects))

    assert [one.path for one in server.seen][1:] == ["/there"]


def test_a_redirect_that_is_not_followed_is_the_answer() -> None:
    with loopback() as server:
        wait_for(f"{server.url}/?status=302&location=/there", sending=Sending(redirects=-1), expected_status=302)

    assert len(server.seen) == 1


def test_more_redirects_than_the_attack_follows_end_the_wait() -> None:
    with loopback() as server, pytest.raises(RunBrokenError, match=r"redirects.*: mend the target"):
        wait_for(f"{server.url}/?status=302&location=/there", sending=Sending(redirects=0))


@pytest.mark.parametrize("asked_for", [True, False])
def test_the_environments_proxy_is_used_only_where_the_attack_will_use_it(
    monkeypatch: pytest.MonkeyPatch, *, asked_for: bool
) -> None:
    with loopback() as proxy, loopback() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        wait_for(f"http://0.0.0.0:{server.port}/", sending=Sending(proxies=asked_for))

    assert (len(proxy.seen), len(server.seen)) == (int(asked_for), int(not asked_for))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_loopback_address_is_asked_by_a_proxy_for_the_attack_does_not_either(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with loopback() as proxy, loopback() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        wait_for(f"http://{host}:{server.port}/", sending=Sending(proxies=True))

    assert (len(proxy.seen), len(server.seen)) == (0, 1)
