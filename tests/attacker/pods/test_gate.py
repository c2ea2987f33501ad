"""The gate: attackers wait at it while the API gets ready, but not for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.duration import Duration
from attacker.exits import RunBrokenError
from attacker.plan_file import Plan
from attacker.pods.barrier import STOPPED, Absence, Why
from attacker.pods.gate import Gate, gate_path, open_gate, read_gate, shut_gate, wait_at_gate
from tests.attacker.building import START_NS, a_shard
from tests.attacker.pods.test_barrier import SECOND_NS, World

MARGIN = Duration(2 * SECOND_NS)


def a_plan(*, gated: bool = True) -> Plan:
    """A plan whose gate has to open within a minute of the world's beginning."""
    return Plan(run="the-run", shards=(a_shard(),), deadline_ns=START_NS, margin=MARGIN, gated=gated)


def wait_in(world: World, plan: Plan) -> Plan | Absence:
    return wait_at_gate(plan, world, now_ns=world.clock, wait=world.wait)


def test_without_a_gate_nobody_waits() -> None:
    world = World()
    began_ns = world.now_ns

    assert wait_in(world, a_plan(gated=False)) == a_plan(gated=False)
    assert world.now_ns == began_ns


@given(opened_s=st.integers(0, 59))
def test_who_waits_is_let_in_within_a_look_and_hears_until_when_to_wait_for_the_others(opened_s: int) -> None:
    world = World()
    began_ns = world.now_ns
    later_ns = START_NS + 500 * SECOND_NS
    world.due.append(
        (began_ns + opened_s * SECOND_NS, lambda: open_gate("the-run", world, deadline_ns=later_ns)),
    )

    let_in = wait_in(world, a_plan())

    assert isinstance(let_in, Plan)
    assert let_in.deadline_ns == later_ns
    assert opened_s <= (world.now_ns - began_ns) / SECOND_NS <= opened_s + 0.25


def test_who_comes_after_it_was_opened_is_let_in_too() -> None:
    world = World()
    open_gate("the-run", world, deadline_ns=START_NS)
    world.now_ns = START_NS + SECOND_NS

    assert isinstance(wait_in(world, a_plan()), Plan)


def test_where_the_api_does_not_get_ready_everybody_leaves_with_the_reason() -> None:
    world = World()
    shut_gate("the-run", world, reason="ready: pod api-1 crashes")

    assert wait_in(world, a_plan()) == Absence(Why.INCOMPLETE, "nobody attacked: ready: pod api-1 crashes")


def test_nobody_waits_for_ever() -> None:
    world = World()

    outcome = wait_in(world, a_plan())

    assert outcome == Absence(Why.INCOMPLETE, "nobody attacked, because nobody said that the API is ready")
    assert world.now_ns == START_NS


def test_who_is_told_to_stop_leaves() -> None:
    world = World(stop_ns=START_NS - 50 * SECOND_NS)

    assert wait_in(world, a_plan()) == STOPPED


def test_what_was_decided_can_be_read_later() -> None:
    world = World()
    assert read_gate("the-run", world) is None

    open_gate("the-run", world, deadline_ns=START_NS)

    assert read_gate("the-run", world) == Gate(deadline_ns=START_NS)


def test_what_is_no_gate_breaks_the_run() -> None:
    world = World(files={gate_path("the-run"): b"soon"})

    with pytest.raises(
        RunBrokenError, match=r"^runs/the-run/barrier/gate is b'soon', which is no gate: plan and attack"
    ):
        wait_in(world, a_plan())
