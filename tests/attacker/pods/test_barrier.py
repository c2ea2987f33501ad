"""The start barrier: its decisions, one shard's wait in a world whose clock the test owns, and real processes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.bucket import Bucket
from attacker.duration import Duration
from attacker.exits import Exit, RunBrokenError
from attacker.plan_file import Plan
from attacker.pods.barrier import (
    STOPPED,
    Absence,
    Go,
    Start,
    Wave,
    Why,
    decide,
    is_over,
    obey,
    say_done,
    wait_at_barrier,
    waves_of,
)
from attacker.report.validity.shards import doubts_on_shard
from tests.attacker.attack_pods import a_bucket, ended, found_in, plan_in, start_pod
from tests.attacker.building import START_NS, a_shard, a_target, measured_of
from tests.attacker.loopback import Loopback

bucket = a_bucket

SECOND_NS = 1_000_000_000
MARGIN_NS = 2 * SECOND_NS
A_DAY_NS = 86_400 * SECOND_NS

names = st.sets(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1).map(lambda some: tuple(sorted(some)))
moments = st.integers(START_NS - 100 * SECOND_NS, START_NS + 100 * SECOND_NS)


def a_wave(shards: Sequence[str] = ("a", "b", "c"), closes_ns: int = START_NS) -> Wave:
    return Wave(folder="barrier", shards=tuple(shards), closes_ns=closes_ns, lasts_ns=60 * SECOND_NS)


def a_plan(*shards: str, deadline_ns: int = START_NS, sequential: bool = False) -> Plan:
    """Shards of one target each, of the same name."""
    return Plan(
        run="the-run",
        shards=tuple(a_shard(name=name, target=a_target(name=name)) for name in shards),
        deadline_ns=deadline_ns,
        margin=Duration(MARGIN_NS),
        sequential=sequential,
    )


@given(shards=names, ready=names, now_ns=moments)
def test_a_barrier_stays_open_until_all_are_ready_or_its_deadline(
    shards: tuple[str, ...], ready: tuple[str, ...], now_ns: int
) -> None:
    go = decide(a_wave(shards), ready, now_ns=now_ns, margin_ns=MARGIN_NS)

    assert (go is None) == (not set(shards) <= set(ready) and now_ns < START_NS)


@given(shards=names, ready=names)
def test_a_barrier_that_is_closed_says_who_was_ready_and_whether_these_are_all(
    shards: tuple[str, ...], ready: tuple[str, ...]
) -> None:
    present = tuple(sorted(set(shards) & set(ready)))

    go = decide(a_wave(shards), ready, now_ns=START_NS, margin_ns=MARGIN_NS)

    assert go == Go(t0_ns=START_NS + MARGIN_NS, ready=present, complete=present == shards)


@given(shards=names, ready=names, heard_ns=moments)
def test_all_attack_or_nobody_does_but_who_hears_of_it_late(
    shards: tuple[str, ...], ready: tuple[str, ...], heard_ns: int
) -> None:
    wave = a_wave(shards)
    go = decide(wave, ready, now_ns=START_NS, margin_ns=MARGIN_NS)
    assert go is not None

    outcomes = {shard: obey(go, wave, shard, now_ns=heard_ns) for shard in shards}

    in_time = heard_ns <= go.t0_ns
    starts = [shard for shard, outcome in outcomes.items() if outcome == Start(go.t0_ns)]
    assert starts == (list(shards) if go.complete and in_time else [])


def test_who_is_not_ready_in_time_is_late_and_the_others_are_told_of_it() -> None:
    go = Go(t0_ns=START_NS, ready=("a", "b"), complete=False)

    assert [obey(go, a_wave(), shard, now_ns=START_NS) for shard in ("a", "b", "c")] == [
        Absence(Why.INCOMPLETE, "nobody attacked, because these were not ready in time: c"),
        Absence(Why.INCOMPLETE, "nobody attacked, because these were not ready in time: c"),
        Absence(Why.LATE, "it was late: the barrier was closed before it was ready"),
    ]


def test_who_hears_of_the_start_after_it_is_late() -> None:
    go = Go(t0_ns=START_NS, ready=("a", "b", "c"), complete=True)

    assert obey(go, a_wave(), "a", now_ns=START_NS + 40_000_000) == Absence(
        Why.LATE, "it was late: it heard of the start 40ms after it"
    )


COMPLETE, INCOMPLETE = Go(t0_ns=START_NS, ready=("a", "b"), complete=True), Go(t0_ns=0, ready=("a",), complete=False)


@pytest.mark.parametrize(
    ("go", "done", "now_ns", "over"),
    [
        (None, (), START_NS, False),
        (None, (), START_NS + 5 * SECOND_NS, True),
        (INCOMPLETE, (), 0, True),
        (COMPLETE, ("a",), START_NS, False),
        (COMPLETE, ("a", "b", "c"), START_NS, True),
        (COMPLETE, ("a",), START_NS + 60 * SECOND_NS, True),
    ],
    ids=[
        "at its deadline, a moment before it is closed",
        "nobody came and closed it",
        "nobody attacks",
        "one attacks",
        "all are done",
        "one was lost",
    ],
)
def test_a_wave_is_over_when_nobody_attacks_any_more(
    go: Go | None, done: Sequence[str], now_ns: int, *, over: bool
) -> None:
    assert is_over(a_wave(("a", "b")), go, done, now_ns=now_ns) is over


def test_the_waves_of_a_plan_meet_in_places_of_their_own_and_one_after_the_other() -> None:
    first, second, third = waves_of(a_plan("a", "b", "c", sequential=True))

    assert [wave.folder for wave in (first, second, third)] == [f"runs/the-run/barrier/{index}" for index in range(3)]
    assert first.closes_ns == START_NS
    assert second.closes_ns > first.closes_ns + MARGIN_NS + first.lasts_ns
    assert third.closes_ns > second.closes_ns + MARGIN_NS + second.lasts_ns


def test_shards_that_attack_at_one_instant_meet_in_one_place() -> None:
    [wave] = waves_of(a_plan("a", "b"))

    assert (wave.folder, wave.shards, wave.closes_ns) == ("runs/the-run/barrier", ("a", "b"), START_NS)


@dataclass
class World:
    """A bucket, and a clock that goes on by waiting only; what is due while a shard waits happens then."""

    now_ns: int = START_NS - 60 * SECOND_NS
    files: dict[str, bytes] = field(default_factory=dict)
    due: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    stop_ns: int = START_NS + A_DAY_NS

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def names(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self.files if path.startswith(prefix)))

    def create(self, path: str, data: bytes) -> bool:
        return self.files.setdefault(path, data) is data

    def write(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def delete(self, path: str) -> None:
        self.files.pop(path, None)

    def wait(self, seconds: float) -> bool:
        self.now_ns = min(self.now_ns + int(seconds * SECOND_NS), self.stop_ns)
        happening = [event for at_ns, event in self.due if at_ns <= self.now_ns]
        self.due = [(at_ns, event) for at_ns, event in self.due if at_ns > self.now_ns]
        for event in happening:
            event()
        return self.now_ns >= self.stop_ns

    def written_at(self, at_ns: int, path: str, data: bytes = b"") -> None:
        self.due.append((at_ns, lambda: self.write(path, data)))

    def clock(self) -> int:
        return self.now_ns


def wait_in(world: World, plan: Plan, shard: str) -> Start | Absence:
    return wait_at_barrier(plan, shard, world, now_ns=world.clock, wait=world.wait)


BARRIER = "runs/the-run/barrier"


@given(arrivals=st.lists(st.integers(0, 120), min_size=1, max_size=4))
def test_a_shard_waits_for_all_the_others_but_not_for_ever(arrivals: list[int]) -> None:
    world = World()
    began_ns, deadline_ns = world.now_ns, world.now_ns + 60 * SECOND_NS
    for index, second in enumerate(arrivals):
        world.written_at(began_ns + second * SECOND_NS, f"{BARRIER}/ready/other-{index}")
    plan = a_plan("own", *(f"other-{index}" for index in range(len(arrivals))), deadline_ns=deadline_ns)

    outcome = wait_in(world, plan, "own")

    waited_s = (world.now_ns - began_ns) / SECOND_NS
    assert isinstance(outcome, Start) == (max(arrivals) <= 60)
    assert min(max(arrivals), 60) <= waited_s <= min(max(arrivals), 60) + 1


@given(order=st.permutations(["a", "b", "c"]), pauses_s=st.lists(st.floats(0, 0.25), min_size=3, max_size=3))
def test_whoever_looks_first_all_start_at_one_instant(order: list[str], pauses_s: list[float]) -> None:
    world = World()
    for shard in order:
        world.write(f"{BARRIER}/ready/{shard}", b"")

    outcomes = set()
    for shard, pause_s in zip(order, pauses_s, strict=True):
        world.wait(pause_s)
        outcomes.add(wait_in(world, a_plan("a", "b", "c"), shard))

    assert outcomes == {Start(json.loads(world.files[f"{BARRIER}/go"])["t0_ns"])}


def test_who_loses_the_race_to_decide_obeys_the_winner() -> None:
    decided = {"t0_ns": START_NS, "ready": ["a", "b"], "complete": True}

    class Crowded(World):
        def create(self, path: str, _data: bytes) -> bool:
            self.written_at(self.now_ns, path, json.dumps(decided).encode())
            return False

    world = Crowded(files={f"{BARRIER}/ready/b": b""})

    assert wait_in(world, a_plan("a", "b"), "a") == Start(START_NS)


def test_a_shard_that_comes_after_the_decision_is_late() -> None:
    world = World()
    wait_in(world, a_plan("early", "late"), "early")

    outcome = wait_in(world, a_plan("early", "late"), "late")

    assert isinstance(outcome, Absence)
    assert outcome.why is Why.LATE


def test_a_shard_that_is_told_to_stop_leaves_at_once_and_is_no_longer_ready() -> None:
    world = World(stop_ns=START_NS - 50 * SECOND_NS)

    assert wait_in(world, a_plan("a", "b"), "a") == STOPPED
    assert world.now_ns == START_NS - 50 * SECOND_NS
    assert world.files == {}


def test_a_shard_that_is_stopped_before_it_is_ready_never_was() -> None:
    world = World(stop_ns=0)

    assert wait_in(world, a_plan("a", "b"), "a") == STOPPED
    assert world.files == {}


def test_a_later_wave_gets_ready_when_the_one_before_it_is_done() -> None:
    world = World()
    plan = a_plan("a", "b", sequential=True)
    assert isinstance(wait_in(world, plan, "a"), Start)
    done_ns = world.now_ns + 30 * SECOND_NS
    world.due.append((done_ns, lambda: say_done(plan, "a", world)))

    outcome = wait_in(world, plan, "b")

    assert isinstance(outcome, Start)
    assert done_ns + MARGIN_NS <= outcome.at_ns <= done_ns + MARGIN_NS + 2 * SECOND_NS
    assert world.names(BARRIER) == tuple(
        f"{BARRIER}/{file}" for file in ("0/done/a", "0/go", "0/ready/a", "1/go", "1/ready/b")
    )


@pytest.mark.parametrize("came", [(), ("a",)], ids=["never came", "was lost while it attacked"])
def test_no_wave_waits_for_ever_for_a_shard_that(came: tuple[str, ...]) -> None:
    world = World()
    plan = a_plan("a", "b", sequential=True)
    before = [wait_in(world, plan, shard) for shard in came]

    outcome = wait_in(world, plan, "b")

    assert [type(one) for one in (*before, outcome)] == [Start] * (len(came) + 1)
    assert world.now_ns <= waves_of(plan)[1].closes_ns + SECOND_NS


def test_a_later_wave_does_not_wait_for_one_in_which_nobody_attacks() -> None:
    incomplete = {"t0_ns": START_NS, "ready": [], "complete": False}
    world = World(files={f"{BARRIER}/0/go": json.dumps(incomplete).encode()})
    began_ns = world.now_ns

    outcome = wait_in(world, a_plan("a", "b", sequential=True), "b")

    assert outcome == Start(began_ns + MARGIN_NS)


def test_a_shard_whose_turn_does_not_come_leaves_when_it_is_told_to_stop() -> None:
    world = World(stop_ns=START_NS)

    assert wait_in(world, a_plan("a", "b", deadline_ns=START_NS + A_DAY_NS, sequential=True), "b") == STOPPED
    assert world.names(f"{BARRIER}/1") == ()


def test_where_all_attack_at_once_nobody_needs_to_know_who_is_done() -> None:
    world = World()

    say_done(a_plan("a", "b"), "a", world)

    assert world.files == {}


def test_a_decision_that_cannot_be_read_breaks_the_run() -> None:
    world = World(files={f"{BARRIER}/go": b"soon"})

    with pytest.raises(RunBrokenError, match=r"^runs/the-run/barrier/go is b'soon', which says no start: give every"):
        wait_in(world, a_plan("a"), "a")


def test_processes_that_know_nothing_of_each_other_start_at_one_instant(
    bucket: Bucket, loopback_api: Loopback, tmp_path: Path
) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /b", "GET /c"), deadline_s=60)

    codes = ended([start_pod(shard.name, plan.run) for shard in plan.shards])

    assert codes == [Exit.PASS] * 3
    shards = found_in(bucket, plan, tmp_path)
    go = json.loads(bucket.read(f"runs/{plan.run}/barrier/go") or b"")
    assert go["ready"] == ["get-a", "get-b", "get-c"]
    assert {one.state.evidence and one.state.evidence.start_at_ns for one in shards} == {go["t0_ns"]}
    first_ns = [measured_of([one.measured]).sent_ns.first or 0 for one in shards]
    assert go["t0_ns"] <= min(first_ns) <= max(first_ns) < go["t0_ns"] + SECOND_NS


def test_target_by_target_the_attacks_do_not_overlap(bucket: Bucket, loopback_api: Loopback, tmp_path: Path) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /b"), sequential=True, deadline_s=60)

    codes = ended([start_pod(shard.name, plan.run) for shard in plan.shards])

    assert codes == [Exit.PASS] * 2
    first, second = (one.state.evidence for one in found_in(bucket, plan, tmp_path))
    assert first is not None
    assert second is not None
    assert first.ended_ns < second.started_ns


def test_where_a_shard_is_late_nobody_attacks(bucket: Bucket, loopback_api: Loopback, tmp_path: Path) -> None:
    plan = plan_in(bucket, loopback_api.url, targets=("GET /a", "GET /b", "GET /late"), deadline_s=8)

    in_time = ended([start_pod("get-a", plan.run), start_pod("get-b", plan.run)])
    late = ended([start_pod("get-late", plan.run)])

    assert (in_time, late) == ([76, 76], [75])
    assert loopback_api.seen == []
    assert [doubt for one in found_in(bucket, plan, tmp_path) for doubt in doubts_on_shard(one.state)] == [
        "shard get-a is missing: nobody attacked, because these were not ready in time: get-late",
        "shard get-b is missing: nobody attacked, because these were not ready in time: get-late",
        "shard get-late is missing: it was late: the barrier was closed before it was ready",
    ]
