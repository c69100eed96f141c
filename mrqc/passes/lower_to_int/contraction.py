"""Convolutions, plain and transposed, and fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.biases import lowered_bias
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, operand, result_scale


@LOWERINGS.register(nn.Conv2D, nn.TransposeConv2D)
def lower_conv2d(op: Op, site: Site) -> Value:
    """Sum of products, then one multiplier for each weight scale."""
    assert isinstance(op, nn.Conv2D | nn.TransposeConv2D)
    lowered = int_ops.Conv2D if isinstance(op, nn.Conv2D) else int_ops.TransposeConv2D
    parts = _parts(op, site, lowered.mnemonic)
    return site.emit(
        lowered(
            op.input,
            op.weight,
            parts.bias,
            op.strides,
            op.padding,
            op.dilations,
            op.groups,
            input_zero_point=parts.input_zero_point,
            weight_zero_point=parts.weight_zero_point,
            requantize=parts.requantize,
            element=op.element,
        )
    )


@LOWERINGS.register(nn.FullyConnected)
def lower_fully_connected(op: Op, site: Site) -> Value:
    """Sum of products, then one multiplier for each weight scale."""
    assert isinstance(op, nn.FullyConnected)
    parts = _parts(op, site, int_ops.FullyConnected.mnemonic)
    return site.emit(
        int_ops.FullyConnected(
            op.input,
            op.weight,
            parts.bias,
            input_zero_point=parts.input_zero_point,
            weight_zero_point=parts.weight_zero_point,
            requantize=parts.requantize,
            element=op.element,
        )
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the contractions have in common."""

    bias: Value | None
    input_zero_point: int
    weight_zero_point: int
    requantize: Requantize


def _parts(op: nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected, site: Site, mnemonic: str) -> _Parts:
    source = operand(op.input, site)
    weight = _weight(op.weight, site)
    output_scale = result_scale(op.element)
    ratios = [source.scale * scale / output_scale for scale in weight.scales]
    requantize = requantization(ratios, site.arithmetic(mnemonic), op.element, site.limits(op.element, op.clamp))
    bias = None
    if op.bias is not None:
        grid = [source.scale * scale for scale in weight.scales]
        bias = lowered_bias(op.bias, grid, requantize, site)
    return _Parts(bias, source.zero_point, weight.zero_points[0], requantize)


def _weight(value: Value, site: Site) -> Quantization:
    """Return the quantization of weights: along output channels if along any axis, with one zero point."""
    hint = "run the pass 'requantize' first"
    weight = value.type.quantization
    if weight is None or weight.axis not in (None, 0):
        raise RefusalError("its weights are not quantized along output channels", hint)
    if site.target.weight.symmetric and not weight.is_symmetric:
        raise RefusalError("its weights are not symmetric along output channels", hint)
    if len(set(weight.zero_points)) > 1:
        raise RefusalError("its weights have more than one zero point", hint)
    return weight


@LOWERINGS.register(nn.BatchMatMul)
def refuse_contraction(op: Op, site: Site) -> Value:
    """Refuse: there is no hardware for it among the targets."""
    raise RefusalError(f"target {site.target.name} has no {op.mnemonic}")
