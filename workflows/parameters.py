"""Workflow parameters, made of the fields of the load test: no field is listed twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_origin

import yaml
from pydantic.fields import FieldInfo

from workflows.loadtest import LoadTest

__all__ = ["WorkflowParameter", "fields_of", "fields_of_values", "values_of", "workflow_parameters"]

_TARGETS = "targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowParameter:
    """One line of the form that the Argo UI shows."""

    name: str
    default: str | None
    """None where the value comes from the ConfigMap of targets unless somebody types one."""
    description: str
    choices: tuple[str, ...] | None


def workflow_parameters(loadtest: LoadTest) -> tuple[WorkflowParameter, ...]:
    """List every field as a parameter whose default is this load test's value."""
    values = values_of(loadtest)
    return tuple(
        WorkflowParameter(
            name=name,
            default=None if name == _TARGETS else values[name],
            description=_description(name, field),
            choices=_choices(field),
        )
        for name, field in LoadTest.model_fields.items()
    )


def values_of(loadtest: LoadTest) -> dict[str, str]:
    """Write every field as text, as a form holds it; an absent value is empty."""
    dumped: dict[str, Any] = loadtest.model_dump(mode="json", by_alias=True)
    dumped[_TARGETS] = [
        target.model_dump(mode="json", by_alias=True, exclude_defaults=True) for target in loadtest.targets
    ]
    if loadtest.bucket is None:
        dumped["results"] = None  # a folder means nothing to a pod
    return {name: _text(name, value) for name, value in dumped.items()}


def fields_of(parameters: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Read the fields of a load test from a workflow's parameters, a list of name and value as Argo gives them."""
    return fields_of_values({str(one["name"]): one["value"] for one in parameters if "value" in one})


def fields_of_values(values: Mapping[str, object]) -> dict[str, object]:
    """Read the fields of a load test from the values of parameters; those of no field are left out."""
    fields: dict[str, object] = {name: values[name] for name in LoadTest.model_fields if name in values}
    if isinstance(text := fields.get(_TARGETS), str):
        fields[_TARGETS] = _structured(text)
    if not fields.get("results"):
        fields.pop("results", None)
    return fields


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if name != _TARGETS and isinstance(value, list):
        return "\n".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _structured(text: str) -> object:
    """Take JSON and YAML for what they hold, and lines of short targets for text."""
    try:
        found = json.loads(text)  # first: to YAML, 1e+22 is a text, and U+0085 the end of a line
    except ValueError:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return found if isinstance(found, list | dict) else text


def _choices(field: FieldInfo) -> tuple[str, ...] | None:
    if field.annotation is bool:
        return ("false", "true")
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        return tuple(str(one.value) for one in field.annotation)
    return None


def _description(name: str, field: FieldInfo) -> str:
    if name == _TARGETS:
        return f"{field.description} Left empty, the ConfigMap loadtest-targets has them."
    if name == "results":
        return f"{field.description} Left empty, the cluster's own bucket."
    lines = " One a line." if get_origin(field.annotation) is tuple else ""
    return f"{field.description}{lines}"
