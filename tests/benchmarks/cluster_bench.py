"""Figures of runs on a cluster: where the time goes, how far apart shards start, what a pod costs the measurement.

Needs a kubeconfig, Argo, and images that the cluster can pull; options after `--` go to submit.py, such as
`-- --api-image REGISTRY/api:1 --attacker-image REGISTRY/attacker:1 --results gs://BUCKET`.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SUBMIT = [sys.executable, "workflows/submit.py"]
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", default="loadtest")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    overheads, skews = [], []
    for _ in range(given.rounds):
        workflow, took_s = a_run(given.namespace, ["--duration", "10s", *given.options])
        overheads.append(took_s - 10)
        tell_steps(workflow)
    tell(f"a run beside its attack of 10 s: median {statistics.median(overheads):.1f} s of {seconds(overheads)}")
    for _ in range(given.rounds):
        workflow, _ = a_run(given.namespace, ["--duration", "5s", "--shards", "2", *given.options])
        skews.append(start_skew_ms(workflow))
    tell(f"start skew of 3 targets in 2 shards each: largest {max(skews):.1f} ms of {seconds(skews)}")


def tell(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


def seconds(values: list[float]) -> str:
    """Write a list of figures."""
    return ", ".join(f"{value:.1f}" for value in values)


def a_run(namespace: str, options: list[str]) -> tuple[dict[str, Any], float]:
    """Run a load test; returns its workflow and how long submit.py took."""
    began = time.monotonic()
    ended = subprocess.run(
        [*SUBMIT, "--namespace", namespace, *options], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    took_s = time.monotonic() - began
    found = re.search(r"^run\s+(\S+)", ended.stderr, re.MULTILINE)
    if ended.returncode not in {0, 1, 3} or found is None:
        raise RuntimeError(f"submit.py ended with {ended.returncode}: {ended.stderr}")
    command = ["kubectl", "get", "workflow", found[1], "--namespace", namespace, "--output", "json"]
    workflow: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return workflow, took_s


def tell_steps(workflow: dict[str, Any]) -> None:
    """Print when each step's pods began and ended, and how long the controller took to go on."""
    nodes = [node for node in workflow["status"]["nodes"].values() if node["type"] == "Pod"]
    last = moment(workflow["metadata"]["creationTimestamp"])
    for node in sorted(nodes, key=lambda node: node["startedAt"]):
        began, end = moment(node["startedAt"]), moment(node["finishedAt"])
        tell(f"  {node['displayName']:<28} waited {(began - last):5.1f} s, took {(end - began):5.1f} s")
        last = max(last, end) if node["templateName"] != "attack" else end
    tell(f"  {'(the end)':<28} waited {moment(workflow['status']['finishedAt']) - last:5.1f} s")


def moment(text: str) -> float:
    """Read Kubernetes' time."""
    return datetime.fromisoformat(text).timestamp()


def start_skew_ms(workflow: dict[str, Any]) -> float:
    """Read the spread of the shards' real starts from the run's report."""
    name = workflow["metadata"]["name"]
    with tempfile.TemporaryDirectory() as folder:
        command = [*SUBMIT, "report", name, "--json", "--into", folder]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        report = json.loads(ended.stdout)
    return float(report["overall"]["attack"]["start_skew_ns"]) / 1e6


if __name__ == "__main__":
    main()
