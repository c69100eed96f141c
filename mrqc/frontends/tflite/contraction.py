"""CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, BATCH_MATMUL.

The runtime rounds a float input to 8 bits on the fly where it meets weights of codes; mrqc keeps to the real numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.windows import (
    DILATION_OPTIONS,
    FUSED,
    WINDOW_OPTIONS,
    fused_clamp,
    read_transposed_padding,
    read_window,
)
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element
from mrqc.ops import nn

_OHWI_FROM_1HWO = (3, 1, 2, 0)
_BIAS_TOLERANCE = 1e-6
"""A bias scale counts as the accumulator's if it is this close: files hold the product rounded to single precision."""


def import_conv_2d(site: Site) -> Value:
    """Floats or codes, with constant weights; any groups and window; a clamp as fused activation."""
    weight = _weight(site, 4)
    return _convolution(site, weight, _groups(site.image(0), weight.shape[3]))


def import_depthwise_conv_2d(site: Site) -> Value:
    """Floats or codes, with constant weights; any depth multiplier and window; a clamp as fused activation."""
    weight = _weight(site, 4)
    if weight.shape[0] != 1:
        raise UnsupportedError(f"the weight must have shape [1, height, width, O], found {list(weight.shape)}")
    return _convolution(site, weight.transposed(_OHWI_FROM_1HWO), site.image(0).type.shape[3])


def import_transpose_conv(site: Site) -> Value:
    """Floats or codes, with constant weights and result shape; any window; a clamp as fused activation."""
    weight, image = _weight(site, 4, 2), site.image(2)
    shape = site.integers(0, "shape of the result")
    _, kernel_height, kernel_width, _ = weight.shape
    strides = (site.integer("stride_h"), site.integer("stride_w"))
    if len(shape) != 4 or min(shape) < 1 or min(strides) < 1:
        raise UnsupportedError(f"a result of shape {list(shape)} with strides {list(strides)}")
    before = read_transposed_padding(site, (kernel_height, kernel_width), strides, (shape[1], shape[2]))
    (top, bottom), (left, right) = (
        (cut, (size - 1) * stride + taps - cut - wanted)
        for cut, size, stride, taps, wanted in zip(
            before, image.type.shape[1:3], strides, weight.shape[1:3], shape[1:3], strict=True
        )
    )
    op = nn.TransposeConv2D(
        image,
        _weight_value(site, weight, 2),
        _bias(site, image, weight, 3),
        strides,
        (top, left, bottom, right),
        clamp=fused_clamp(site),
        element=site.real_element(image),
    )
    return site.emit(op)


