"""How far clocks are apart, by what their nodes know of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attacker.evidence import Clock, Evidence
from attacker.report.validity.clocks import Spread, spread_of
from tests.attacker.building import an_evidence


def on(node: str, offset_ns: int | None = None, uncertainty_ns: int = 0) -> Evidence:
    clock = None if offset_ns is None else Clock(offset_ns=offset_ns, uncertainty_ns=uncertainty_ns)
    return an_evidence(node=node, clock=clock)


@pytest.mark.parametrize(
    ("evidence", "spread"),
    [
        pytest.param([], Spread(0, 0), id="of nobody"),
        pytest.param([on("a")], Spread(0, 0), id="of one node that did not compare"),
        pytest.param([on("a", 7, 3), on("a", 90, 5)], Spread(0, 0), id="of one node, whatever it says"),
        pytest.param([on("a", 0, 10), on("b", 100, 20)], Spread(70, 130, ("a", "b")), id="of two"),
        pytest.param([on("a", 0, 60), on("b", 100, 60)], Spread(0, 220), id="of two that may be one"),
        pytest.param([on("a", 0, 1), on("b")], Spread(0, None), id="of two, one of which did not compare"),
        pytest.param([on("a", 0, 90), on("a", 50, 1), on("b", 0, 1)], Spread(48, 52, ("a", "b")), id="by the best"),
        pytest.param(
            [on("a", 0, 1), on("b", 5, 1), on("c", -9, 1)], Spread(12, 16, ("b", "c")), id="of three: the farthest two"
        ),
    ],
)
def test_clocks_are_told_apart_as_far_as_they_are_known(evidence: list[Evidence], spread: Spread) -> None:
    assert spread_of(evidence) == spread


@given(
    true_ns=st.lists(st.integers(-1000, 1000), min_size=1, max_size=5),
    errors=st.lists(st.tuples(st.integers(0, 50), st.integers(-50, 50)), min_size=5, max_size=5),
)
def test_the_true_spread_is_never_outside_of_what_is_told(true_ns: list[int], errors: list[tuple[int, int]]) -> None:
    known = [
        on(str(node), offset_ns + error, abs(error) + slack)
        for node, (offset_ns, (slack, error)) in enumerate(zip(true_ns, errors, strict=False))
    ]

    told = spread_of(known)

    assert told.least_ns <= max(true_ns) - min(true_ns) <= (told.most_ns or 0)
