"""The report as JUnit XML, for CI: an objective is a test case, and so is whether the measurement can be trusted."""

from datetime import datetime
from xml.etree import ElementTree as ET

from attacker.report.figures import Judged, Report, Run, VerdictResult
from attacker.report.notation import changed_rules, measured, notes, objectives, omissions, printable

__all__ = ["render_junit"]


def render_junit(report: Report) -> str:
    """Render one test suite: a missed objective is a failure, one without data an error, and so is an invalid run."""
    cases = [_trust_case(report), *(_objective_case(target, judged) for target, judged in objectives(report))]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
    }
    time = {"time": f"{_length_s(report.run):.3f}"}
    suites = ET.Element("testsuites", counts | time)
    name = {"name": printable(report.run.id)}
    suite = ET.SubElement(suites, "testsuite", name | counts | {"skipped": "0"} | time | _timestamp(report.run))
    suite.extend(cases)
    ET.indent(suites)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ET.tostring(suites, encoding='unicode')}\n"


def _trust_case(report: Report) -> ET.Element:
    case = _case("run", "measurement can be trusted")
    if report.verdict.result is VerdictResult.INVALID:
        _add(case, "error", message="the measurement cannot be trusted", text="\n".join(report.verdict.reasons))
    told = [
        *(f"validity: {change}" for change in changed_rules(report)),
        *(f"{target}: {omission}" for target, omission in omissions(report)),
        *(f"note: {note}" for note in notes(report)),
    ]
    if told:
        ET.SubElement(case, "system-out").text = printable("\n".join(told))
    return case


def _objective_case(target: str, judged: Judged) -> ET.Element:
    case = _case(target, judged.objective)
    if judged.met is None:
        _add(case, "error", message=f"no data: nothing was measured to hold against {judged.objective}")
    elif not judged.met:
        _add(case, "failure", message=f"measured {measured(judged)}, objective {judged.objective}")
    return case


def _case(target: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": printable(target), "name": printable(name), "time": "0"})


def _add(case: ET.Element, kind: str, *, message: str, text: str = "") -> None:
    outcome = ET.SubElement(case, kind, {"message": printable(message), "type": kind})
    outcome.text = printable(text or message)


def _length_s(run: Run) -> float:
    try:
        return max(0.0, (datetime.fromisoformat(run.ended) - datetime.fromisoformat(run.started)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _timestamp(run: Run) -> dict[str, str]:
    """Give when the run started, as JUnit's schema wants it: without a zone."""
    try:
        return {"timestamp": f"{datetime.fromisoformat(run.started):%Y-%m-%dT%H:%M:%S}"}
    except ValueError:
        return {}
