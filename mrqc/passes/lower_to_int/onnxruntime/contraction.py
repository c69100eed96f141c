"""QLinearConv, QLinearMatMul and QGemm: exact sums, then one single-precision factor for each output channel."""

from __future__ import annotations

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS
from mrqc.passes.lower_to_int.onnxruntime.single import byte_quantization, quantization_of
from mrqc.passes.lower_to_int.rules import Site

_BIAS_TOLERANCE = 1e-5
"""The runtime takes the codes of a bias for sums of products, whatever their own scale; this much may they differ."""

SUMS = Element(DType.I32)
KEEP_SUMS = int_ops.Requantize((1,), (0,), Rounding.HALF_UP, 0, DType.I32.minimum, DType.I32.maximum)
"""No requantization: the result is the accumulator."""


@ONNXRUNTIME_LOWERINGS.register(nn.Conv2D)
def lower_conv2d(op: Op, site: Site) -> Value:
    """Sums of products of codes without their zero points, then a factor."""
    assert isinstance(op, nn.Conv2D)
    zero_point, weight_zero_point = _zero_points(op)
    sums = site.emit(
        int_ops.Conv2D(
            op.input,
            op.weight,
            op.bias,
            op.strides,
            op.padding,
            op.dilations,
            op.groups,
            input_zero_point=zero_point,
            weight_zero_point=weight_zero_point,
            requantize=KEEP_SUMS,
            element=SUMS,
        )
    )
    return _rescaled(op, sums, site)


@ONNXRUNTIME_LOWERINGS.register(nn.FullyConnected)
def lower_fully_connected(op: Op, site: Site) -> Value:
    """Sums of products of codes without their zero points, then a factor."""
    assert isinstance(op, nn.FullyConnected)
    zero_point, weight_zero_point = _zero_points(op)
    sums = site.emit(
        int_ops.FullyConnected(
            op.input,
            op.weight,
            op.bias,
            input_zero_point=zero_point,
            weight_zero_point=weight_zero_point,
            requantize=KEEP_SUMS,
            element=SUMS,
        )
    )
    return _rescaled(op, sums, site)


@ONNXRUNTIME_LOWERINGS.register(nn.BatchMatMul)
def lower_batch_matmul(op: Op, site: Site) -> Value:
    """Sums of products of codes without their zero points, then one factor."""
    assert isinstance(op, nn.BatchMatMul)
    lhs, rhs, result = byte_quantization(op.lhs), byte_quantization(op.rhs), quantization_of(op.element)
    sums = site.emit(
        int_ops.BatchMatMul(
            op.lhs,
            op.rhs,
            op.adjoint_lhs,
            op.adjoint_rhs,
            lhs_zero_point=lhs.zero_point,
            rhs_zero_point=rhs.zero_point,
            requantize=KEEP_SUMS,
            element=SUMS,
        )
    )
    factor = np.float32(lhs.scale) * np.float32(rhs.scale) / np.float32(result.scale)
    limits = site.limits(op.element, op.clamp)
    return site.emit(int_ops.FloatRescale(sums, (float(factor),), result.zero_point, *limits, op.element))


def _rescaled(op: nn.Conv2D | nn.FullyConnected, sums: Value, site: Site) -> Value:
    """Return the codes: ``input_scale * weight_scale / result_scale``, each step in single precision."""
    if op.element.dtype is DType.I32 and op.element.quantization == _product_scale(op):
        return sums
    quantization = quantization_of(op.element)
    scale = np.float32(byte_quantization(op.input).scale)
    factors = scale * np.asarray(_weight_quantization(op).scales, np.float32) / np.float32(quantization.scale)
    scales = tuple(float(factor) for factor in np.atleast_1d(factors))
    limits = site.limits(op.element, op.clamp)
    return site.emit(int_ops.FloatRescale(sums, scales, quantization.zero_point, *limits, op.element))


def _zero_points(op: nn.Conv2D | nn.FullyConnected) -> tuple[int, int]:
    """Return the zero points of input and weights, after a look at the bias."""
    input_, weight = byte_quantization(op.input), _weight_quantization(op)
    if len(set(weight.zero_points)) > 1:
        raise RefusalError("its weights have different zero points along the output channels")
    if op.bias is not None:
        _check_bias(op.bias.type.quantization, input_.scale, weight)
    return input_.zero_point, weight.zero_points[0]


def _weight_quantization(op: nn.Conv2D | nn.FullyConnected) -> Quantization:
    weight = op.weight.type.quantization
    if weight is None or weight.axis not in (None, 0):
        raise RefusalError("its weights are not quantized along output channels")
    return weight


def _check_bias(bias: Quantization | None, input_scale: float, weight: Quantization) -> None:
    if bias is None or not bias.is_symmetric or len(bias.scales) not in (1, len(weight.scales)):
        raise RefusalError(
            "its bias is no 32-bit constant at the scale of the sums, the runtime computes such a layer in floats",
            "quantize the bias at input scale times weight scale",
        )
    wanted = input_scale * np.asarray(weight.scales)
    if np.abs(np.asarray(bias.scales) / wanted - 1.0).max() > _BIAS_TOLERANCE:
        raise RefusalError("its bias does not have the scale of the sums", "input scale times weight scale")


def _product_scale(op: nn.Conv2D | nn.FullyConnected) -> Quantization | None:
    """Return the quantization of sums that ConvInteger and MatMulInteger give."""
    weight = _weight_quantization(op)
    if len(weight.scales) > 1:
        return None
    return Quantization.per_tensor(byte_quantization(op.input).scale * weight.scale)
