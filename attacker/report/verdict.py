"""The verdict: PASS, FAIL or INVALID, with reasons."""

from collections.abc import Sequence

from attacker.exits import Exit
from attacker.report.figures import Judged, Verdict, VerdictResult
from attacker.report.notation import measured

__all__ = ["EXIT_OF", "verdict"]

EXIT_OF = {VerdictResult.PASS: Exit.PASS, VerdictResult.FAIL: Exit.FAIL, VerdictResult.INVALID: Exit.INVALID}


def verdict(judged: Sequence[tuple[str, Judged]], *, doubts: Sequence[str]) -> Verdict:
    """Decide from what was judged, by target, and from what is wrong with the measurement.

    A doubt outweighs everything: objectives on figures that cannot be trusted are neither met nor missed.
    """
    missed = [f"{name}: {_told(one)}" for name, one in judged if one.met is False]
    unknown = [f"{name}: {one.objective}: nothing was measured" for name, one in judged if one.met is None]
    if doubts or unknown:
        return Verdict(result=VerdictResult.INVALID, reasons=(*doubts, *unknown, *missed))
    if missed:
        return Verdict(result=VerdictResult.FAIL, reasons=tuple(missed))
    return Verdict(result=VerdictResult.PASS, reasons=())


def _told(judged: Judged) -> str:
    return f"{judged.objective} was missed: {measured(judged)}"
