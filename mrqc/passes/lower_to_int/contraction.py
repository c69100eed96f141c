"""Convolutions, plain and transposed, and fully connected layers."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, result_scale, symmetric_scale

_BIAS_TOLERANCE = 1e-6
"""A bias scale counts as the accumulator's if it is this close: files hold the product rounded to single precision."""


@LOWERINGS.register(nn.Conv2D, nn.TransposeConv2D)
def lower_conv2d(op: Op, site: Site) -> Value:
    """Sum of products, then one multiplier for each weight scale."""
    assert isinstance(op, nn.Conv2D | nn.TransposeConv2D)
    lowered = int_ops.Conv2D if isinstance(op, nn.Conv2D) else int_ops.TransposeConv2D
    requantize = _requantize(op, site, lowered.mnemonic)
    return site.emit(
        lowered(
            op.input,
            op.weight,
            op.bias,
            op.strides,
            op.padding,
            op.dilations,
            op.groups,
            requantize=requantize,
            element=op.element,
        )
    )


@LOWERINGS.register(nn.FullyConnected)
def lower_fully_connected(op: Op, site: Site) -> Value:
    """Sum of products, then one multiplier for each weight scale."""
    assert isinstance(op, nn.FullyConnected)
    requantize = _requantize(op, site, int_ops.FullyConnected.mnemonic)
    return site.emit(int_ops.FullyConnected(op.input, op.weight, op.bias, requantize=requantize, element=op.element))


def _requantize(
    op: nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected, site: Site, mnemonic: str
) -> int_ops.Requantize:
    input_scale = symmetric_scale(op.input)
    weight = op.weight.type.quantization
    if weight is None or not weight.is_symmetric or weight.axis not in (None, 0):
        raise RefusalError("its weights are not symmetric along output channels", "run the pass 'requantize' first")
    if op.bias is not None:
        _check_bias(op.bias.type.quantization, input_scale, weight)
    output_scale = result_scale(op.element)
    ratios = [input_scale * scale / output_scale for scale in weight.scales]
    return requantization(ratios, site.arithmetic(mnemonic), op.element, site.limits(op.element, op.clamp))


def _check_bias(bias: Quantization | None, input_scale: float, weight: Quantization) -> None:
    """Refuse a bias that does not sit on the grid of the accumulator."""
    hint = "run the pass 'requantize' first"
    if bias is None or not bias.is_symmetric or len(bias.scales) not in (1, len(weight.scales)):
        raise RefusalError("its bias is not quantized at the scale of its accumulator", hint)
    scales = bias.scales * (len(weight.scales) // len(bias.scales))
    for scale, weight_scale in zip(scales, weight.scales, strict=True):
        if abs(scale / (input_scale * weight_scale) - 1.0) > _BIAS_TOLERANCE:
            raise RefusalError(
                f"its bias has scale {scale:.6g}, its accumulator {input_scale * weight_scale:.6g}", hint
            )


@LOWERINGS.register(nn.BatchMatMul)
def refuse_contraction(op: Op, site: Site) -> Value:
    """Refuse: there is no hardware for it among the targets."""
    raise RefusalError(f"target {site.target.name} has no {op.mnemonic}")
