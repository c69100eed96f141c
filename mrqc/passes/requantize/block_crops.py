"""Crops of what enters a block and of what leaves it: learning sees a part of many samples, not all of a few.

A crop of the block's result, so many rows and columns, needs a larger one of every value in front of it. Where that
goes beyond the edge of a value there is nothing but zeros, as padding has it, whatever a layer would give there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.reference.grid import real_values
from mrqc.ir.graph import Statement
from mrqc.ir.op import Value
from mrqc.ir.types import TensorType
from mrqc.ops import nn
from mrqc.passes.requantize.blocks import Block

Codes: TypeAlias = NDArray[Any]
Single: TypeAlias = NDArray[np.float32]

SIDE = 8
"""Greatest height and width of a crop of the result."""
_AT_ONCE = 64


@dataclass(frozen=True)
class Span:
    """Which rows, or columns, of a value belong to the crop of the result that begins at ``first``.

    Attributes:
        step: They begin at ``step * first + offset``.
        offset: As above; negative where there is padding.
        size: How many they are.
    """

    step: int
    offset: int
    size: int

    def joined(self, other: Span) -> Span | None:
        """Return the span of both, None where their distance depends on where the crop is."""
        if self.step != other.step:
            return None
        first = min(self.offset, other.offset)
        return Span(self.step, first, max(self.offset + self.size, other.offset + other.size) - first)

    def within(self, whole: Span) -> slice:
        """Return where it lies in a span that holds it."""
        first = self.offset - whole.offset
        return slice(first, first + self.size)


Area: TypeAlias = tuple[Span, Span]
"""Rows and columns."""


def image_shape(type_: TensorType) -> tuple[int, int, int]:
    """Return height, width and channels; what has no image is one of a single place."""
    shape = type_.shape
    return (shape[1], shape[2], shape[3]) if len(shape) == 4 else (1, 1, shape[-1])


def seen_areas(statement: Statement, area: Area) -> tuple[tuple[Value, Area], ...]:
    """Return the operands of a statement that are no constants, and what of them an area of its result needs."""
    op = statement.op
    if isinstance(op, nn.Add):
        return (op.lhs, area), (op.rhs, area)
    if isinstance(op, nn.Pad):
        pads = (op.padding[2], op.padding[4])
        moved = [Span(span.step, span.offset - pad, span.size) for span, pad in zip(area, pads, strict=True)]
        return ((op.input, (moved[0], moved[1])),)
    if isinstance(op, nn.Conv2D):
        kernel, geometry = op.weight.type.shape[1:3], zip(area, op.strides, op.dilations, op.padding[:2], strict=True)
        rows, columns = (
            Span(span.step * stride, span.offset * stride - pad, (span.size - 1) * stride + (taps - 1) * dilation + 1)
            for (span, stride, dilation, pad), taps in zip(geometry, kernel, strict=True)
        )
        return ((op.input, (rows, columns)),)
    return ((op.operands[0], area),)


def areas_of(block: Block) -> Mapping[Value, Area] | None:
    """Return what of each value belongs to a crop of the block's result; None where paths of other strides meet."""
    height, width, _ = image_shape(block.output.type)
    found: dict[Value, Area] = {block.output: (Span(1, 0, min(height, SIDE)), Span(1, 0, min(width, SIDE)))}
    for statement in reversed(block.statements):
        for value, area in seen_areas(statement, found[statement.result]):
            rows, columns = (
                span if value not in found else span.joined(known)
                for span, known in zip(area, found.get(value, area), strict=True)
            )
            if rows is None or columns is None:
                return None
            found[value] = rows, columns
    return found


@dataclass(frozen=True)
class Places:
    """Where crops are: for each one its sample and the first row and column of the result."""

    sample: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @classmethod
    def spread(cls, shape: tuple[int, ...], wanted: int) -> Places:
        """Return crops of a result ``[samples, …, channels]`` with about ``wanted`` places, always the same ones.

        They do not overlap unless a side is no multiple of theirs, and every sample has as many as another one, or one
        more.
        """
        height, width = shape[1:3] if len(shape) == 4 else (1, 1)
        rows, columns = _firsts(height), _firsts(width)
        area = min(height, SIDE) * min(width, SIDE)
        each = len(rows) * len(columns)
        generator = np.random.default_rng(0)
        # Sample after sample, and of each one another of its crops, in an order of its own.
        turns = [generator.permutation(shape[0]) for _ in range(each)]
        order = np.stack([generator.permutation(each) for _ in range(shape[0])])
        sample = np.concatenate(turns)[: max(round(wanted / area), 1)]
        turn = np.arange(len(sample)) // shape[0]
        row, column = np.divmod(order[sample, turn], len(columns))
        return cls(sample, rows[row], columns[column])

    def of(self, index: NDArray[Any]) -> Places:
        """Return some of them."""
        return Places(self.sample[index], self.row[index], self.column[index])

    def inside(self, area: Area, type_: TensorType) -> Single | None:
        """Return 1 inside and 0 beyond the edges of a value, ``[crops, rows, columns, 1]``, or None for all ones."""
        height, width, _ = image_shape(type_)
        rows, columns = _indices(self.row, area[0]), _indices(self.column, area[1])
        found = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        return None if found.all() else found[..., None].astype(np.float32)

    def crops(self, codes: Codes, area: Area, type_: TensorType) -> Single:
        """Return the real values of crops, ``[crops, rows, columns, channels]``, zeros beyond the edges.

        Args:
            codes: Of a value, all samples.
            area: What belongs to a crop.
            type_: Of the value.
        """
        height, width, channels = image_shape(type_)
        images = codes.reshape(-1, height, width, channels)
        rows = np.clip(_indices(self.row, area[0]), 0, height - 1)
        columns = np.clip(_indices(self.column, area[1]), 0, width - 1)
        found = images[self.sample[:, None, None], rows[:, :, None], columns[:, None, :]]
        real = np.empty(found.shape, np.float32)
        for first in range(0, len(found), _AT_ONCE):
            # Through double precision, of which there should not be much at a time.
            real[first : first + _AT_ONCE] = real_values(found[first : first + _AT_ONCE], type_)
        inside = self.inside(area, type_)
        return real if inside is None else np.multiply(real, inside, out=real)


def _firsts(length: int) -> NDArray[np.int64]:
    """Return where crops begin that cover all of a side."""
    size = min(length, SIDE)
    return np.unique(np.linspace(0, length - size, -(-length // size)).astype(np.int64))


def _indices(first: NDArray[np.int64], span: Span) -> NDArray[np.int64]:
    return (span.step * first + span.offset)[:, None] + np.arange(span.size)
