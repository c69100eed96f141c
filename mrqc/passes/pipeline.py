"""Pipelines as text: ``requantize{io=original},lower-to-int``."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from mrqc.errors import UsageError
from mrqc.ir.op import resolved_fields
from mrqc.passes.definition import Pass
from mrqc.targets import Target

_ITEM = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(?:\{([^{}]*)\})?\s*(,|$)")
_OPTION = re.compile(r"([A-Za-z0-9_-]+)=(\S+)")


def parse_passes(text: str, known: Sequence[type[Pass]], target: Target | None) -> tuple[Pass, ...]:
    """Return the passes that ``text`` lists, with their options.

    Args:
        text: Comma-separated passes, each with its options in braces: ``name{option=value option=value}``.
        known: The passes that there are.
        target: Filled into the passes that need one.

    Raises:
        UsageError: Unknown pass or option, a value that does not parse, or a pass that needs a target without one.
    """
    by_name = {pass_.name: pass_ for pass_ in known}
    return tuple(_build(by_name, name, options, target) for name, options in _items(text))


def format_pass(pass_: Pass) -> str:
    """Return a pass as a pipeline spells it; options at their defaults are left out."""
    options = [
        f"{field.name.replace('_', '-')}={_spell(getattr(pass_, field.name))}"
        for field, annotation in resolved_fields(type(pass_))
        if annotation is not Target and getattr(pass_, field.name) != field.default
    ]
    return pass_.name + (f"{{{' '.join(options)}}}" if options else "")


def describe_options(pass_: type[Pass]) -> list[tuple[str, str, str]]:
    """Return name, possible values and default of each option of a pass."""
    return [
        (field.name.replace("_", "-"), _choices(annotation), _spell(field.default))
        for field, annotation in resolved_fields(pass_)
        if annotation is not Target
    ]


def _items(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _ITEM.match(text, position)
        if match is None:
            raise UsageError(
                f"--passes: cannot read {text[position:]!r}; the form is name,name{{option=value option=value}},…"
            )
        yield match[1], match[2] or ""
        position = match.end()
    if not text.strip():
        raise UsageError("--passes: the pipeline is empty")


def _build(by_name: dict[str, type[Pass]], name: str, options: str, target: Target | None) -> Pass:
    pass_ = by_name.get(name)
    if pass_ is None:
        near = difflib.get_close_matches(name, by_name, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(by_name)}"
        raise UsageError(f"--passes: no pass is called {name!r} ({hint})")
    fields = {field.name: annotation for field, annotation in resolved_fields(pass_)}
    arguments: dict[str, Any] = {}
    for field_name, annotation in fields.items():
        if annotation is Target:
            if target is None:
                raise UsageError(f"--passes: {name} needs a target (give --target)")
            arguments[field_name] = target
    for item in options.split():
        match = _OPTION.fullmatch(item)
        key = match[1].replace("-", "_") if match else item
        if match is None or key not in fields or fields[key] is Target:
            there_are = ", ".join(option for option, _, _ in describe_options(pass_)) or "none"
            raise UsageError(f"--passes: {name} has no option {item!r} (options: {there_are})")
        arguments[key] = _read(name, match[1], match[2], fields[key])
    return pass_(**arguments)


def _read(pass_name: str, option: str, text: str, annotation: Any) -> Any:
    if typing.get_origin(annotation) is typing.Literal:
        if text in typing.get_args(annotation):
            return text
    elif annotation is bool:
        if text in ("true", "false"):
            return text == "true"
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        if text in {str(member.value) for member in annotation}:
            return annotation(text)
    else:
        try:
            return annotation(text)
        except ValueError:
            pass
    raise UsageError(f"--passes: {pass_name}: {option} must be {_choices(annotation)}, found {text!r}")


def _choices(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(str(choice) for choice in typing.get_args(annotation))
    if annotation is bool:
        return "true|false"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "|".join(str(member.value) for member in annotation)
    return "an integer" if annotation is int else "a number"


def _spell(value: Any) -> str:
    if value is dataclasses.MISSING:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
