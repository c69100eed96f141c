"""How the fields of an op class appear in the text, derived from its schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mrqc.ir.op import FieldKind, Op, OpField, op_schema


@dataclass(frozen=True, slots=True)
class OpForm:
    """Where each field of an op class stands.

    Attributes:
        singles: Operands of one value each, in order; the optional ones may be ``none``.
        required: How many operands must be there.
        variadic: The field that takes all further operands, if there is one.
        elements: Fields that the result types carry: the first that of the first result, and so on.
        attributes: The fields inside the braces, by name and in order.
        mandatory: The attributes without a default.
    """

    singles: tuple[OpField, ...]
    required: int
    variadic: OpField | None
    elements: tuple[str, ...]
    attributes: Mapping[str, OpField]
    mandatory: tuple[str, ...]


@cache
def op_form(op: type[Op]) -> OpForm:
    """Return the form of an op class."""
    schema = op_schema(op)
    singles = [field for field in schema if field.kind in (FieldKind.OPERAND, FieldKind.OPTIONAL_OPERAND)]
    variadic = [field for field in schema if field.kind is FieldKind.VARIADIC_OPERAND]
    attributes = [field for field in schema if field.kind is FieldKind.ATTRIBUTE]
    return OpForm(
        tuple(singles),
        sum(field.kind is FieldKind.OPERAND for field in singles),
        variadic[0] if variadic else None,
        tuple(field.name for field in schema if field.kind is FieldKind.ELEMENT),
        {field.name: field for field in attributes},
        tuple(field.name for field in attributes if field.default is dataclasses.MISSING),
    )
