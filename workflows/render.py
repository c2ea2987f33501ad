"""The manifests of a load test, as files for GitOps and as the cluster takes them."""

from typing import Any

import yaml

from workflows.loadtest import LoadTest
from workflows.pipeline import manifest_of, workflow_template

__all__ = ["render_yaml", "template_manifest"]


class _Dumper(yaml.SafeDumper):
    """YAML that people read: text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def template_manifest(loadtest: LoadTest, *, namespace: str) -> dict[str, Any]:
    """Give the WorkflowTemplate as the cluster takes it."""
    return manifest_of(workflow_template(loadtest, namespace=namespace))


def render_yaml(manifest: dict[str, Any]) -> str:
    """Write a manifest; the same one always gives the same text."""
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
