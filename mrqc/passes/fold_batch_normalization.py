"""``fold-batch-normalization``: what scales and shifts each channel becomes part of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.graph import Module, Statement
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, rewrite, without_dead_statements
from mrqc.ir.types import FLOAT
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass

_Layer: TypeAlias = nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected
_Reals: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class FoldBatchNormalization(Pass):
    """Put each batch normalization with constant parameters into the convolution or matrix product before it.

    The layer must have float constants for weights, no clamp, and no use but the normalization; a constant for each
    channel may be added in between. Without such a layer the normalization becomes one of its own: a depthwise
    convolution of an image, a product with a diagonal matrix of rows, a product and a sum of anything else. Over the
    reals nothing changes; the new weights are rounded to single precision, so that a runtime's floats may.

    It stands at the beginning of what leads to integers or to TFLite, which have no such operation. An import leaves
    the normalization alone: it then goes back to ONNX as it came, to the bit. Quantized layers have codes for weights,
    into which no factor can go, so that nothing is lost for ``fold-qdq``.
    """

    name: ClassVar[str] = "fold-batch-normalization"
    summary: ClassVar[str] = "make batch normalizations part of the layers before them"
    exactness: ClassVar[Exactness] = "lossy"

    def __call__(self, module: Module) -> Module:
        """Return the module without batch normalizations of constant parameters."""
        return without_dead_statements(rewrite(module, _Folding(module).fold))


@dataclass(frozen=True)
class _Source:
    """The layer that a batch normalization follows.

    Attributes:
        layer: It.
        weight: Its weights.
        bias: What is added to its products.
        location: Where all of it came from.
    """

    layer: _Layer
    weight: _Reals
    bias: _Reals
    location: Location

    def scaled(self, factor: _Reals, addend: _Reals, builder: GraphBuilder, location: Location) -> Op | None:
        """Return the layer times a factor plus an addend for each channel, or None beyond single precision."""
        by_output = factor.reshape((-1,) + (1,) * (self.weight.ndim - 1))
        values = _constants(builder, location, self.weight * by_output, self.bias * factor + addend)
        return None if values is None else replace(self.layer, weight=values[0], bias=values[1])


class _Folding:
    """One walk over a module, with what defines the new values at hand."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._definitions: dict[Value, Statement] = {}

    def fold(self, statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        """Replace a batch normalization, and remember everything else."""
        op = statement.op
        new = self._folded(op, statement, builder) if isinstance(op, nn.BatchNormalization) else None
        if new is None:
            self._definitions.update((result, statement) for result in statement.results)
            return None
        layer, location = new
        value = builder.emit(layer, location)
        # Another normalization may follow, and then the layer's new constants are read.
        for emitted in (*layer.operands, value):
            definition = builder.definition(emitted)
            if definition is not None:
                self._definitions[emitted] = Statement((emitted,), definition, location)
        return (value,)

    def _folded(
        self, op: nn.BatchNormalization, statement: Statement, builder: GraphBuilder
    ) -> tuple[Op, Location] | None:
        parameters = [self._constant(value) for value in (op.scale, op.bias, op.mean, op.variance)]
        scale, bias, mean, variance = (np.array(np.nan) if array is None else array for array in parameters)
        with np.errstate(all="ignore"):
            factor = scale / np.sqrt(variance + op.epsilon)
            addend = bias - mean * factor
        if not (np.isfinite(factor).all() and np.isfinite(addend).all()):
            return None
        source = self._source(statement)
        if source is not None:
            layer = source.scaled(factor, addend, builder, statement.location)
            if layer is not None:
                return layer, source.location.merge(statement.location)
        alone = _alone(op.input, factor, addend, builder, statement.location)
        return None if alone is None else (alone, statement.location)

    def _source(self, statement: Statement) -> _Source | None:
        """Return the layer before a batch normalization, which nothing else uses, with a bias added behind it."""
        before = self._before(statement.op.operands[0], self._old_operand(statement.result, 0))
        if before is None:
            return None
        added: _Reals | None = None
        if isinstance(before.op, nn.Add) and before.op.clamp == nn.UNBOUNDED:
            added = self._constant(before.op.rhs)
            channels = before.result.type.shape[-1:]
            layer = self._before(before.op.lhs, self._old_operand(before.result, 0))
            if added is None or added.shape != channels or layer is None:
                return None
            before = Statement(layer.results, layer.op, layer.location.merge(before.location))
        return self._layer(before, added)

    def _layer(self, statement: Statement, added: _Reals | None) -> _Source | None:
        layer = statement.op
        if not isinstance(layer, _Layer) or layer.clamp != nn.UNBOUNDED or layer.element != FLOAT:
            return None
        weight = self._constant(layer.weight)
        if weight is None:
            return None
        bias = np.zeros(weight.shape[0]) if layer.bias is None else self._constant(layer.bias)
        if bias is None:
            return None
        return _Source(layer, weight, bias if added is None else bias + added, statement.location)

    def _before(self, value: Value, old: Value | None) -> Statement | None:
        """Return the statement that defines ``value``, if nothing but one statement uses it."""
        if old is None or len(self._module.graph.uses.get(old, ())) != 1 or old in self._module.graph.output_values:
            return None
        return self._definitions.get(value)

    def _old_operand(self, result: Value, index: int) -> Value | None:
        """Return the operand that the statement of ``result`` had before the walk; a new statement has none."""
        statement = self._module.graph.definitions.get(result)
        return None if statement is None else statement.op.operands[index]

    def _constant(self, value: Value) -> _Reals | None:
        """Return the numbers of a float constant, or None for everything else."""
        definition = self._definitions.get(value)
        if definition is None or not isinstance(definition.op, nn.Constant) or definition.op.element != FLOAT:
            return None
        return definition.op.value.array.astype(np.float64)


def _alone(value: Value, factor: _Reals, addend: _Reals, builder: GraphBuilder, location: Location) -> Op | None:
    """Return the op that multiplies each channel and adds to it."""
    channels, rank = factor.size, value.type.rank
    weight = {2: np.diag(factor), 4: factor.reshape(channels, 1, 1, 1)}.get(rank, factor)
    values = _constants(builder, location, weight, addend)
    if values is None:
        return None
    if rank == 2:
        return nn.FullyConnected(value, *values)
    if rank == 4:
        return nn.Conv2D(value, *values, groups=channels)
    return nn.Add(builder.emit(nn.Mul(value, values[0]), location), values[1])


def _constants(builder: GraphBuilder, location: Location, weight: _Reals, bias: _Reals) -> tuple[Value, Value] | None:
    """Emit weights and bias in single precision, or neither where a number is too large for it."""
    with np.errstate(over="ignore"):
        singles = weight.astype(np.float32), bias.astype(np.float32)
    if not all(np.isfinite(single).all() for single in singles):
        return None
    first, second = (builder.emit(nn.Constant(Data(single), FLOAT), location) for single in singles)
    return first, second
