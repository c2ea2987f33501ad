"""Reading a load test: a YAML file, options over it, and every fault in words."""

import difflib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from attacker.exits import InvalidLoadTestError
from attacker.targets import Target
from workflows.loadtest import LoadTest

__all__ = ["parse_loadtest", "read_yaml"]


_REMEDIES = {
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "int_type": "give a whole number",
    "greater_than_equal": "give {ge} or more",
    "less_than_equal": "give {le} or less",
    "string_type": "give a text",
    "tuple_type": "give a list",
}
"""What to do about what pydantic finds by itself."""


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake, not a choice of the last one."""


def _mapping_without_doubles(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            mark = node.value[index][0].start_mark
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_doubles)


def read_yaml(file: Path) -> dict[str, object]:
    """Read the fields that a YAML file gives.

    Raises:
        InvalidLoadTestError: it cannot be read, is no YAML, or holds no mapping.
    """
    try:
        fields = yaml.load(file.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidLoadTestError(f"{file}: {reason}: give a YAML file with the fields of a load test") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise InvalidLoadTestError(f"{file}: {where}: {error.problem}: mend the YAML") from error
    except yaml.YAMLError as error:
        raise InvalidLoadTestError(f"{file}: {str(error).splitlines()[0]}: mend the YAML") from error
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise InvalidLoadTestError(f"{file}: it holds a {type(fields).__name__}: give fields, such as 'rate: 60'")
    return {str(key): value for key, value in fields.items()}


def parse_loadtest(*layers: Mapping[str, object]) -> LoadTest:
    """Make a load test of fields, a later layer beating an earlier one.

    Raises:
        InvalidLoadTestError: all faults, a line each, with field, value and remedy.
    """
    fields = {key: value for layer in layers for key, value in layer.items()}
    try:
        return LoadTest.model_validate(fields)
    except ValidationError as error:
        faults = dict.fromkeys(_fault(dict(one)) for one in error.errors(include_url=False))
        raise InvalidLoadTestError("\n".join(faults)) from error


def _fault(error: Mapping[str, Any]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).removeprefix(".")
    remedy = _REMEDIES.get(error["type"])
    message = remedy.format(**error.get("ctx", {})) if remedy else error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{path} is {_shown(error['input'])}: there is no such field: {_known_fields(path)}"
    if error["type"] == "missing":
        return f"{path} is missing: give it"
    if not path or (isinstance(error["loc"][-1], int) and error["type"] == "value_error"):
        return f"{path}: {message}".removeprefix(": ")
    if isinstance(error["input"], list | tuple | dict) and error["input"] and error["type"] == "value_error":
        return f"{path}: {message}"
    return f"{path} is {_shown(error['input'])}: {message[:1].lower()}{message[1:]}"


def _known_fields(path: str) -> str:
    head, _, tail = path.rpartition(".")
    fields = [field.alias or name for name, field in (Target if head else LoadTest).model_fields.items()]
    near = difflib.get_close_matches(tail or path, fields, n=1)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(fields)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "…"
