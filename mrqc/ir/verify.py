"""Is a module well formed? Every finding at once."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from mrqc.errors import Diagnostic
from mrqc.ir.data import Data
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import FieldKind, Op, Value, op_schema, resolved_fields

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def verify(module: Module) -> list[Diagnostic]:
    """Return everything that is wrong with ``module``; an empty list means that it is well formed.

    Checked: names are unique, values are defined before use and used at the type they were defined with, attributes
    have the types that the op declares, each op's own rules hold, and result types are the inferred ones.
    """
    found: list[Diagnostic] = []
    if not _IDENTIFIER.fullmatch(module.name):
        found.append(Diagnostic(f"the module's name must be a C identifier, found {module.name!r}"))
    defined: dict[str, Value] = {}
    for value in module.graph.inputs:
        found += [Diagnostic(f"input {value}: {problem}") for problem in value.type.problems()]
        _define(value, defined, found, "input")
    for statement in module.graph.statements:
        where = _where(statement)
        found += [Diagnostic(problem, where) for problem in _statement_problems(statement, defined)]
        for result in statement.results:
            _define(result, defined, found, where)
    if not module.graph.outputs:
        found.append(Diagnostic("a module needs at least one output"))
    for output in module.graph.outputs:
        found += [Diagnostic(problem, f"output {output.name!r}") for problem in _use(output.value, defined)]
    names = [output.name for output in module.graph.outputs]
    found += [Diagnostic(f"output name {name!r} is used twice") for name in set(names) if names.count(name) > 1]
    return found


def _where(statement: Statement) -> str:
    names = ", ".join(str(result) for result in statement.results)
    return f"{names} = {statement.op.mnemonic}" + (f" from {statement.location}" if statement.location.sources else "")


def _define(value: Value, defined: dict[str, Value], found: list[Diagnostic], where: str) -> None:
    if value.name in defined:
        found.append(Diagnostic(f"{value} is defined twice", where))
    defined[value.name] = value


def _use(value: Value, defined: dict[str, Value]) -> Iterator[str]:
    definition = defined.get(value.name)
    if definition is None:
        yield f"{value} is used before it is defined"
    elif definition.type != value.type:
        yield f"{value} is used at another type than it was defined with"


def _statement_problems(statement: Statement, defined: dict[str, Value]) -> Iterator[str]:
    op = statement.op
    for operand in op.operands:
        yield from _use(operand, defined)
    attributes = list(_attribute_problems(op))
    yield from attributes
    if attributes:
        return
    problems = list(op.problems())
    yield from problems
    if problems:
        return
    inferred = op.infer()
    if len(inferred) != len(statement.results):
        yield f"{op.mnemonic} has {len(inferred)} results, {len(statement.results)} are named"
        return
    for result, type_ in zip(statement.results, inferred, strict=True):
        yield from type_.problems()
        if result.type.shape != type_.shape:
            yield f"{result} has shape {list(type_.shape)}, not {list(result.type.shape)}"
        elif result.type != type_:
            yield f"{result} is not of the element type that the op gives"


def _attribute_problems(op: Op) -> Iterator[str]:
    for field in op_schema(type(op)):
        content = getattr(op, field.name)
        if field.kind is FieldKind.ATTRIBUTE and not conforms(content, field.annotation):
            yield f"attribute {field.name} = {content!r} is not of type {field.annotation}"


def conforms(content: Any, annotation: Any) -> bool:
    """Return whether an attribute's content has exactly the annotated type, records field by field."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(conforms(content, argument) for argument in arguments)
    if origin is tuple:
        if type(content) is not tuple:
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(type(item) is arguments[0] for item in content)
        return len(content) == len(arguments) and all(map(conforms, content, arguments))
    if annotation is type(None):
        return content is None
    if annotation is Data or issubclass(annotation, Enum):
        return isinstance(content, annotation)
    if dataclasses.is_dataclass(annotation):
        return type(content) is annotation and all(
            conforms(getattr(content, field.name), hint) for field, hint in resolved_fields(annotation)
        )
    return type(content) is annotation
