"""Following a run: what is told of it, how it is stopped, and what a silent cluster does to it."""

import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from attacker.exits import Exit, InvalidLoadTestError, RunBrokenError
from attacker.report.figures import VerdictResult
from tests.workflows.engines.an_argo import AnArgo, Look, a_node, a_run
from workflows.engines.argo_api import Manifest
from workflows.engines.following import Watch, follow
from workflows.progress import Event
from workflows.steps.cluster import NoAnswerError

JUDGED = {"verdict": "PASS", "summary": "all is well"}
PASSED = a_run(
    a_node("ready", "Succeeded", results="gs://bucket/prefix"),
    a_node("attack", "Succeeded"),
    a_node("report", "Succeeded", **JUDGED),
    phase="Succeeded",
)


def silent() -> NoReturn:
    raise NoAnswerError("run load-test-1: no answer")


def refused() -> NoReturn:
    raise RunBrokenError("run load-test-1: forbidden")


class Told:
    """Who hears what is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.interrupted = threading.Event()
        self.abandoned = threading.Event()

    def watch(self, *, lasts_s: float = 14, wave: int | None = None, patience_s: float = 60) -> Watch:
        return Watch(
            tell=self.events.append,
            lasts_s=lasts_s,
            waits_s=0.05,
            wave=wave,
            interrupted=self.interrupted,
            abandoned=self.abandoned,
            poll_s=0.01,
            hang_s=0.05,
            patience_s=patience_s,
        )

    @property
    def lines(self) -> list[str]:
        return [" ".join(filter(None, (one.step, one.state, one.text))) for one in self.events]


@pytest.fixture
def told() -> Told:
    return Told()


def seen(*looks: Look | Manifest) -> AnArgo:
    return AnArgo(looks=iter(looks))


def after(event: Callable[[], object], *looks: Look | Manifest) -> Iterator[Look | Manifest]:
    """Something happens once the first look was taken."""
    yield looks[0]
    event()
    yield from looks[1:]


def test_a_run_is_told_step_by_step_and_ends_in_its_verdict(told: Told) -> None:
    api = seen(
        a_run(a_node("deploy", "Running")),
        a_run(a_node("deploy", "Succeeded"), a_node("ready", "Running")),
        PASSED,
    )

    ended = follow(api, "load-test-1", told.watch())

    assert ended is not None
    assert (ended.verdict, ended.exit, ended.summary) == (VerdictResult.PASS, Exit.PASS, "all is well")
    assert ended.results == "gs://bucket/prefix"
    assert told.lines == [
        "deploy started the API",
        "deploy done",
        "ready started the API is rolled out, and each target answers once",
        "ready done",
        "attack started 1 attacker",
        "attack done",
        "report started merging what was measured",
        "report done",
    ]


def test_readers_are_told_of_beside_the_report(told: Told) -> None:
    readers = (a_node("read", "Succeeded"), a_node("read", "Running"))
    api = seen(
        a_run(*readers, a_node("report", "Running")),
        a_run(*readers[:1] * 2, a_node("report", "Succeeded"), phase="Succeeded"),
    )

    follow(api, "load-test-1", told.watch())

    assert told.lines == [
        "read started what was measured, each reader a share",
        "report started merging what was measured",
        "read done",
        "report done",
    ]


def test_attackers_wait_for_each_other_and_for_the_api_and_then_the_time_that_is_left_is_told(told: Told) -> None:
    pending, running = a_node("attack", "Pending"), a_node("attack", "Running")
    api, ready = a_node("ready", "Running"), a_node("ready", "Succeeded")
    looks = (
        a_run(api, pending, pending),
        a_run(api, running, pending),
        a_run(api, running, running),
        a_run(ready, running, running),
        PASSED,
    )

    follow(seen(*looks), "load-test-1", told.watch())

    assert [(one.text, one.lasts_s) for one in told.events if one.step == "attack"][:4] == [
        ("2 attackers, 2 of them not started yet", None),
        ("2 attackers, 1 of them not started yet", None),
        ("2 attackers at the ready", None),
        ("2 attackers", 14),
    ]


def test_targets_one_after_the_other_take_as_many_times_as_long(told: Told) -> None:
    ready, running = a_node("ready", "Succeeded"), a_node("attack", "Running")

    follow(seen(a_run(ready, *[running] * 6), PASSED), "load-test-1", told.watch(wave=2))

    assert next(one.lasts_s for one in told.events if one.step == "attack") == 3 * 14


def test_a_run_that_waits_for_another_says_so_once(told: Told) -> None:
    waiting = a_run(phase="Pending", message="Waiting for loadtest/Mutex/load-test lock", started=False)

    follow(seen(waiting, waiting, PASSED), "r", told.watch())

    assert told.lines[0] == "queue note Waiting for loadtest/Mutex/load-test lock"
    assert len([line for line in told.lines if line.startswith("queue")]) == 1


def test_an_interruption_stops_the_run_once_and_its_end_is_waited_for(told: Told) -> None:
    running = a_run(a_node("attack", "Running"))
    partial = a_run(a_node("teardown", "Succeeded", verdict="INVALID", summary="half"), phase="Failed")
    api = AnArgo(looks=after(told.interrupted.set, running, running, running, running, partial))

    ended = follow(api, "load-test-1", told.watch())

    assert ended is not None
    assert (ended.verdict, ended.exit) == (VerdictResult.INVALID, Exit.INVALID)
    assert api.done == ["stop load-test-1"]


def test_a_second_interruption_only_ends_the_watching(told: Told) -> None:
    running = a_run(a_node("attack", "Running"))
    api = AnArgo(looks=after(told.abandoned.set, running, running))
    told.interrupted.set()

    assert follow(api, "load-test-1", told.watch()) is None
    assert api.done == ["stop load-test-1"]


def test_a_run_that_still_waits_is_deleted_instead_of_stopped(told: Told) -> None:
    api = seen(a_run(phase="Pending", started=False))
    told.interrupted.set()

    ended = follow(api, "load-test-1", told.watch())

    assert ended is not None
    assert (ended.exit, ended.reason) == (Exit.BROKEN, "it was still waiting: it is deleted")
    assert api.done == ["delete load-test-1"]


def test_a_silent_cluster_is_borne_for_a_while_and_told_once(told: Told) -> None:
    ended = follow(seen(silent, silent, silent, PASSED), "load-test-1", told.watch())

    assert ended is not None
    assert ended.verdict is VerdictResult.PASS
    assert told.lines[0] == "run note it goes on unwatched for now: run load-test-1: no answer"
    assert len([line for line in told.lines if "unwatched" in line]) == 1


def test_a_cluster_that_stays_silent_ends_the_watching_with_its_reason(told: Told) -> None:
    with pytest.raises(NoAnswerError, match="run load-test-1: no answer"):
        follow(seen(silent), "load-test-1", told.watch(patience_s=0.05))


def test_a_cluster_that_refuses_is_not_asked_again(told: Told) -> None:
    with pytest.raises(RunBrokenError, match="run load-test-1: forbidden"):
        follow(seen(refused, PASSED), "load-test-1", told.watch())


def test_a_run_that_is_not_there_is_wrong_use(told: Told) -> None:
    with pytest.raises(InvalidLoadTestError, match=r"there is no run 'nothing': name one that 'submit\.py list' shows"):
        follow(seen(), "nothing", told.watch())


NO_IMAGE = "ImagePullBackOff: Back-off pulling image attacker:1"


def test_a_run_whose_own_image_cannot_be_pulled_is_ended_after_a_while_and_says_so(told: Told) -> None:
    stuck = a_run(a_node("deploy", "Pending", message=NO_IMAGE))
    ended = a_run(a_node("deploy", "Failed", message="workflow shutdown with strategy: Terminate"), phase="Failed")
    api = AnArgo()
    api.looks = iter([*[stuck] * 3, lambda: ended if api.done else stuck])

    result = follow(api, "load-test-1", told.watch())

    assert result is not None
    assert (result.exit, result.reason) == (
        Exit.BROKEN,
        f"deploy: {NO_IMAGE}: name an attacker_image that can be pulled",
    )
    assert set(api.done) == {"terminate load-test-1"}


@pytest.mark.parametrize("step", ["attack", "report"])
def test_a_later_step_has_its_own_time_for_that(told: Told, step: str) -> None:
    stuck = a_run(a_node(step, "Pending", message=NO_IMAGE))
    api = seen(*[stuck] * 10, PASSED)

    follow(api, "load-test-1", told.watch())

    assert api.done == []


def test_an_image_that_comes_in_the_end_is_no_reason(told: Told) -> None:
    result = follow(seen(a_run(a_node("deploy", "Pending", message=NO_IMAGE)), PASSED), "r", told.watch())

    assert result is not None
    assert result.verdict is VerdictResult.PASS


UNPLACED = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu"
HALF = a_run(
    a_node("attack", "Failed"), a_node("report", "Failed", verdict="INVALID", summary="nobody attacked"), phase="Failed"
)


@pytest.mark.parametrize("others", [[a_node("attack", "Failed", name="attack(0:a)")], []], ids=["some left", "alone"])
def test_an_attacker_that_finds_no_node_is_waited_for_no_longer_than_the_others_do(
    told: Told, others: list[Manifest]
) -> None:
    ready, unplaced = a_node("ready", "Succeeded"), a_node("attack", "Pending", name="attack(1:b)", message=UNPLACED)
    api = AnArgo()
    api.looks = iter([lambda: HALF if api.done else a_run(ready, *others, unplaced)])

    result = follow(api, "load-test-1", told.watch())

    assert result is not None
    assert (result.exit, result.summary) == (Exit.INVALID, "nobody attacked")
    assert api.done == ["stop load-test-1"]
    assert told.lines.count(f"attack note nobody attacks: attack(1:b): {UNPLACED}") == 1


@pytest.mark.parametrize(
    ("ready", "other"),
    [
        pytest.param("Running", "Failed", id="while the API gets ready"),
        pytest.param("Succeeded", "Running", id="while others attack"),
    ],
)
def test_an_attacker_that_finds_no_node_is_waited_for(told: Told, ready: str, other: str) -> None:
    waiting = a_run(a_node("ready", ready), a_node("attack", other), a_node("attack", "Pending", message=UNPLACED))
    api = seen(*[waiting] * 20, PASSED)

    follow(api, "load-test-1", told.watch())

    assert api.done == []


def test_attackers_that_are_still_being_started_when_the_api_fails_are_stopped(told: Told) -> None:
    failed = a_node("ready", "Failed", reason="a pod crashes")
    api = AnArgo()
    starting = a_run(failed, a_node("attack", "Running"), a_node("attack", "Pending"))
    ended = a_run(failed, a_node("attack", "Failed"), phase="Failed")
    api.looks = iter([lambda: ended if api.done else starting])

    result = follow(api, "load-test-1", told.watch())

    assert result is not None
    assert (result.exit, result.reason) == (Exit.BROKEN, "ready: a pod crashes")
    assert api.done == ["stop load-test-1"]
