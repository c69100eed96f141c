"""What a rule of the C backend makes of a statement: the call of one kernel, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mrqc.analysis.accumulators import AccumulatorBound
from mrqc.backends.c.binding import Binding
from mrqc.ir import Data, RuleTable, Statement, Value


@dataclass(frozen=True, slots=True)
class Tensor:
    """An argument: the elements of a value."""

    value: Value


@dataclass(frozen=True, slots=True)
class TensorList:
    """An argument: pointers to the elements of several values of one type.

    Attributes:
        name: Of the array of pointers, in the block around the call.
        values: What they point to.
    """

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """An argument: a literal integer."""

    value: int


@dataclass(frozen=True, slots=True)
class Null:
    """An argument: the absent optional table."""


Contents: TypeAlias = tuple[Data, str | None]


@dataclass(frozen=True, slots=True)
class Table:
    """An argument: an array in flash, at file scope, shared by all calls that need the same.

    Attributes:
        role: What it is to the layer, the stem of its name: weights, bias, scales.
        data: The elements in the order that the kernel reads; with a record, one row for each.
        record: The struct whose fields a row holds, or None for plain elements.
    """

    role: str
    data: Data
    record: str | None = None

    @property
    def contents(self) -> Contents:
        """What two tables have in common that can be one."""
        return (self.data, self.record)

    @property
    def bytes(self) -> int:
        """Size in flash."""
        return self.data.array.nbytes


Fields: TypeAlias = tuple[tuple[str, int | tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An argument: a pointer to one constant that belongs to this call alone.

    Attributes:
        name: Of the constant, in the block around the call.
        type: C type; a struct of ``int32_t`` fields, or a plain integer type.
        fields: Names and contents of the fields in the order of the struct; a plain integer has one without a name.
        bytes: Size in flash.
    """

    name: str
    type: str
    fields: Fields
    bytes: int


def struct_record(name: str, struct: str, fields: Fields) -> Record:
    """Return a record of a struct that consists of ``int32_t`` fields and arrays."""
    numbers = sum(len(content) if isinstance(content, tuple) else 1 for _, content in fields)
    return Record(name, f"struct {struct}", fields, 4 * numbers)


Argument: TypeAlias = Tensor | TensorList | Number | Null | Table | Record


@dataclass(frozen=True, slots=True)
class KernelCall:
    """One statement as a call.

    Attributes:
        kernel: File of the kernel, whose stem is the function.
        binding: What stands in the kernel's slots.
        arguments: In the order of the function's parameters.
    """

    kernel: str
    binding: Binding
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask about the module.

    Attributes:
        constants: The elements of each value that depends on constants alone.
        bounds: The greatest magnitude of each accumulator, by the result of its statement.
    """

    constants: Mapping[Value, Data]
    bounds: Mapping[Value, AccumulatorBound]


CRule: TypeAlias = Callable[[Statement, Facts], KernelCall | None]
"""Return the call that a statement becomes, or None where no code is needed."""

C_RULES: RuleTable[CRule] = RuleTable("c")
