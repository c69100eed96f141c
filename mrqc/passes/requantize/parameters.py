"""Weights and biases of one contraction at new scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module, Statement
from mrqc.ir.location import UNKNOWN, Location
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.requantize.assignment import weight_scales
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target

Layer: TypeAlias = nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected
"""Ops with constant weights, output channels first."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The new constants of a contraction."""

    weight: nn.Constant
    bias: nn.Constant | None


class DataOf:
    """The constants of a module, by value."""

    def __init__(self, module: Module) -> None:
        """Look up the definitions once."""
        self._definitions: Mapping[Value, Statement] = module.graph.definitions

    def codes(self, value: Value | None) -> Data | None:
        """Return the codes of a constant, or None for anything else."""
        definition = self._definitions.get(value) if value is not None else None
        return definition.op.value if definition is not None and isinstance(definition.op, nn.Constant) else None

    def real(self, value: Value) -> NDArray[np.float64]:
        """Return the real values of a constant."""
        codes, quantization = self.codes(value), value.type.quantization
        assert codes is not None
        return quantization.dequantize(codes.array) if quantization else codes.array.astype(np.float64)

    def location(self, value: Value | None) -> Location:
        """Return where a constant came from."""
        definition = self._definitions.get(value) if value is not None else None
        return definition.location if definition is not None else UNKNOWN

    @staticmethod
    def constant(real: NDArray[Any], element: Element, minimum: int, maximum: int) -> nn.Constant:
        """Return a constant of ``element`` nearest to real values, saturating."""
        assert element.quantization is not None
        return nn.Constant(Data.of(element.quantization.quantize(real, minimum, maximum), element.dtype), element)


def retyped_parameters(
    op: Layer, data: DataOf, input_scale: float, output_scale: float, target: Target
) -> Parameters | str:
    """Return the new weights and bias, or a sentence that says why there are none.

    Weights are quantized again from their real values; the bias takes the scale of the accumulator,
    ``input scale * weight scale`` (docs/numerics.md, equation 2).
    """
    codes, quantization = data.codes(op.weight), op.weight.type.quantization
    if codes is None or quantization is None:
        return "the weights are computed at run time; only constant weights can be re-quantized"
    if quantization.axis not in (None, 0):
        return f"the weights are quantized along axis {quantization.axis}, not along the output channels"
    if op.bias is not None and data.codes(op.bias) is None:
        return "the bias is computed at run time; only a constant bias can be re-quantized"
    grid = WeightGrid.of(codes, quantization)
    scales = weight_scales(grid, input_scale, output_scale, target)
    if target.weight.is_per_channel and op.bias is not None:
        scales = _coarse_enough(scales, data.real(op.bias) / input_scale, target.bias.bits)
    weight = Data(grid.requantize(scales, target.weight))
    element = Element(DType.I8, _along_channels(scales))
    if op.bias is None:
        return Parameters(nn.Constant(weight, element), None)
    accumulator = _along_channels(input_scale * scales)
    real = data.real(op.bias)
    limit = 1 << (target.bias.bits - 1)
    bias = np.rint(real / np.asarray(accumulator.scales))
    if np.abs(bias).max(initial=0.0) >= limit:
        channel = int(np.argmax(np.abs(bias)))
        return (
            f"the bias of channel {channel} is {bias[channel]:.0f} at the accumulator's scale and does not fit "
            f"{target.bias.bits} bits (bias.bits)"
        )
    constant = nn.Constant(Data.of(bias.astype(np.int64), DType.I32), Element(DType.I32, accumulator))
    return Parameters(nn.Constant(weight, element), constant)


def _coarse_enough(scales: NDArray[np.float64], bias: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Return each channel's scale, raised by octaves until its bias takes half of the register at the most.

    Exporters give a dead channel a scale of next to nothing; its bias would be astronomical on that grid, and its
    weights are nothing beside the bias on a coarser one.

    Args:
        scales: Of the weights, one or one for each channel.
        bias: Real biases over the input's scale.
        bits: Width of the bias register.
    """
    needed = np.maximum(np.abs(bias) / scales / 2.0 ** (bits - 2), 1.0)
    return scales * np.exp2(np.ceil(np.log2(needed)))


def _along_channels(scales: NDArray[np.float64]) -> Quantization:
    if len(scales) == 1:
        return Quantization.per_tensor(float(scales[0]))
    return Quantization.per_axis([float(scale) for scale in scales], [0] * len(scales), 0)
