"""What Argo tells of a run, read."""

import base64
import gzip
import json
from collections.abc import Callable

import pytest

from attacker.exits import Exit
from tests.workflows.engines.an_argo import a_node, a_run
from workflows.engines.argo_api import Manifest
from workflows.engines.argo_run import end_of, phases_by_step, results_of, verdict_of

CRASH = "pod loadtest-api-1 crashes"


def packed(run: Manifest) -> Manifest:
    """The same run as Argo keeps it where it is large."""
    nodes = base64.b64encode(gzip.compress(json.dumps(run["status"]["nodes"]).encode())).decode()
    return {**run, "status": {**run["status"], "nodes": None, "compressedNodes": nodes}}


def plain(run: Manifest) -> Manifest:
    return run


@pytest.mark.parametrize("kept", [plain, packed])
def test_a_runs_verdict_and_place_are_its_steps_outputs(kept: Callable[[Manifest], Manifest]) -> None:
    run = kept(a_run(a_node("ready", "Succeeded", results="gs://b/p"), a_node("report", "Failed", verdict="FAIL")))

    assert (verdict_of(run), results_of(run)) == ("FAIL", "gs://b/p")
    assert phases_by_step(run) == {"ready": ["Succeeded"], "report": ["Failed"]}


def test_a_run_that_has_not_begun_has_nothing() -> None:
    run = {"metadata": {"name": "load-test-1"}}

    assert (verdict_of(run), results_of(run), phases_by_step(run)) == ("", "", {})


def test_a_run_without_a_verdict_is_broken_for_its_first_failing_steps_own_reason() -> None:
    failed = a_node("ready", "Failed", message="main: Error (exit code 4)", reason=CRASH)
    ended = end_of(a_run(a_node("deploy", "Succeeded", reason=""), failed, a_node("teardown", "Error"), phase="Failed"))

    assert (ended.exit, ended.reason) == (Exit.BROKEN, f"ready: {CRASH}")


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        pytest.param(
            a_run(a_node("attack", "Failed", name="attack(0:a)", message="timeout"), phase="Failed"),
            "attack(0:a): timeout",
            id="a step that said nothing",
        ),
        pytest.param(a_run(phase="Error", message="no such ConfigMap"), "no such ConfigMap", id="no step at all"),
        pytest.param(a_run(phase="Failed"), "the workflow ended as Failed", id="no word of anybody"),
    ],
)
def test_where_no_step_gives_a_reason_argos_is_told(run: Manifest, reason: str) -> None:
    assert end_of(run).reason == reason
