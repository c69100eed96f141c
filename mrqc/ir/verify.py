"""Is a module well formed? Every finding at once."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache
from typing import Any

from mrqc.errors import Diagnostic
from mrqc.ir.data import Data
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import FieldKind, Op, Value, op_schema, resolved_fields

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def verify(module: Module) -> list[Diagnostic]:
    """Return everything that is wrong with ``module``; an empty list means that it is well formed.

    Checked: names are unique, values are defined before use and used at the type they were defined with,
    attributes have the types that the op declares, each op's own rules hold, and result types are the
    inferred ones.
    """
    found: list[Diagnostic] = []
    if not _IDENTIFIER.fullmatch(module.name):
        found.append(Diagnostic(f"the module's name must be a C identifier, found {module.name!r}"))
    defined: dict[str, Value] = {}
    for value in module.graph.inputs:
        found += [Diagnostic(f"input {value}: {problem}") for problem in value.type.problems()]
        found += [Diagnostic(problem, "input") for problem in _define(value, defined)]
    for statement in module.graph.statements:
        problems = list(_statement_problems(statement, defined))
        for result in statement.results:
            problems += _define(result, defined)
        if problems:
            where = _where(statement)
            found += [Diagnostic(problem, where) for problem in problems]
    if not module.graph.outputs:
        found.append(Diagnostic("a module needs at least one output"))
    for output in module.graph.outputs:
        found += [Diagnostic(problem, f"output {output.name!r}") for problem in _use(output.value, defined)]
    names = [output.name for output in module.graph.outputs]
    found += [Diagnostic(f"output name {name!r} is used twice") for name in set(names) if names.count(name) > 1]
    return [*found, *_state_problems(module)]


def _state_problems(module: Module) -> Iterator[Diagnostic]:
    """Yield the states that are no pair of an input and an output of one type, or share one with another state."""
    inputs = {value.name: value for value in module.graph.inputs}
    outputs = {output.name: output.value for output in module.graph.outputs}
    for state in module.states:
        where = f"state {state.input!r}"
        value, following = inputs.get(state.input), outputs.get(state.output)
        if value is None:
            yield Diagnostic("there is no such input", where)
        if following is None:
            yield Diagnostic(f"there is no output {state.output!r} that it could take over", where)
        if value is not None and following is not None and value.type != following.type:
            yield Diagnostic(f"output {state.output!r}, which it takes over, has another type", where)
        quantization = None if value is None else value.type.quantization
        if quantization is not None and not quantization.is_per_tensor:
            yield Diagnostic("its elements have several scales, so that no code is the one that it starts with", where)
        if not math.isfinite(state.initial):
            yield Diagnostic(f"it starts at {state.initial}, which is no finite number", where)
    for what, names in (("input", [s.input for s in module.states]), ("output", [s.output for s in module.states])):
        twice = sorted({name for name in names if names.count(name) > 1})
        yield from (Diagnostic(f"{what} {name!r} belongs to two states") for name in twice)


def _where(statement: Statement) -> str:
    names = ", ".join(str(result) for result in statement.results)
    return f"{names} = {statement.op.mnemonic}" + (f" from {statement.location}" if statement.location.sources else "")


def _define(value: Value, defined: dict[str, Value]) -> Iterator[str]:
    if value.name in defined:
        yield f"{value} is defined twice"
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
    for name, annotation, is_conforming in _attribute_tests(type(op)):
        content = getattr(op, name)
        if not is_conforming(content):
            yield f"attribute {name} = {content!r} is not of type {annotation}"


@cache
def _attribute_tests(op: type[Op]) -> list[tuple[str, Any, Callable[[Any], bool]]]:
    fields = [field for field in op_schema(op) if field.kind is FieldKind.ATTRIBUTE]
    return [(field.name, field.annotation, _conformance(field.annotation)) for field in fields]


def conforms(content: Any, annotation: Any) -> bool:
    """Return whether an attribute's content has exactly the annotated type, records field by field."""
    return _conformance(annotation)(content)


@cache
def _conformance(annotation: Any) -> Callable[[Any], bool]:
    """Return the test for one annotation: built once, since a module asks it of every attribute."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        alternatives = [_conformance(argument) for argument in arguments]
        return lambda content: any(alternative(content) for alternative in alternatives)
    if origin is tuple:
        return _tuple_conformance(arguments)
    if annotation is Data or issubclass(annotation, Enum):
        return lambda content: isinstance(content, annotation)
    if dataclasses.is_dataclass(annotation):
        fields = [(field.name, _conformance(hint)) for field, hint in resolved_fields(annotation)]
        return lambda content: (
            type(content) is annotation and all(test(getattr(content, name)) for name, test in fields)
        )
    return lambda content: type(content) is annotation


def _tuple_conformance(arguments: tuple[Any, ...]) -> Callable[[Any], bool]:
    # Comparing the types of the whole tuple first spares a call for each of thousands of multipliers.
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        plain, each = {arguments[0]}, _conformance(arguments[0])

        def is_sequence(content: Any) -> bool:
            return type(content) is tuple and (set(_types(content)) == plain or all(map(each, _items(content))))

        return is_sequence
    tests = [_conformance(argument) for argument in arguments]

    def is_record(content: Any) -> bool:
        if type(content) is not tuple or len(_items(content)) != len(tests):
            return False
        return _types(content) == arguments or all(
            test(item) for test, item in zip(tests, _items(content), strict=True)
        )

    return is_record


def _items(content: Any) -> tuple[Any, ...]:
    return content


def _types(content: Any) -> tuple[type[Any], ...]:
    return tuple(map(type, content))
