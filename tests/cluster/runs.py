"""Runs on a real cluster as tests need them: started by submit.py, looked at while they last, removed afterwards."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from attacker.bucket import Bucket, parse_address
from attacker.report.figures import Report
from tests.workflows.submit_process import REPOSITORY, Told, start_submit

__all__ = [
    "MISSING",
    "NAMESPACE",
    "RESULTS",
    "SMALL",
    "Following",
    "a_workflow",
    "attackers",
    "bucket_of_results",
    "created",
    "delete_run",
    "end_of",
    "eventually",
    "files_of",
    "following",
    "is_attacking",
    "kubectl",
    "left_of_the_api",
    "nodes_of",
    "objects",
    "report_of",
    "submitted",
    "watching_pods",
    "workflow",
]

Object = dict[str, Any]
Found = TypeVar("Found")

KUBECTL = shutil.which("kubectl") or ""
REGISTRY = os.environ.get("CLUSTER_REGISTRY", "")
NAMESPACE = "loadtest"
RESULTS = f"gs://{os.environ.get('CLUSTER_BUCKET', 'none')}"
"""Argo's own artifact repository, where results go that are sent nowhere else."""

_GIVEN = {
    "KUBECONFIG": os.environ.get("KUBECONFIG"),
    "CLUSTER_REGISTRY": REGISTRY,
    "CLUSTER_BUCKET": os.environ.get("CLUSTER_BUCKET"),
    "kubectl": KUBECTL,
}
MISSING = [name for name, value in _GIVEN.items() if not value]

SMALL = (
    *("--api-image", f"{REGISTRY}/loadtest-api:1", "--attacker-image", f"{REGISTRY}/loadtest-attacker:1"),
    *("--api-service", "ClusterIP", "--api-replicas", "1", "--api-workers", "1", "--api-cpu", "250m"),
    *("--attacker-cpu", "350m", "--attacker-memory", "256Mi", "--rate", "20", "--duration", "4s"),
    *("--validity", "lag.p99 <= 1s", "--validity", "start_skew <= 1s", "--validity", "throttled_ratio <= 50%"),
)
"""All pods of a run share two processors here with the cluster itself, and of 80 requests p99 is the latest one."""

_POLL_S = 0.5
_HEARD_S = 3.0
"""How long Argo may take to hear of a template that has changed: nothing tells that it has."""
_ENDED = {"Succeeded", "Failed", "Error"}
_API_LABEL = "app.kubernetes.io/name=loadtest-api"
_RUN_LABEL = "workflows.argoproj.io/workflow"
_NODE_NAME = "workflows.argoproj.io/node-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A `submit.py` that follows its run."""

    process: "subprocess.Popen[str]"
    run: str

    def ended(self, *, within_s: float = 150) -> Told:
        """Wait for its end."""
        try:
            out, err = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, err = self.process.communicate()
            raise AssertionError(
                f"submit.py follows {self.run} after {within_s} s: {err}\n{nodes_of(self.run)}"
            ) from None
        return Told(self.process.returncode, out, err)


