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
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

REPOSITORY = Path(__file__).resolve().parents[2]
SUBMIT = [sys.executable, "workflows/submit.py"]
API = "http://loadtest-api.{namespace}.svc:5000"
FIDELITY = ("--target", "GET /health", "--rate", "200", "--duration", "20s")
PLAIN, PLAIN_S = "plain-vegeta", 60
"""Long enough that all of a run's attack falls into it."""

ROWS = ["timestamp_ns", "latency_ns"]

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
    """Tell p99 at 200/s from an attack pod beside plain vegeta's, in a pod of the same size and at the same time.

    One after the other, the same attack twice differs by half: the slowest requests are those that met something else
    on the node.
    """
    with a_kept_api(asked) as (url, attacker):
        pairs = [a_pair(asked, url, attacker) for _ in range(asked.rounds)]
    ratios = [p99(ours) / p99(plain) for ours, plain in pairs]
    ours, plain = (pl.concat(side) for side in zip(*pairs, strict=True))
    tell(
        f"p99 of the attack pod over plain vegeta's: median {statistics.median(ratios):.3f} of {listed(ratios)}; "
        f"of all {len(ours)} requests together {p99(ours) / p99(plain):.3f}"
    )


def a_pair(asked: Asked, url: str, attacker: Object) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Let a run attack while plain vegeta does; gives the rows of both from the run's first request to its last."""
    with plain_vegeta(asked, url, attacker):
        workflow, _ = a_run(asked, "--api-url", url, *FIDELITY)
        plain = rows_of_plain_vegeta(asked)
    ours = rows_of(workflow)
    began_ns, ended_ns = ours["timestamp_ns"].min(), ours["timestamp_ns"].max()
    is_meanwhile = plain["timestamp_ns"].is_between(began_ns, ended_ns)
    if is_meanwhile[0] or is_meanwhile[-1]:
        raise RuntimeError(f"plain vegeta did not attack all the time that {workflow['metadata']['name']} did")
    plain = plain.filter(is_meanwhile)
    tell(f"  p99 at 200/s: attack pod {p99(ours) / 1e6:.2f} ms, vegeta {p99(plain) / 1e6:.2f} ms")
    return ours, plain


def p99(rows: pl.DataFrame) -> float:
    """Give the 99th percentile of latency, in nanoseconds, by nearest rank, as a report does."""
    return float(np.percentile(rows["latency_ns"].to_numpy(), 99, method="inverted_cdf"))


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


@contextmanager
def plain_vegeta(asked: Asked, url: str, attacker: Object) -> Iterator[None]:
    """Have nothing but vegeta attack, in a pod like the attack pod, which logs each request's moment and latency.

    Its rate is a little less: were both the same, one of the two would come just after the other all the time.
    """
    main = next(one for one in attacker["spec"]["containers"] if one["name"] == "main")
    attack = f"echo 'GET {url}/health' | vegeta -cpus=1 attack -rate=199 -duration={PLAIN_S}s > /tmp/results.gob"
    rows = "vegeta encode -to=csv /tmp/results.gob | cut -d, -f1,3"
    kept = ("image", "resources", "securityContext")
    container = {
        "name": "main",
        "command": ["sh", "-c", f"{attack} && {rows}"],
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
        yield
    finally:
        kubectl("delete", "pod", PLAIN, f"--namespace={asked.namespace}", "--grace-period=1")


def rows_of_plain_vegeta(asked: Asked) -> pl.DataFrame:
    """Wait until plain vegeta has ended; gives what it measured."""
    done = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", f"pod/{PLAIN}", f"--namespace={asked.namespace}", done, f"--timeout={2 * PLAIN_S}s")
    log = kubectl("logs", PLAIN, f"--namespace={asked.namespace}")
    return pl.read_csv(StringIO(log), has_header=False, new_columns=ROWS)


def rows_of(workflow: Object) -> pl.DataFrame:
    """Fetch what a run's only attack pod measured."""
    with tempfile.TemporaryDirectory() as folder:
        submit("report", workflow["metadata"]["name"], "--into", folder)
        [file] = Path(folder).rglob("results.parquet")
        return pl.read_parquet(file, columns=ROWS)


def a_run(asked: Asked, *options: str) -> tuple[Object, float]:
    """Run a load test; returns its workflow and how long submit.py took."""
    began = time.monotonic()
    ended = submit("--namespace", asked.namespace, *asked.options, *options)
    took_s = time.monotonic() - began
    found = re.search(r"^run\s+(\S+)", ended.stderr, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"submit.py did not tell its run: {ended.stderr}")
    name = found[1]
    workflow: Object = json.loads(kubectl("get", "workflow", name, f"--namespace={asked.namespace}", "-o", "json"))
    return workflow, took_s


def report_of(workflow: Object) -> Object:
    """Read a run's report."""
    report: Object = json.loads(submit("report", workflow["metadata"]["name"], "--json").stdout)
    return report


def submit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call submit.py; a verdict other than PASS is none of this benchmark's."""
    ended = subprocess.run([*SUBMIT, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if ended.returncode not in {0, 1, 3}:
        raise RuntimeError(f"submit.py ended with {ended.returncode}: {ended.stderr}")
    return ended


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
