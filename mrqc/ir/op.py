"""Operations as values, and the schema that their annotations are.

An op is one frozen dataclass. A field annotated ``Value`` (or ``Value | None``, or ``tuple[Value, ...]``) is an
operand, a field annotated ``Element`` describes the elements of the result, anything else is an attribute. Printer,
parser, verifier, rewriter and documentation all read the schema from here.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar, Self

from mrqc.ir.types import Element, TensorType


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A name in the flat list of statements, and the type of what it holds."""

    name: str
    type: TensorType

    def __str__(self) -> str:
        """Return the name as the text has it."""
        return f"%{self.name}"


class FieldKind(Enum):
    """What a field of an op is to the rest of the compiler."""

    OPERAND = auto()
    OPTIONAL_OPERAND = auto()
    VARIADIC_OPERAND = auto()
    ELEMENT = auto()
    ATTRIBUTE = auto()


# The text tells operands apart by position only.
_OPERAND_ORDER = (FieldKind.OPERAND, FieldKind.OPTIONAL_OPERAND, FieldKind.VARIADIC_OPERAND)


@dataclasses.dataclass(frozen=True, slots=True)
class OpField:
    """One field of an op's schema.

    Attributes:
        name: The dataclass field.
        kind: Operand, result element or attribute.
        annotation: The resolved type annotation.
        default: The default, or ``dataclasses.MISSING``.
    """

    name: str
    kind: FieldKind
    annotation: Any
    default: Any

    @property
    def is_operand(self) -> bool:
        """Whether the field holds values."""
        return self.kind not in (FieldKind.ELEMENT, FieldKind.ATTRIBUTE)


class Op(ABC):
    """What a statement computes: a frozen dataclass, compared and hashed by content."""

    mnemonic: ClassVar[str]
    """Dialect and name as the text has it, like ``nn.conv2d``."""

    @abstractmethod
    def infer(self) -> tuple[TensorType, ...]:
        """Return the types of the results; called only on an op without :meth:`problems`."""

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each rule of the op that its operands or attributes break."""
        return iter(())

    @property
    def operands(self) -> tuple[Value, ...]:
        """All operands in order, absent optional ones left out."""
        found: list[Value] = []
        for field in operand_fields(type(self)):
            content = getattr(self, field.name)
            if field.kind is FieldKind.VARIADIC_OPERAND:
                found.extend(content)
            elif content is not None:
                found.append(content)
        return tuple(found)

    def map_operands(self, replace: Callable[[Value], Value]) -> Self:
        """Return this op with ``replace`` applied to each operand."""
        changes: dict[str, Any] = {}
        for field in operand_fields(type(self)):
            content = getattr(self, field.name)
            if field.kind is FieldKind.VARIADIC_OPERAND:
                changes[field.name] = tuple(replace(value) for value in content)
            elif content is not None:
                changes[field.name] = replace(content)
        if all(changes[name] == getattr(self, name) for name in changes):
            return self
        return typing.cast(Self, dataclasses.replace(typing.cast(Any, self), **changes))


@cache
def op_schema(op: type[Op]) -> tuple[OpField, ...]:
    """Return the fields of an op class, in order.

    Raises:
        TypeError: The class is not a frozen dataclass, or its operands are not in the order
            required, optional, variadic, with at most one variadic field.
    """
    schema = tuple(
        OpField(field.name, _kind(annotation), annotation, _default(field)) for field, annotation in resolved_fields(op)
    )
    kinds = [field.kind for field in schema if field.is_operand]
    if kinds != sorted(kinds, key=_OPERAND_ORDER.index) or kinds.count(FieldKind.VARIADIC_OPERAND) > 1:
        raise TypeError(f"operands of {op.__name__} must be required, optional, variadic, in this order")
    return schema


@cache
def operand_fields(op: type[Op]) -> tuple[OpField, ...]:
    """Return the fields of an op class that hold values, in order."""
    return tuple(field for field in op_schema(op) if field.is_operand)


@cache
def resolved_fields(cls: type[Any]) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """Return the fields of a frozen dataclass, each with its resolved annotation."""
    if not (dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        raise TypeError(f"{cls.__name__} must be a frozen dataclass")
    hints = typing.get_type_hints(cls)
    return tuple((field, hints[field.name]) for field in dataclasses.fields(cls))


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default


def _kind(annotation: Any) -> FieldKind:
    if annotation is Value:
        return FieldKind.OPERAND
    if annotation is Element:
        return FieldKind.ELEMENT
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType) and Value in arguments:
        return FieldKind.OPTIONAL_OPERAND
    if typing.get_origin(annotation) is tuple and Value in arguments:
        return FieldKind.VARIADIC_OPERAND
    return FieldKind.ATTRIBUTE
