"""Step ready: every target is answered once as its author expects, or the run ends with the answer shown."""

import threading
from itertools import chain, repeat

import pytest

from attacker.exits import RunBrokenError
from attacker.targets import Target
from tests.loopback import a_free_port, answering
from workflows.steps.ready import ready


def wait_for(url: str, *, timeout_s: float = 5, **target: object) -> None:
    ready(
        [Target.model_validate({"name": "it", "url": url, **target})],
        timeout_s=timeout_s,
        answer_timeout_s=2,
        stop=threading.Event(),
    )


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
