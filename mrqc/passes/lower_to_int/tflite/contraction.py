"""CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, BATCH_MATMUL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, quantized_multiplier, single
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_Entry = TypeVar("_Entry", int, float)

_REDUCED_BITS = 15
"""Bits of the multiplier, without a sign, that a 64-bit accumulator is multiplied by."""

_SUMS = Requantize((1,), (0,), Rounding.FLOOR, 0, DType.I32.minimum, DType.I32.maximum)
"""The sums themselves; those beyond 32 bits, which 16-bit inputs can give, become the ends of the range."""

_LEAST_WIDE_SCALE = 2.0**-15
"""From here on the ends of 32 bits lie beyond the greatest 16-bit code."""


@TFLITE_LOWERINGS.register(nn.Conv2D, nn.TransposeConv2D)
def lower_conv2d(op: Op, site: Site) -> Value:
    """Sums of centred products; the ratio of the scales in double precision, but for uint8."""
    assert isinstance(op, nn.Conv2D | nn.TransposeConv2D)
    rows, weight = per_tensor(op.input), _weight(op.weight, site)
    in_single = op.input.type.dtype is DType.U8
    lowered = int_ops.Conv2D if isinstance(op, nn.Conv2D) else int_ops.TransposeConv2D
    return site.emit(
        lowered(
            op.input,
            op.weight,
            op.bias,
            op.strides,
            op.padding,
            op.dilations,
            op.groups,
            input_zero_point=rows.zero_point,
            weight_zero_point=weight.zero_points[0],
            requantize=_requantize(op, rows, weight, in_single, site),
            element=op.element,
        )
    )


@TFLITE_LOWERINGS.register(nn.FullyConnected)
def lower_fully_connected(op: Op, site: Site) -> Value:
    """Sums of centred products, rescaled in double precision; a build with single rounding multiplies integers."""
    assert isinstance(op, nn.FullyConnected)
    rows, weight = per_tensor(op.input), _weight(op.weight, site)
    in_double = site.target.requantize.rounding is Rounding.DOUBLE
    requantize = _SUMS if in_double else _requantize(op, rows, weight, False, site)
    sums = site.emit(
        int_ops.FullyConnected(
            op.input,
            op.weight,
            op.bias,
            input_zero_point=rows.zero_point,
            weight_zero_point=weight.zero_points[0],
            requantize=requantize,
            element=Element(DType.I32) if in_double else op.element,
        )
    )
    if not in_double:
        return sums
    scales = tuple(rows.scale * scale / result_scale(op.element) for scale in weight.scales)
    if min(scales) < _LEAST_WIDE_SCALE and _greatest_sum(op, site) > DType.I32.maximum:
        raise RefusalError(f"the ratio of scales {min(scales):.6g} needs sums of more than 32 bits")
    assert op.element.quantization is not None
    limits = activation_limits(op.element, op.clamp)
    return site.emit(
        int_ops.DoubleRescale(sums, _alike(scales), op.element.quantization.zero_point, *limits, op.element)
    )


@TFLITE_LOWERINGS.register(nn.BatchMatMul)
def lower_batch_matmul(op: Op, site: Site) -> Value:
    """Sums of centred products; the scales are multiplied in single precision."""
    assert isinstance(op, nn.BatchMatMul)
    lhs, rhs = per_tensor(op.lhs), per_tensor(op.rhs)
    ratio = float(single(lhs.scale) * single(rhs.scale)) / result_scale(op.element)
    requantize = scaled_sums([ratio], op.lhs.type.dtype is DType.I16, op.element, op.clamp, site)
    return site.emit(
        int_ops.BatchMatMul(
            op.lhs,
            op.rhs,
            op.adjoint_lhs,
            op.adjoint_rhs,
            lhs_zero_point=lhs.zero_point,
            rhs_zero_point=rhs.zero_point,
            requantize=requantize,
            element=op.element,
        )
    )


def _greatest_sum(op: nn.FullyConnected, site: Site) -> int:
    """Return a magnitude that no sum of products of 16-bit codes, bias included, exceeds; 0 for 8-bit codes."""
    if op.input.type.dtype is not DType.I16:
        return 0
    depth = op.weight.type.shape[1]
    bias = None if op.bias is None else site.builder.definition(op.bias)
    start = max(abs(int(code)) for code in bias.value.array) if isinstance(bias, int_ops.Constant) else 0
    return depth * (1 << 15) * (1 << 7) + start


def _weight(value: Value, site: Site) -> Quantization:
    """Return the quantization of weights: one zero point, and one scale or one for each output channel.

    Raises:
        RefusalError: They are not quantized that way.
    """
    quantization = value.type.quantization
    if quantization is None or quantization.axis not in (None, 0) or len(set(quantization.zero_points)) > 1:
        raise RefusalError(f"its weights are not quantized as {site.target.name} needs it, along output channels")
    return quantization


def _requantize(
    op: nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected,
    rows: Quantization,
    weight: Quantization,
    in_single: bool,
    site: Site,
) -> Requantize:
    """Return the arithmetic behind the sums.

    Args:
        op: The op.
        rows: Quantization of its input.
        weight: Of its weights.
        in_single: Whether the scales of input and weights are multiplied in single precision; the quotient is a
            double in any case.
        site: Where the rule works.
    """
    output = result_scale(op.element)
    products = [
        float(single(rows.scale) * single(scale)) if in_single else rows.scale * scale for scale in weight.scales
    ]
    # Sums of 16-bit codes are as wide as their biases: 64 bits, unless the file asks for 32.
    is_wide = op.input.type.dtype is DType.I16 and (op.bias is None or op.bias.type.dtype is DType.I64)
    return scaled_sums([product / output for product in products], is_wide, op.element, op.clamp, site)


def scaled_sums(
    ratios: Sequence[float], is_wide: bool, element: Element, clamp: tuple[float, float], site: Site
) -> Requantize:
    """Return the arithmetic from sums of products to a result's codes.

    The runtime multiplies sums of 64 bits by the upper half of the multiplier and rounds once, half up, in all builds.

    Args:
        ratios: Scale of the sum over scale of the result: one, or one for each output channel.
        is_wide: Whether the sums have 64 bits.
        element: Of the result.
        clamp: The fused activation.
        site: Where the rule works.

    Raises:
        RefusalError: A ratio is out of the runtime's range.
    """
    rounding = site.target.requantize.rounding
    factors = [quantized_multiplier(ratio, rounding) for ratio in ratios]
    if is_wide:
        rounding, factors = Rounding.HALF_UP, [_reduced(factor) for factor in factors]
    assert element.quantization is not None
    return Requantize(
        _alike(tuple(factor.multiplier for factor in factors)),
        _alike(tuple(factor.shift for factor in factors)),
        rounding,
        element.quantization.zero_point,
        *activation_limits(element, clamp),
    )


def _alike(entries: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
    """Return one entry where all are the same."""
    return entries[:1] if len(set(entries)) == 1 else entries


def _reduced(factor: FixedPoint) -> FixedPoint:
    """Return a factor with a multiplier of 15 bits.

    Raises:
        RefusalError: It needs a left shift that the runtime does not have.
    """
    dropped = 31 - _REDUCED_BITS
    if factor.shift - dropped < _REDUCED_BITS - 7:
        raise RefusalError(f"the ratio of scales {factor.value:.6g} is beyond what the runtime shifts 64 bits by")
    multiplier = min((factor.multiplier + (1 << (dropped - 1))) >> dropped, (1 << _REDUCED_BITS) - 1)
    return FixedPoint(multiplier, factor.shift - dropped)
