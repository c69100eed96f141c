"""``nn.quantize``, ``nn.dequantize`` and ``nn.relabel``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.grid import Grid, real_values
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import Dequantize, Quantize, Relabel


@RULES.register(Quantize)
def quantize(op: Quantize, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a quantization, or of a change of scale."""
    grid = Grid(op.element, op.input.type.rank)

    def kernel(array: Array) -> Array:
        return grid.encode(grid.units_of(array, op.input.type))

    return kernel


@RULES.register(Dequantize)
def dequantize(op: Dequantize, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel that gives real values."""

    def kernel(array: Array) -> Array:
        return real_values(array, op.input.type)

    return kernel


@RULES.register(Relabel)
def relabel(op: Relabel, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel that leaves codes alone, and multiplies floats."""
    factors = np.asarray(op.factors)
    if factors.size == 1:
        # One for the tensor, which may have no axes.
        factors = factors.reshape(())

    def kernel(array: Array) -> Array:
        return array if op.input.type.element.is_quantized else array * factors

    return kernel
