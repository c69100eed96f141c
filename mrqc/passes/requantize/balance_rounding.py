"""``balance-rounding``: what rounding half up adds to sums on average is taken from the bias of an operand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.numerics import Rounding
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Edits, LayerForm, edited, float_constant, layers_of, scale_of
from mrqc.passes.requantize.zero_points import Addition, addition_of
from mrqc.targets import Target


@dataclass(frozen=True)
class BalanceRounding(Pass):
    """Shift the bias of an operand of each addition by what rounding adds to the sum on average.

    Hardware that only shifts adds codes of the finest operand and shifts the sum right by k bits, to the scale of the
    result. Every 2^k-th sum lies halfway between two codes, and rounding half up takes all of these upwards: the mean
    of the results is 2^-(k+1) of a code too high, a quarter where k is 1. Along a residual chain this adds up
    (docs/requantization.md equation 18). Accumulators of layers lose so many bits that the same is nothing there.

    Attributes:
        target: Its rounding.
    """

    name: ClassVar[str] = "balance-rounding"
    summary: ClassVar[str] = "take from biases what rounding half up adds to sums on average"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module with other biases in front of additions."""
        requantize = self.target.requantize
        if not requantize.only_shifts or requantize.rounding is not Rounding.HALF_UP:
            return module
        layers = {layer.statement.result: layer for layer in layers_of(module)}
        constants: dict[str, nn.Constant] = {}
        for statement in module.graph.statements:
            if not isinstance(statement.op, Addition) or not statement.result.type.element.is_quantized:
                continue
            op = addition_of(statement)
            shift = mean_of_rounding(op, statement.result)
            layer = _operand_layer(op, module, layers)
            if shift == 0.0 or layer is None or layer.bias is None:
                continue
            subtracted = isinstance(op, nn.Sub) and layer.statement.result == op.rhs
            real = layer.real_bias() + (shift if subtracted else -shift)
            constants[layer.bias.result.name] = float_constant(real)
        return edited(module, Edits(constants=constants))


def mean_of_rounding(op: Addition, result: Value) -> float:
    """Return, as a real number, what rounding half up adds to a sum on average; 0 where no bit is shifted out."""
    finest = min(scale_of(operand.type.element) for operand in op.operands)
    bits = round(float(np.log2(scale_of(result.type.element) / finest)))
    return scale_of(result.type.element) * 2.0 ** -(bits + 1) if bits > 0 else 0.0


def _operand_layer(op: Addition, module: Module, layers: dict[Value, LayerForm]) -> LayerForm | None:
    """Return the layer without a ReLU that makes an operand for nothing but this addition."""
    for operand in op.operands:
        layer, uses = layers.get(operand), module.graph.uses.get(operand, ())
        alone = len(uses) == 1 and operand not in module.graph.output_values and op.lhs != op.rhs
        if layer is not None and alone and layer.op.clamp[0] < 0.0 < layer.op.clamp[1]:
            return layer
    return None