def kubectl(*arguments: str, manifest: object = None) -> str:
    """Ask the cluster; a manifest is an object, or the text of some."""
    given = manifest if isinstance(manifest, str | None) else json.dumps(manifest)
    ran = subprocess.run([KUBECTL, *arguments], input=given, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def objects(kind: str, *selection: str) -> list[Object]:
    """List objects of the namespace."""
    found: list[Object] = json.loads(kubectl("get", kind, f"--namespace={NAMESPACE}", "-o", "json", *selection))[
        "items"
    ]
    return found


def eventually(look: Callable[[], Found | None], *, timeout_s: float) -> Found:
    """Look until there is something, but not for ever; says what there was last."""
    until = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < until, f"after {timeout_s} s there was still {seen!r}"
        threading.Event().wait(_POLL_S)
    return seen


def submitted(*options: str, within_s: float = 60) -> Told:
    """Call submit.py for something that is quick."""
    process = start_submit(*options, cwd=REPOSITORY.parent)
    out, err = process.communicate(timeout=within_s)
    return Told(process.returncode, out, err)


@contextmanager
def following(*options: str, cwd: Path, **environment: str) -> Iterator[Following]:
    """Start a small run by submit.py; when all is done, both are removed."""
    known = _runs()
    process = start_submit(*SMALL, *options, cwd=cwd, **environment)
    run = ""

    def begun() -> str | None:
        has_ended = process.poll() is not None  # before the look: a run that fails at once is there by then
        found = next(iter(_runs() - known), None)
        assert found or not has_ended, process.communicate()
        return found

    try:
        run = eventually(begun, timeout_s=60)
        yield Following(process=process, run=run)
    finally:
        process.kill()
        process.communicate(timeout=10)
        delete_run(run)


@contextmanager
def created(**spec: object) -> Iterator[str]:
    """Start a run as kubectl does, of the template as it is; when all is done, it is removed."""
    threading.Event().wait(_HEARD_S)
    made = kubectl("create", "-f", "-", "-o", "name", manifest=a_workflow(**spec))
    run = made.strip().rpartition("/")[2]
    try:
        yield run
    finally:
        delete_run(run)


def a_workflow(**spec: object) -> Object:
    """Write a run of the template."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "by-hand-", "namespace": NAMESPACE},
        "spec": {"workflowTemplateRef": {"name": "load-test"}, **spec},
    }


def delete_run(run: str) -> None:
    """Remove a run, and with it all that it owns."""
    if run:
        kubectl("delete", "workflow", run, f"--namespace={NAMESPACE}", "--ignore-not-found", "--cascade=foreground")
        eventually(lambda: not left_of_the_api(), timeout_s=60)


def workflow(run: str) -> Object:
    """Read a run as Argo has it."""
    found: Object = json.loads(kubectl("get", "workflow", run, f"--namespace={NAMESPACE}", "-o", "json"))
    return found


def end_of(run: str, *, timeout_s: float = 150) -> Object:
    """Wait for a run's end; returns it."""

    def look() -> Object | None:
        found = workflow(run)
        return found if found.get("status", {}).get("phase") in _ENDED else None

    return eventually(look, timeout_s=timeout_s)


def nodes_of(run: str) -> dict[str, str]:
    """Tell the phase of each node of a run, and why, by the name that Argo's pages show."""
    nodes: Mapping[str, Object] = workflow(run).get("status", {}).get("nodes") or {}
    return {
        one["displayName"]: ": ".join(filter(None, (one.get("phase"), one.get("message")))) for one in nodes.values()
    }


def attackers(run: str) -> dict[str, str]:
    """Tell the pod of each shard that attacks."""
    pods = [one["metadata"] for one in objects("pods", f"--selector={_RUN_LABEL}={run}")]
    names = {one["annotations"].get(_NODE_NAME, ""): one["name"] for one in pods}
    return {node.rpartition(":")[2].rstrip(")"): pod for node, pod in names.items() if ".attack(" in node}


def bucket_of_results(results: str = RESULTS) -> Bucket:
    """Find the bucket that reports go to."""
    return Bucket.connect(*parse_address(results))


def files_of(run: str, *, results: str = RESULTS) -> set[str]:
    """List a run's folder."""
    folder = f"runs/{run}/"
    return {name.removeprefix(folder) for name in bucket_of_results(results).names(folder)}


def report_of(run: str, *, results: str = RESULTS) -> Report:
    """Read a run's report, which is there."""
    return Report.model_validate_json(bucket_of_results(results).read(f"runs/{run}/report.json") or b"")


def is_attacking(run: str, *, timeout_s: float = 90) -> None:
    """Wait until the attackers have sent requests for a while."""
    decided = eventually(lambda: bucket_of_results().read(f"runs/{run}/barrier/go"), timeout_s=timeout_s)
    go = json.loads(decided)
    assert go["complete"], f"nobody attacks: {go}"
    eventually(lambda: time.time_ns() > go["t0_ns"] + 1_500_000_000, timeout_s=10)


def left_of_the_api() -> list[str]:
    """List what there is of the API under test."""
    found = objects("deployments,services,replicasets,pods", f"--selector={_API_LABEL}")
    return [f"{one['kind']} {one['metadata']['name']}" for one in found]


@contextmanager
def watching_pods() -> Iterator[dict[str, Object]]:
    """Collect every pod that the namespace has meanwhile, as it was last."""
    seen: dict[str, Object] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            seen.update({one["metadata"]["name"]: one for one in objects("pods")})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _runs() -> set[str]:
    return {one["metadata"]["name"] for one in objects("workflows")}
