"""Command-line options, made of the fields of the load test: no field is listed twice."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_origin

import typer
from pydantic.fields import FieldInfo

from workflows.loadtest import LoadTest

__all__ = ["given_fields", "option_name", "with_loadtest_options"]


def option_name(field: str) -> str:
    """Name a field's option: with dashes, and in the singular where it can be repeated."""
    name = field.replace("_", "-")
    return f"--{name.removesuffix('s') if _is_repeated(LoadTest.model_fields[field]) else name}"


def with_loadtest_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each field of the load test to a command, which takes them as `**options`."""
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [_parameter(name, field) for name, field in LoadTest.model_fields.items()]
    command.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in [*own, *options]} | {"return": None}
    return command


def given_fields(options: Mapping[str, object]) -> dict[str, object]:
    """Keep the fields whose option was given."""
    return {name: value for name, value in options.items() if value is not None and value != []}


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    if field.annotation is bool:
        kind: Any = bool | None
        flag = option_name(name)
        declared = typer.Option(
            f"{flag}/--no-{flag[2:]}", help=_help(field), show_default=False, rich_help_panel="Load test"
        )
    else:
        kind = list[str] | None if _is_repeated(field) else str | None
        declared = typer.Option(
            option_name(name),
            help=_help(field),
            show_default=False,
            metavar=_metavar(name),
            rich_help_panel="Load test",
        )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, declared])


def _is_repeated(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _metavar(name: str) -> str:
    named = {"results": "PLACE", "objectives": "TEXT", "targets": "'METHOD /PATH'", "max_body": "SIZE"}
    files = dict.fromkeys(("root_certs", "cert", "key"), "FILE")
    return {**named, **files}.get(name, name.rpartition("_")[2].upper())


def _help(field: FieldInfo) -> str:
    default = field.default
    if default is None or _is_repeated(field):
        return str(field.description)
    shown = {True: "yes", False: "no"}[default] if isinstance(default, bool) else default
    return f"{field.description} \\[default: {shown}]"  # typer shows help as rich's markup
