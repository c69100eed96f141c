"""A block as a function of its weights and biases on crops of its input, with its derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.graph import Statement
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.requantize.block_crops import Area, Places, seen_areas
from mrqc.passes.requantize.blocks import Block, BlockLayer
from mrqc.passes.requantize.contraction_gradients import Contraction

Reals: TypeAlias = NDArray[Any]
"""Real numbers, in single precision but for tests."""


@dataclass(frozen=True)
class Parameters:
    """What a layer computes with, or derivatives with respect to it.

    Attributes:
        weights: Real, ``[O, KH, KW, C / groups]``.
        bias: Real, ``[O]``.
    """

    weights: Reals
    bias: Reals


@dataclass(frozen=True)
class Confined:
    """What becomes of sums: clamped, and rounded to codes.

    Attributes:
        low: The least real result.
        high: The greatest one.
        unit: The scale of its codes.
    """

    low: float
    high: float
    unit: float

    @classmethod
    def of(cls, element: Element, clamp: tuple[float, float]) -> Confined:
        """Return it for an element of one scale and a clamp before rounding."""
        assert element.quantization is not None
        unit, (least, greatest) = element.quantization.scale, element.real_range
        low, high = (min(max(limit, least), greatest) for limit in clamp)
        # Rounding is monotone: to clamp and round is to round and to clamp to the rounded limits.
        return cls(float(np.rint(low / unit) * unit), float(np.rint(high / unit) * unit), unit)

    def applied(self, sums: Reals, rounds: bool) -> Reals:
        """Return results, in codes only if ``rounds``."""
        found = np.clip(sums, self.low, self.high)
        if rounds:
            found /= self.unit
            np.rint(found, out=found)
            found *= self.unit
        return found

    def through(self, sums: Reals) -> NDArray[np.bool_]:
        """Return where sums have an influence: rounding is taken for the identity (the straight-through estimator)."""
        return (sums > self.low) & (sums < self.high)


@dataclass(frozen=True)
class Pass:
    """One run through a block.

    Attributes:
        values: Of each value, on its crop, ``[B, h, w, C]``.
        through: Where sums were not hidden by a clamp.
    """

    values: dict[Value, Reals]
    through: dict[Value, NDArray[np.bool_]]


@dataclass(frozen=True)
class BlockNetwork:
    """A block on crops.

    Attributes:
        block: Its statements.
        areas: What of each value belongs to a crop.
        rounds: Whether results inside the block are rounded to their codes; its own result never is.
    """

    block: Block
    areas: Mapping[Value, Area]
    rounds: bool = True

    def masks(self, places: Places) -> Mapping[Value, Reals | None]:
        """Return for each result what of its crops lies inside of it."""
        values = [statement.result for statement in self.block.statements]
        return {value: places.inside(self.areas[value], value.type) for value in values}

    def forward(self, inputs: Reals, masks: Mapping[Value, Reals | None], parameters: Mapping[str, Parameters]) -> Pass:
        """Return what the block computes.

        Args:
            inputs: Crops of its input, ``[B, h, w, C]``.
            masks: Of these crops.
            parameters: Of each layer, by the name of its result.
        """
        run = Pass({self.block.input: inputs}, {})
        for statement in self.block.statements:
            result = statement.result
            operands = [self._crop(run.values[value], value, area) for value, area in self._operands(statement)]
            if isinstance(statement.op, nn.Pad):
                # Zeros are beyond every edge anyway.
                found = operands[0]
            else:
                sums = self._sums(statement, operands, parameters)
                confined = _confined(statement)
                run.through[result] = confined.through(sums)
                found = confined.applied(sums, self.rounds and result != self.block.output)
            mask = masks[result]
            run.values[result] = found if mask is None else found * mask
        return run

    def backward(
        self,
        run: Pass,
        by_output: Reals,
        masks: Mapping[Value, Reals | None],
        parameters: Mapping[str, Parameters],
    ) -> Mapping[str, Parameters]:
        """Return the derivatives with respect to every layer's weights and biases.

        Args:
            run: Through the block.
            by_output: The derivatives with respect to its result.
            masks: As in :meth:`forward`.
            parameters: As in :meth:`forward`.
        """
        found: dict[str, Parameters] = {}
        errors: dict[Value, Reals] = {self.block.output: by_output}
        for statement in reversed(self.block.statements):
            result = statement.result
            error, mask = errors.pop(result), masks[result]
            if mask is not None:
                error = error * mask
            if result in run.through:
                error = error * run.through[result]
            operands = self._operands(statement)
            parts = [error] * len(operands)
            if isinstance(statement.op, BlockLayer):
                value, area = operands[0]
                contraction, mine = contraction_of(statement.op), parameters[result.name]
                seen = self._crop(run.values[value], value, area)
                found[result.name] = Parameters(
                    contraction.by_weights(seen, error).reshape(mine.weights.shape), error.sum(axis=(0, 1, 2))
                )
                if value == self.block.input:
                    continue
                parts = [contraction.by_input(error, mine.weights, seen.shape)]
            for (value, area), part in zip(operands, parts, strict=True):
                if value != self.block.input:
                    whole = errors.setdefault(value, np.zeros_like(run.values[value]))
                    self._crop(whole, value, area)[...] += part
        return found

    def _operands(self, statement: Statement) -> tuple[tuple[Value, Area], ...]:
        return seen_areas(statement, self.areas[statement.result])

    def _crop(self, array: Reals, value: Value, area: Area) -> Reals:
        """Return an area of a value's crop."""
        rows, columns = (part.within(whole) for part, whole in zip(area, self.areas[value], strict=True))
        return array[:, rows, columns]

    @staticmethod
    def _sums(statement: Statement, operands: list[Reals], parameters: Mapping[str, Parameters]) -> Reals:
        if isinstance(statement.op, nn.Add):
            return operands[0] + operands[1]
        assert isinstance(statement.op, BlockLayer)
        mine = parameters[statement.result.name]
        return contraction_of(statement.op).result(operands[0], mine.weights) + mine.bias


def contraction_of(op: BlockLayer) -> Contraction:
    """Return what a layer computes on crops."""
    if isinstance(op, nn.FullyConnected):
        return Contraction()
    height, width = op.weight.type.shape[1:3]
    return Contraction((height, width), op.strides, op.dilations, op.groups)


def kernel_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's weights as those of a convolution, ``[O, KH, KW, C / groups]``."""
    return shape if len(shape) == 4 else (shape[0], 1, 1, shape[1])


def _confined(statement: Statement) -> Confined:
    op = statement.op
    assert isinstance(op, BlockLayer | nn.Add)
    return Confined.of(op.element, op.clamp)
