"""The Argo engine: publish the template, submit a run, list runs, stop one."""

from collections.abc import Mapping
from dataclasses import dataclass

from attacker.exits import InvalidLoadTestError
from workflows.engines.argo_api import ArgoApi, Kind, Manifest
from workflows.engines.argo_run import verdict_of
from workflows.pipeline import TEMPLATE_NAME

__all__ = ["KnownRun", "publish", "read_run", "runs", "stop", "submit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """A run that the cluster still knows."""

    run: str
    phase: str
    created: str
    verdict: str


def publish(api: ArgoApi, kind: Kind, manifest: Manifest) -> bool:
    """Create or update a template or schedule where it is not there as it should be.

    Returns:
        True where it was not.
    """
    name = manifest["metadata"]["name"]
    found = api.read(kind, name)
    if found is None:
        api.create(kind, manifest)
        return True
    if found["spec"] == manifest["spec"]:
        return False
    metadata = {**manifest["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
    api.replace(kind, name, {**manifest, "metadata": metadata})
    return True


def submit(api: ArgoApi, values: Mapping[str, str]) -> str:
    """Start a run of the template with these parameters; returns its name."""
    made = api.create(
        "workflows",
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{TEMPLATE_NAME}-", "namespace": api.namespace},
            "spec": {
                "workflowTemplateRef": {"name": TEMPLATE_NAME},
                "arguments": {"parameters": [{"name": name, "value": value} for name, value in values.items()]},
            },
        },
    )
    return str(made["metadata"]["name"])


def stop(api: ArgoApi, run: str) -> bool:
    """Stop a run: its exit handler reports and tears down.

    Returns:
        True where it had not begun: then there is nothing to wait for, and it is deleted.
    """
    if not read_run(api, run).get("status", {}).get("startedAt"):
        api.delete(run)  # while it waits for another's lock, Argo does not obey
        return True
    api.stop(run)
    return False


def runs(api: ArgoApi) -> tuple[KnownRun, ...]:
    """List the template's runs, the newest first."""
    known = [
        KnownRun(
            run=one["metadata"]["name"],
            phase=one.get("status", {}).get("phase") or "Pending",
            created=one["metadata"]["creationTimestamp"],
            verdict=verdict_of(one),
        )
        for one in api.workflows(f"app.kubernetes.io/name={TEMPLATE_NAME}")
    ]
    return tuple(sorted(known, key=lambda one: one.created, reverse=True))


def read_run(api: ArgoApi, run: str) -> Manifest:
    """Read a run as Argo has it.

    Raises:
        InvalidLoadTestError: there is none of this name.
    """
    found = api.read("workflows", run)
    if found is None:
        raise InvalidLoadTestError(f"there is no run {run!r}: name one that 'submit.py list' shows")
    return found
