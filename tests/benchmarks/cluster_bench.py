"""Figures of runs on a cluster: where the time goes, how far apart shards start, what a pod costs the measurement.

Needs a kubeconfig, Argo, and images that the cluster can pull; options after `--` go to submit.py, such as
`-- --api-image REGISTRY/api:1 --attacker-image REGISTRY/attacker:1 --results gs://BUCKET`.
"""

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SUBMIT = [sys.executable, "workflows/submit.py"]
API = "http://loadtest-api.{namespace}.svc:5000"
FIDELITY = ("--target", "GET /health", "--rate", "200", "--duration", "20s")
PLAIN = "plain-vegeta"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to measure."""

    namespace: str
    rounds: int
    options: list[str]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", default="loadtest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("time", "skew", "fidelity"))
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    asked = Asked(namespace=given.namespace, rounds=given.rounds, options=given.options)
    for name, measure in {"time": measure_time, "skew": measure_skew, "fidelity": measure_fidelity}.items():
        if given.only in (None, name):
            measure(asked)


def measure_time(asked: Asked) -> None:
    """Tell what a run of 3 targets takes beside its attack of 10 s, and where that goes."""
    overheads = []
    for _ in range(asked.rounds):
        workflow, took_s = a_run(asked, "--duration", "10s")
        overheads.append(took_s - 10)
        tell_steps(workflow)
    tell(f"a run beside its attack of 10 s: median {statistics.median(overheads):.1f} s of {listed(overheads)}")


def measure_skew(asked: Asked) -> None:
    """Tell how far apart 6 shards start."""
    skews_ms = []
    for _ in range(asked.rounds):
        workflow, _ = a_run(asked, "--duration", "5s", "--shards", "2")
        skews_ms.append(float(report_of(workflow)["overall"]["attack"]["start_skew_ns"]) / 1e6)
    tell(f"start skew of 3 targets in 2 shards each: largest {max(skews_ms):.1f} ms of {listed(skews_ms)}")


def measure_fidelity(asked: Asked) -> None:
    """Tell p99 at 200/s from an attack pod beside plain vegeta's in a pod of the same size, pair by pair."""
    ratios = []
    with a_kept_api(asked) as (url, attacker):
        for number in range(asked.rounds):
            # Who goes first takes turns: the second finds the API warmer.
            order = (by_the_run, by_plain_vegeta) if number % 2 else (by_plain_vegeta, by_the_run)
            p99_ms = {measure: measure(asked, url, attacker) for measure in order}
            ratios.append(p99_ms[by_the_run] / p99_ms[by_plain_vegeta])
            tell(f"  p99 at 200/s: attack pod {p99_ms[by_the_run]:.2f} ms, vegeta {p99_ms[by_plain_vegeta]:.2f} ms")
    tell(f"p99 of the attack pod over plain vegeta's: median {statistics.median(ratios):.2f} of {listed(ratios)}")


@contextmanager
def a_kept_api(asked: Asked) -> Iterator[tuple[str, Object]]:
    """Have an API that stays; yields its address, and an attack pod as it was."""
    workflow, _ = a_run(asked, "--duration", "1s", "--keep", *FIDELITY[:2])
    try:
        selector = f"workflows.argoproj.io/workflow={workflow['metadata']['name']}"
        pods = json.loads(kubectl("get", "pods", f"--namespace={asked.namespace}", "-l", selector, "-o", "json"))
        [attacker] = [pod for pod in pods["items"] if "-attack-" in pod["metadata"]["name"]]
        yield API.format(namespace=asked.namespace), attacker
    finally:
        kubectl("delete", "workflow", workflow["metadata"]["name"], f"--namespace={asked.namespace}")


def by_the_run(asked: Asked, url: str, _attacker: Object) -> float:
    """Measure with a run."""
    workflow, _ = a_run(asked, "--api-url", url, *FIDELITY)
    return float(report_of(workflow)["targets"][0]["latency_ns"]["p99"]) / 1e6


def by_plain_vegeta(asked: Asked, url: str, attacker: Object) -> float:
    """Measure with nothing but vegeta, in a pod like the attack pod; what it measured is read exactly afterwards."""
    main = next(one for one in attacker["spec"]["containers"] if one["name"] == "main")
    attack = f"echo 'GET {url}/health' | vegeta -cpus=1 attack -rate=200 -duration=20s > /tmp/results.gob"
    report = "python -m attacker report /tmp/results.gob --type json"
    kept = ("image", "resources", "securityContext")
    container = {
        "name": "main",
        "command": ["sh", "-c", f"{attack} && {report}"],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  (the pod's own)
        **{key: main[key] for key in kept},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": PLAIN,
            "namespace": asked.namespace,
            # The network policies let a run's pods reach the API.
            "labels": {"workflows.argoproj.io/workflow": PLAIN},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "securityContext": attacker["spec"]["securityContext"],
        },
    }
    kubectl("create", "-f", "-", manifest=pod)
    try:
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("wait", f"pod/{PLAIN}", f"--namespace={asked.namespace}", done, "--timeout=120s")
        told: Object = json.loads(kubectl("logs", PLAIN, f"--namespace={asked.namespace}"))
    finally:
        kubectl("delete", "pod", PLAIN, f"--namespace={asked.namespace}", "--grace-period=1")
    return float(told["latency_ns"]["p99"]) / 1e6


def a_run(asked: Asked, *options: str) -> tuple[Object, float]:
    """Run a load test; returns its workflow and how long submit.py took."""
    began = time.monotonic()
    ended = subprocess.run(
        [*SUBMIT, "--namespace", asked.namespace, *asked.options, *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.monotonic() - began
    found = re.search(r"^run\s+(\S+)", ended.stderr, re.MULTILINE)
    if ended.returncode not in {0, 1, 3} or found is None:
        raise RuntimeError(f"submit.py ended with {ended.returncode}: {ended.stderr}")
    name = found[1]
    workflow: Object = json.loads(kubectl("get", "workflow", name, f"--namespace={asked.namespace}", "-o", "json"))
    return workflow, took_s


def report_of(workflow: Object) -> Object:
    """Read a run's report."""
    command = [*SUBMIT, "report", workflow["metadata"]["name"], "--json"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    report: Object = json.loads(ended.stdout)
    return report


def tell_steps(workflow: Object) -> None:
    """Print when each step's pods began and ended, and how long the controller took to go on."""
    nodes = [node for node in workflow["status"]["nodes"].values() if node["type"] == "Pod"]
    last = moment(workflow["metadata"]["creationTimestamp"])
    for node in sorted(nodes, key=lambda node: node["startedAt"]):
        began, end = moment(node["startedAt"]), moment(node["finishedAt"])
        tell(f"  {node['displayName']:<28} waited {(began - last):5.1f} s, took {(end - began):5.1f} s")
        last = max(last, end) if node["templateName"] != "attack" else end
    tell(f"  {'(the end)':<28} waited {moment(workflow['status']['finishedAt']) - last:5.1f} s")


def kubectl(*arguments: str, manifest: Object | None = None) -> str:
    """Ask the cluster."""
    text = None if manifest is None else json.dumps(manifest)
    command = [shutil.which("kubectl") or "kubectl", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def moment(text: str) -> float:
    """Read Kubernetes' time."""
    return datetime.fromisoformat(text).timestamp()


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


def listed(values: list[float]) -> str:
    """Write a list of figures."""
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
