"""Questions and answers through files: each once, each waited for as long as it makes sense."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from attacker.bucket import Bucket
from attacker.exits import RunBrokenError
from attacker.plan_file import plan_path
from attacker.pods.reading_desk import Desk, answer_in_turn, reading_path
from tests.attacker.attack_pods import a_bucket, ended
from tests.attacker.reader_pods import start_reader

bucket = a_bucket

RUN = "the-run"


@contextmanager
def answering(bucket: Bucket, answers: dict[int, Callable[[bytes], bytes]]) -> Iterator[None]:
    """Have readers that answer so, until there is no plan."""
    bucket.write(plan_path(RUN), b"")
    readers = [
        threading.Thread(target=answer_in_turn, args=(number, RUN, bucket, answer), kwargs={"wait": never})
        for number, answer in answers.items()
    ]
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        bucket.delete(plan_path(RUN))
        for reader in readers:
            reader.join(20)


def never(seconds: float) -> bool:
    return threading.Event().wait(seconds / 10)


def failing(_: bytes) -> bytes:
    raise RunBrokenError("the disk is full: give it more")


def test_each_question_is_answered_by_the_reader_that_was_asked(bucket: Bucket) -> None:
    with answering(bucket, {1: lambda question: question + b"!", 2: lambda question: question + b"?"}):
        desk = Desk(RUN, bucket, readers=2)
        said = [list(desk.ask(questions)) for questions in ((b"a", b"b"), (b"a", b""), (b"", b"c"))]

    assert said == [[b"a!", b"b?"], [b"a!", b"?"], [b"!", b"c?"]]


def test_the_readers_leave_nothing_when_there_is_no_plan_any_more(bucket: Bucket) -> None:
    with answering(bucket, {1: bytes.upper}):
        assert list(Desk(RUN, bucket, readers=1).ask([b"a"])) == [b"A"]
        assert len(bucket.names(f"{reading_path(RUN)}/")) == 2

    assert bucket.names("") == ()


def test_why_a_reader_failed_is_told_in_its_own_words(bucket: Bucket) -> None:
    with (
        answering(bucket, {1: failing}),
        pytest.raises(RunBrokenError, match=r"^the disk is full: give it more$"),
    ):
        list(Desk(RUN, bucket, readers=1).ask([b"a"]))


def test_where_one_failed_nobody_waits_for_the_others(bucket: Bucket) -> None:
    with (
        answering(bucket, {2: failing}),
        pytest.raises(RunBrokenError, match=r"^the disk is full: give it more$"),
    ):
        list(Desk(RUN, bucket, readers=3).ask([b"a"] * 3))


def test_a_reader_that_has_ended_is_not_waited_for(bucket: Bucket) -> None:
    desk = Desk(RUN, bucket, readers=2, ended=lambda: ("pod r ended: OOMKilled",), look_after_s=0)

    with answering(bucket, {1: bytes.upper}), pytest.raises(RunBrokenError) as broken:
        list(desk.ask([b"a"] * 2))

    assert str(broken.value) == "pod r ended: OOMKilled; run again; the rows of this run are in runs/the-run/shards"


def test_what_a_reader_said_before_it_ended_counts(bucket: Bucket) -> None:
    said = {1: "answer-1", 2: "failure-1"}
    lasts = iter(said.items())

    def ended() -> tuple[str, ...]:
        for number, what in lasts:
            bucket.write(f"{reading_path(RUN)}/{number}/{what}", b"the disk is full")
            return (f"reader {number} ended",)
        return ()

    answers = Desk(RUN, bucket, readers=2, ended=ended, look_after_s=0).ask([b"a"] * 2)

    assert next(answers) == b"the disk is full"
    with pytest.raises(RunBrokenError, match=r"^the disk is full$"):
        next(answers)


def test_a_reader_whose_report_says_nothing_does_not_wait_for_ever(bucket: Bucket) -> None:
    bucket.write(plan_path(RUN), b"")

    with pytest.raises(RunBrokenError, match=r"^nobody asked for 0.5 s: see what became of the step report of run the"):
        answer_in_turn(1, RUN, bucket, bytes.upper, wait=never, patience_s=0.5)


def test_a_reader_of_a_run_that_was_never_planned_ends_at_once(bucket: Bucket) -> None:
    assert bucket.names("") == ()

    assert ended([start_reader(1, RUN)]) == [0]


def test_a_reader_that_is_told_to_stop_does_and_says_so_to_whoever_asks(bucket: Bucket) -> None:
    bucket.write(plan_path(RUN), b"")

    assert answer_in_turn(1, RUN, bucket, bytes.upper, wait=lambda _: True) is False
    with pytest.raises(RunBrokenError, match=r"^reader 1 was told to stop before the report was made: see what became"):
        list(Desk(RUN, bucket, readers=1).ask([b"a"]))


def test_readers_are_numbered_from_one() -> None:
    reader = start_reader(0, RUN)

    assert ended([reader]) == [2]
