"""The template that is on a cluster already, and what of it outlives a newer one: the defaults that somebody chose."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

from workflows.parameters import fields_of_values
from workflows.pipeline import TARGETS_NAME
from workflows.steps.cluster import Cluster, asking

__all__ = ["defaults_of", "read_targets", "renewed"]

Manifest = Mapping[str, Any]

_OF_THE_PODS = "attacker_image"
"""The image whose Python the template calls: a template that changes needs its own."""


def defaults_of(template: Manifest) -> dict[str, str]:
    """Give the parameters of a template that have a value."""
    return {one["name"]: one["value"] for one in _parameters(template) if one.get("value")}


def read_targets(cluster: Cluster | None) -> dict[str, object]:
    """Read the targets of runs that are given none, as a field of a load test.

    Args:
        cluster: where their ConfigMap is; None where only its Argo Server can be asked.

    Returns:
        Nothing where there is no such ConfigMap: a run says so itself.

    Raises:
        RunBrokenError: the cluster refuses, or does not answer.
    """
    from kubernetes.client.exceptions import NotFoundException  # noqa: PLC0415

    if cluster is None:
        return {}
    with asking(f"ConfigMap {TARGETS_NAME} in namespace {cluster.namespace}"):
        try:
            found = cluster.core.read_namespaced_config_map(TARGETS_NAME, cluster.namespace)
        except NotFoundException:
            return {}
    return fields_of_values({"targets": text} if (text := (found.data or {}).get("targets")) else {})


def renewed(found: Manifest | None, made: Manifest, *, fresh: Collection[str]) -> dict[str, Any]:
    """Put a newer template in the place of the one that is there, but leave the defaults that it has.

    Args:
        found: what is there, if anything.
        made: the newer one.
        fresh: the parameters whose newer default counts all the same.

    Returns:
        The newer one, with those defaults of the older one that still can be.
    """
    template = copy.deepcopy(dict(made))
    if found is None:
        return template
    newer = {*fresh} if _structure(found) == _structure(made) else {*fresh, _OF_THE_PODS}
    kept = {name: value for name, value in defaults_of(found).items() if name not in newer}
    for parameter in _parameters(template):
        value = kept.get(parameter["name"])
        if value is not None and "value" in parameter and value in parameter.get("enum", [value]):
            parameter["value"] = value
    return template


def _structure(template: Manifest) -> object:
    """Give all of a template but the values of its parameters."""
    parameters = [{**one, "value": None} for one in _parameters(template)]
    return {**template["spec"], "arguments": parameters}


def _parameters(template: Manifest) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = (template["spec"].get("arguments") or {}).get("parameters") or []
    return parameters
