"""The manifests of a load test, as files for GitOps and as the cluster takes them."""

import json
from typing import Any

import yaml

from workflows.loadtest import LoadTest
from workflows.parameters import values_of
from workflows.pipeline import TARGETS_NAME, manifest_of, workflow_template

__all__ = ["render_yaml", "targets_manifest", "template_manifest"]


class _Dumper(yaml.SafeDumper):
    """YAML that people read: text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # These end a line, too, and would be read as a line feed or a space; between double quotes they are escaped.
    others = not {"\x85", "\u2028", "\u2029"}.isdisjoint(text)
    style = '"' if others else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def template_manifest(loadtest: LoadTest, *, namespace: str) -> dict[str, Any]:
    """Give the WorkflowTemplate as the cluster takes it."""
    return manifest_of(workflow_template(loadtest, namespace=namespace))


def targets_manifest(loadtest: LoadTest, *, namespace: str) -> dict[str, Any]:
    """Give the ConfigMap that the template takes targets from, with this load test's."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": TARGETS_NAME,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": TARGETS_NAME,
                "app.kubernetes.io/part-of": "load-test",
                # Argo reads parameters from ConfigMaps with this label only.
                "workflows.argoproj.io/configmap-type": "Parameter",
            },
        },
        "data": {"targets": _dump(json.loads(values_of(loadtest)["targets"]))},
    }


def render_yaml(*manifests: dict[str, Any]) -> str:
    """Write manifests; the same ones always give the same text."""
    return "---\n".join(map(_dump, manifests))


def _dump(manifest: object) -> str:
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
