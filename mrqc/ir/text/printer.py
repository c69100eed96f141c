"""From a module to its text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, cast

from mrqc.ir.data import Data
from mrqc.ir.graph import Module, Statement
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value, resolved_fields
from mrqc.ir.text.constants import LONGEST_DENSE, blob_lines, dense_text
from mrqc.ir.text.forms import op_form
from mrqc.ir.text.literals import enum_text, float_text, key_text, quote, value_text
from mrqc.ir.text.types import join, type_text
from mrqc.ir.types import Element, TensorType

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def print_module(module: Module, elide_constants: bool = False, *, locations: bool = True) -> str:
    """Return the text of ``module``, from which :func:`parse_module` makes an equal one.

    Args:
        module: A well-formed module; another one is printed as well as it can be, for inspection.
        elide_constants: Leave out the content of long constants and the tail of long lists; for reading only.
        locations: Print where each statement came from; without, it is read back as ``file:line``.
    """
    return "".join(f"{line}\n" for line in _Printer(elide_constants, locations).lines(module))


class _Printer:
    def __init__(self, elide: bool, locations: bool) -> None:
        self._elide = elide
        self._locations = locations
        self._blobs: dict[str, Data] = {}
        self._types: dict[TensorType, str] = {}

    def lines(self, module: Module) -> Iterator[str]:
        name = module.name if _IDENTIFIER.fullmatch(module.name) else quote(module.name)
        facts = _record(f"{key_text(key)} = {quote(fact)}" for key, fact in module.metadata)
        yield f"module @{name}{facts} {{"
        inputs = (f"{value_text(value.name)} : {self._type(value.type)}" for value in module.graph.inputs)
        yield f"  inputs ({', '.join(inputs)})"
        if module.states:
            states = (
                f"{value_text(state.input)} = {float_text(state.initial)} then {quote(state.output)}"
                for state in module.states
            )
            yield f"  states ({', '.join(states)})"
        for statement in module.graph.statements:
            yield f"  {self._statement(statement)}"
        outputs = (f"{value_text(output.value.name)} as {quote(output.name)}" for output in module.graph.outputs)
        yield f"  return ({', '.join(outputs)})"
        yield "}"
        if self._blobs:
            yield "blobs {"
            for data in self._blobs.values():
                yield from blob_lines(data)
            yield "}"

    def _type(self, type_: TensorType) -> str:
        text = self._types.get(type_)
        if text is None:
            text = self._types[type_] = type_text(type_, self._elide)
        return text

    def _statement(self, statement: Statement) -> str:
        op = statement.op
        results = ", ".join(value_text(result.name) for result in statement.results)
        types = ", ".join(self._type(result.type) for result in statement.results)
        location = f" {_location(statement.location)}" if self._locations else ""
        attributes = self._attributes(op, statement.results[0].type if statement.results else None)
        return f"{results} = {op.mnemonic}({', '.join(_operands(op))}){attributes} : {types}{location}"

    def _attributes(self, op: Op, result: TensorType | None) -> str:
        found: list[str] = []
        for name, field in op_form(type(op)).attributes.items():
            content = getattr(op, name)
            if not self._is_default(content, field.default, result):
                found.append(f"{name} = {self._value(content, result)}")
        return _record(found)

    def _is_default(self, content: Any, default: Any, result: TensorType | None) -> bool:
        # 0.0 and -0.0 are equal, and yet not the same bits: what decides is the text.
        return content is default or (
            default is not dataclasses.MISSING
            and content == default
            and self._value(content, result) == self._value(default, result)
        )

    def _value(self, content: Any, result: TensorType | None) -> str:
        if content is None:
            return "none"
        if isinstance(content, bool):
            return "true" if content else "false"
        if isinstance(content, Enum):
            return enum_text(content)
        if isinstance(content, int):
            return repr(content)
        if isinstance(content, float):
            return float_text(content)
        if isinstance(content, str):
            return quote(content)
        if isinstance(content, Data):
            return self._data(content, result)
        return self._compound(content, result)

    def _compound(self, content: Any, result: TensorType | None) -> str:
        if isinstance(content, tuple):
            items = [self._value(item, result) for item in cast("tuple[Any, ...]", content)]
            return f"[{join(items, self._elide)}]"
        assert dataclasses.is_dataclass(content), f"an attribute of type {type(content).__name__} has no text"
        fields = [(field.name, getattr(content, field.name), field) for field, _ in resolved_fields(type(content))]
        return (
            "{"
            + ", ".join(
                f"{name} = {self._value(item, result)}"
                for name, item, field in fields
                if not self._is_default(item, field.default, result)
            )
            + "}"
        )

    def _data(self, data: Data, result: TensorType | None) -> str:
        plain = TensorType(data.shape, Element(data.dtype))
        fits = result is not None and (result.shape, result.dtype) == (data.shape, data.dtype)
        suffix = "" if fits else f" : {self._type(plain)}"
        if data.array.size <= LONGEST_DENSE:
            return f"{dense_text(data)}{suffix}"
        if self._elide:
            return f"blob<elided>{suffix}"
        self._blobs[data.digest] = data
        return f'blob<"{data.digest}">{suffix}'


def _record(entries: Iterable[str]) -> str:
    content = ", ".join(entries)
    return f" {{{content}}}" if content else ""


def _operands(op: Op) -> list[str]:
    form = op_form(type(op))
    contents: list[Value | None] = [getattr(op, field.name) for field in form.singles]
    if form.variadic:
        contents += getattr(op, form.variadic.name)
    while contents and contents[-1] is None:
        contents.pop()
    return ["none" if value is None else value_text(value.name) for value in contents]


def _location(location: Location) -> str:
    return f"loc({', '.join(map(quote, location.sources))})"
