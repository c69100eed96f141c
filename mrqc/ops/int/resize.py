"""``int.resize_bilinear``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mrqc.ir.op import Op, Value
from mrqc.ir.types import TensorType
from mrqc.numerics import Rounding
from mrqc.ops.int.contraction import activation_problems

RESIZE_BITS = 11
"""Most bits of a weight: four products of a 16-bit code and two weights, added, stay far below 2**63."""


@dataclass(frozen=True, slots=True)
class Interpolation:
    """For each row, or column, of the result: between which two of the input it lies, and how near to the second.

    Attributes:
        lower: Index of the first.
        upper: Index of the second.
        weight: Of the second, in units of ``2**-bits``; that of the first is the rest.
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    weight: tuple[int, ...]

    def problems(self, name: str, extent: int, one: int) -> Iterator[str]:
        """Yield the ways in which this does not interpolate between ``extent`` rows or columns."""
        if not self.lower or not len(self.lower) == len(self.upper) == len(self.weight):
            yield f"{name} must have as many lower as upper indices and weights, at least one"
        if any(not 0 <= index < extent for index in (*self.lower, *self.upper)):
            yield f"{name} reach outside an extent of {extent}"
        if any(not 0 <= weight <= one for weight in self.weight):
            yield f"weights of {name} must lie between 0 and {one}"


@dataclass(frozen=True)
class ResizeBilinear(Op):
    """Means of four codes: ``round(sum(code * row weight * column weight) / 2**(2 * bits))``; the element stays."""

    mnemonic: ClassVar[str] = "int.resize_bilinear"
    input: Value
    rows: Interpolation
    columns: Interpolation
    bits: int
    rounding: Rounding

    def problems(self) -> Iterator[str]:
        """Yield the broken rules."""
        yield from activation_problems(self.input)
        if self.input.type.rank != 4:
            yield f"the input must be NHWC, found rank {self.input.type.rank}"
            return
        if not 0 <= self.bits <= RESIZE_BITS:
            yield f"weights have 0 to {RESIZE_BITS} bits, found {self.bits}"
            return
        _, height, width, _ = self.input.type.shape
        yield from self.rows.problems("rows", height, 1 << self.bits)
        yield from self.columns.problems("columns", width, 1 << self.bits)

    def infer(self) -> tuple[TensorType, ...]:
        """Return the NHWC result."""
        batch, _, _, channels = self.input.type.shape
        shape = (batch, len(self.rows.lower), len(self.columns.lower), channels)
        return (TensorType(shape, self.input.type.element),)
