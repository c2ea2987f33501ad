"""The gate before the start barrier: attackers get ready while the API does, and wait until it is open.

Who waits for the API writes one file: until when the attackers then wait for each other, or why nobody attacks.
"""

from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from attacker.exits import RunBrokenError
from attacker.plan_file import Plan
from attacker.pods.barrier import STOPPED, Absence, Clock, Files, Wait, Why, poll_s

__all__ = ["Gate", "gate_path", "open_gate", "read_gate", "shut_gate", "wait_at_gate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What was decided about the attack."""

    deadline_ns: int | None
    """Where it is open: nobody waits for the first wave's shards longer than this, since 1970."""
    reason: str = ""
    """Where it stays shut: why."""


_GATE = TypeAdapter(Gate)


def gate_path(run: str) -> str:
    """Tell where a run's gate lies in the bucket."""
    return f"runs/{run}/barrier/gate"


def open_gate(run: str, files: Files, *, deadline_ns: int) -> None:
    """Let the attackers meet.

    Raises:
        RunBrokenError: the file cannot be written.
    """
    files.write(gate_path(run), _GATE.dump_json(Gate(deadline_ns=deadline_ns)))


def shut_gate(run: str, files: Files, *, reason: str) -> None:
    """Send the attackers away.

    Raises:
        RunBrokenError: the file cannot be written.
    """
    files.write(gate_path(run), _GATE.dump_json(Gate(deadline_ns=None, reason=reason)))


def read_gate(run: str, files: Files) -> Gate | None:
    """Look whether it is decided.

    Raises:
        RunBrokenError: the file cannot be read, or is something else.
    """
    data = files.read(gate_path(run))
    try:
        return None if data is None else _GATE.validate_json(data)
    except ValidationError as error:
        raise RunBrokenError(
            f"{gate_path(run)} is {data!r}, which is no gate: plan and attack with one image"
        ) from error


def wait_at_gate(plan: Plan, files: Files, *, now_ns: Clock, wait: Wait) -> Plan | Absence:
    """Wait until it is decided whether there is an attack, where that has to be decided.

    Returns:
        The plan, with the deadline that holds now; or why there is no attack.

    Raises:
        RunBrokenError: the file cannot be read.
    """
    while plan.gated:
        gate = read_gate(plan.run, files)
        if gate is not None and gate.deadline_ns is not None:
            return replace(plan, deadline_ns=gate.deadline_ns, gated=False)
        if gate is not None:
            return Absence(Why.INCOMPLETE, f"nobody attacked: {gate.reason}")
        if now_ns() >= plan.deadline_ns:
            return Absence(Why.INCOMPLETE, "nobody attacked, because nobody said that the API is ready")
        if wait(poll_s(plan)):
            return STOPPED
    return plan