def import_fully_connected(site: Site) -> Value | Constant:
    """Floats or codes, with constant weights; an input of any rank; a clamp as fused activation."""
    if site.integer("weights_format"):
        raise UnsupportedError("shuffled weights are not supported", "possible: weights_format DEFAULT")
    weight = _weight(site, 2)
    rows = site.real_value(0)
    outputs, depth = weight.shape
    if rows.type.size % depth:
        raise UnsupportedError(f"weights for {depth} inputs, the operand has shape {list(rows.type.shape)}")
    flat = site.emitted(site.reshape(rows, (rows.type.size // depth, depth)))
    result = site.emit(
        nn.FullyConnected(
            flat,
            _weight_value(site, weight),
            _bias(site, rows, weight),
            clamp=fused_clamp(site),
            element=site.real_element(rows),
        )
    )
    if not site.flag("keep_num_dims"):
        return result
    if rows.type.shape[-1:] != (depth,):
        raise UnsupportedError(f"the last axis of {list(rows.type.shape)} must be kept, but has no {depth} entries")
    return site.reshape(result, (*rows.type.shape[:-1], outputs))


def import_batch_matmul(site: Site) -> Value:
    """Floats or codes; either operand constant, computed or adjoint; leading axes are stretched."""
    lhs, rhs = site.real_value(0), site.real_value(1)
    if (lhs.type.dtype is DType.F32) != (rhs.type.dtype is DType.F32):
        raise UnsupportedError(f"a product of {lhs.type.dtype} and {rhs.type.dtype}")
    adjoint = (site.flag("adj_x"), site.flag("adj_y"))
    return site.emit(nn.BatchMatMul(lhs, rhs, *adjoint, element=site.real_element(lhs)))


def _convolution(site: Site, weight: Constant, groups: int) -> Value:
    image = site.image(0)
    _, kernel_height, kernel_width, _ = weight.shape
    _, height, width, _ = image.type.shape
    window = read_window(site, (kernel_height, kernel_width), height, width)
    return site.emit(
        nn.Conv2D(
            image,
            _weight_value(site, weight),
            _bias(site, image, weight),
            window.strides,
            window.padding,
            window.dilations,
            groups,
            fused_clamp(site),
            site.real_element(image),
        )
    )


def _groups(image: Value, depth: int) -> int:
    """Return the number of groups that weights of that depth divide the channels into."""
    channels = image.type.shape[3]
    if channels % depth:
        raise UnsupportedError(f"weights for {depth} input channels a group, the input has {channels}")
    return channels // depth


def _weight(site: Site, rank: int, rows_index: int = 0) -> Constant:
    """Return weights of that rank: floats, or codes of 8 bits."""
    weight = site.constant(1, "weight")
    if len(weight.shape) != rank:
        raise UnsupportedError(f"the weight must have {rank} axes, found shape {list(weight.shape)}")
    rows = site.value(rows_index).type.dtype
    dtype = weight.element.dtype if weight.element else None
    if dtype not in (DType.I8, DType.U8) and (dtype, rows) != (DType.F32, DType.F32):
        raise UnsupportedError(
            f"weights of type {dtype or weight.array.dtype} with an input of type {rows}",
            "possible: floats with floats, 8-bit codes with anything",
        )
    if dtype is not DType.F32 and (weight.element is None or weight.element.quantization is None):
        raise UnsupportedError(f"the weight {site.name(1)!r} has no quantization parameters")
    return weight


def _weight_value(site: Site, weight: Constant, rows_index: int = 0) -> Value:
    """Return weights as a value; codes that meet a float input become floats."""
    value = site.emitted(weight)
    if value.type.element.is_quantized and site.value(rows_index).type.dtype is DType.F32:
        return site.emit(nn.Dequantize(value))
    return value


def _bias(site: Site, rows: Value, weight: Constant, index: int = 2) -> Value | None:
    """Return the bias: floats, or codes at the scale of the accumulator, which is how the runtime adds them."""
    if not site.has_operand(index):
        return None
    bias = site.constant(index, "bias")
    if bias.array.size == weight.shape[0]:
        bias = bias.reshaped(weight.shape[:1])
    if bias.element is None or (bias.element.dtype is DType.F32) != (rows.type.dtype is DType.F32):
        raise UnsupportedError(f"a bias of type {bias.array.dtype} with an input of {rows.type.dtype}")
    if bias.element.dtype is DType.F32:
        return site.emitted(bias)
    if bias.element.dtype not in (DType.I32, DType.I64):
        raise UnsupportedError(f"a bias of type {bias.element.dtype}", "possible: INT32, INT64")
    assert rows.type.quantization is not None
    assert weight.element is not None
    assert weight.element.quantization is not None
    element = _bias_element(bias.element, rows.type.quantization, weight.element.quantization)
    return site.emitted(replace(bias, element=element))


def _bias_element(found: Element, rows: Quantization, weight: Quantization) -> Element:
    """Return the scales of the file where they are those of the accumulator, else the accumulator's own."""
    scales = tuple(rows.scale * scale for scale in weight.scales)
    axis = None if len(scales) == 1 else 0
    quantization = found.quantization
    if (
        quantization is not None
        and quantization.is_symmetric
        and len(quantization.scales) == len(scales)
        and quantization.axis == axis
        and np.allclose(quantization.scales, scales, rtol=_BIAS_TOLERANCE, atol=0.0)
    ):
        return found
    return replace(found, quantization=Quantization(scales, (0,) * len(scales), axis))


CONTRACTION_RULES: Mapping[str, Support] = {
    "CONV_2D": Support(
        import_conv_2d, (2, 3), "Conv2DOptions", (*WINDOW_OPTIONS, *DILATION_OPTIONS, FUSED, "quantized_bias_type")
    ),
    "DEPTHWISE_CONV_2D": Support(
        import_depthwise_conv_2d,
        (2, 3),
        "DepthwiseConv2DOptions",
        # The runtime works the multiplier out from the shapes, and so does mrqc.
        (*WINDOW_OPTIONS, *DILATION_OPTIONS, FUSED, "depth_multiplier"),
    ),
    "TRANSPOSE_CONV": Support(
        import_transpose_conv, (3, 4), "TransposeConvOptions", (*WINDOW_OPTIONS, FUSED, "quantized_bias_type")
    ),
    "FULLY_CONNECTED": Support(
        import_fully_connected,
        (2, 3),
        "FullyConnectedOptions",
        # Asymmetric inputs: how the runtime rounds float inputs that meet weights of codes.
        (FUSED, "weights_format", "keep_num_dims", "asymmetric_quantize_inputs", "quantized_bias_type"),
    ),
    "BATCH_MATMUL": Support(
        import_batch_matmul,
        (2, 2),
        "BatchMatMulOptions",
        # Asymmetric inputs: how the runtime rounds float inputs that meet matrices of codes.
        ("adj_x", "adj_y", "asymmetric_quantize_inputs"),
    ),
}
"""Operators that multiply and accumulate."""
