"""Convolutions and fully connected layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import tflite

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.windows import padded_input, same_padding, window_options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site
from mrqc.errors import RefusalError
from mrqc.ir import FLOAT, Data, DType, Element, Op, Quantization, TensorType
from mrqc.ops import nn
from mrqc.ops.window import Window

_OUTPUTS_LAST = (3, 1, 2, 0)
_Contraction: TypeAlias = nn.Conv2D | nn.TransposeConv2D | nn.FullyConnected

_BIAS_TOLERANCE = 1e-5
"""So close are the scales of a bias to those of the sums that only roundings to single precision lie between."""


@TFLITE_EXPORTS.register(nn.Conv2D)
def export_conv2d(op: Op, site: Site) -> None:
    """``CONV_2D``, or ``DEPTHWISE_CONV_2D`` where each group reads one channel."""
    assert isinstance(op, nn.Conv2D)
    _check_types(op)
    _, height, width, _ = op.input.type.shape
    images, scheme = padded_input(site, op.input, op.window, (height, width), 0.0)
    inputs = [images, _depthwise_weights(op, site) if op.is_depthwise else site.operand(op.weight)]
    inputs += _bias(op, site)
    fields = (*window_options(op.strides, scheme), ("DilationHFactor", op.dilations[0]))
    fields = (*fields, ("DilationWFactor", op.dilations[1]))
    if not op.is_depthwise:
        site.finish_clamped(
            "CONV_2D",
            inputs,
            op.clamp,
            lambda activation: Options("Conv2DOptions", (*fields, ("FusedActivationFunction", activation))),
        )
        return
    multiplier = op.weight.type.shape[0] // op.groups
    fields = (*fields, ("DepthMultiplier", multiplier))
    site.finish_clamped(
        "DEPTHWISE_CONV_2D",
        inputs,
        op.clamp,
        lambda activation: Options("DepthwiseConv2DOptions", (*fields, ("FusedActivationFunction", activation))),
    )


@TFLITE_EXPORTS.register(nn.FullyConnected)
def export_fully_connected(op: Op, site: Site) -> None:
    """``FULLY_CONNECTED``."""
    assert isinstance(op, nn.FullyConnected)
    _check_types(op)
    is_hybrid = op.weight.type.element.is_quantized and not op.input.type.element.is_quantized
    asymmetric = ("AsymmetricQuantizeInputs", is_hybrid and site.writer.asymmetric_inputs)
    site.finish_clamped(
        "FULLY_CONNECTED",
        [site.operand(op.input), site.operand(op.weight), *_bias(op, site)],
        op.clamp,
        lambda activation: Options("FullyConnectedOptions", (("FusedActivationFunction", activation), asymmetric)),
    )


@TFLITE_EXPORTS.register(nn.TransposeConv2D)
def export_transpose_conv2d(op: Op, site: Site) -> None:
    """``TRANSPOSE_CONV``."""
    assert isinstance(op, nn.TransposeConv2D)
    _check_types(op)
    if op.groups > 1 or op.dilations != (1, 1):
        raise RefusalError("a transposed convolution with groups or dilations: TFLite has neither")
    scheme = _transposed_scheme(op)
    shape = site.writer.integers("shape", op.output_shape)
    inputs = [shape, site.operand(op.weight), site.operand(op.input), *_bias(op, site)]
    fields = window_options(op.strides, scheme)
    site.finish_clamped(
        "TRANSPOSE_CONV",
        inputs,
        op.clamp,
        lambda activation: Options("TransposeConvOptions", (*fields, ("FusedActivationFunction", activation))),
    )


@TFLITE_EXPORTS.register(nn.BatchMatMul)
def export_batch_matmul(op: Op, site: Site) -> None:
    """``BATCH_MATMUL``; it has no fused activation."""
    assert isinstance(op, nn.BatchMatMul)
    if op.lhs.type.dtype is DType.U8:
        raise RefusalError("a product of unsigned matrices: TFLite has signed ones only")
    inputs = [site.operand(op.lhs), site.operand(op.rhs)]
    options = Options("BatchMatMulOptions", (("AdjX", op.adjoint_lhs), ("AdjY", op.adjoint_rhs)))
    if op.clamp == nn.UNBOUNDED:
        site.finish("BATCH_MATMUL", inputs, options)
        return
    products = site.step("BATCH_MATMUL", inputs, site.result.type, options)
    site.finish_limits(products, op.clamp, site.result.type.element)


def _transposed_scheme(op: nn.TransposeConv2D) -> int:
    """Return the padding scheme that cuts off as much at the top and left as the op does."""
    _, height, width, _ = op.output_shape
    _, kernel_height, kernel_width, _ = op.weight.type.shape
    kernel = (kernel_height, kernel_width)
    same = same_padding(Window(kernel, op.strides), (height, width))
    for scheme, padding, lost in (
        (tflite.Padding.VALID, (0, 0), (kernel_height - 1, kernel_width - 1)),
        (tflite.Padding.SAME, same[:2], (0, 0)),
    ):
        # The kernel insists on the size that a convolution of the result with this scheme would have.
        size = tuple(
            -(-(extent - less) // stride)
            for extent, less, stride in zip((height, width), lost, op.strides, strict=True)
        )
        if op.padding[:2] == padding and size == op.input.type.shape[1:3]:
            return scheme
    raise RefusalError(f"a transposed convolution with padding {list(op.padding)}: TFLite has SAME and VALID only")


def _check_types(op: _Contraction) -> None:
    """Refuse what the kernels would misread."""
    inputs, weight = op.input.type, op.weight.type
    if inputs.quantization is None or weight.quantization is None:
        return
    wanted = DType.U8 if inputs.dtype is DType.U8 else DType.I8
    if weight.dtype is not wanted:
        raise RefusalError(f"weights of {weight.dtype} with an input of {inputs.dtype}: TFLite needs {wanted} weights")
    if wanted is DType.I8 and not weight.quantization.is_symmetric:
        zero_point = next(filter(None, weight.quantization.zero_points))
        raise RefusalError(
            f"signed weights with zero point {zero_point}: TFLite has symmetric ones only",
            "lower to a target with symmetric weights first",
        )
    if wanted is DType.U8 and not weight.quantization.is_per_tensor:
        raise RefusalError("unsigned weights with a scale for each channel: TFLite has one for the layer")


def _depthwise_weights(op: nn.Conv2D, site: Site) -> int:
    """Return the weights with the output channels last, as this operator has them."""
    element = op.weight.type.element
    data = site.data(op.weight)
    if data is None:
        if element.is_quantized:
            raise RefusalError("the weights of a depthwise convolution are computed, TFLite needs a constant")
        permutation = site.writer.integers("permutation", _OUTPUTS_LAST)
        type_ = TensorType(tuple(op.weight.type.shape[axis] for axis in _OUTPUTS_LAST), element)
        return site.step("TRANSPOSE", [site.operand(op.weight), permutation], type_, Options("TransposeOptions"))
    if element.quantization is not None and element.quantization.axis == 0:
        element = replace(element, quantization=replace(element.quantization, axis=3))
    array = np.transpose(data.array, _OUTPUTS_LAST)
    return site.writer.constant(op.weight.name, Data(array), element)


def _bias(op: _Contraction, site: Site) -> list[int]:
    """Return the bias at the scale of the accumulator, as the kernels expect it.

    A convolution must have one: zeros, where the module has none. The kernels read codes at the scale of the sums,
    whatever the file says.
    """
    inputs, weight = op.input.type.quantization, op.weight.type.quantization
    if inputs is None or weight is None:
        if op.bias is None and isinstance(op, nn.Conv2D):
            zeros = Data(np.zeros(op.weight.type.shape[0], np.float32))
            return [site.writer.constant(f"{site.result.name}_bias", zeros, FLOAT)]
        return [] if op.bias is None else [site.operand(op.bias)]
    scales = tuple(inputs.scale * scale for scale in weight.scales)
    if op.bias is not None and _has_scales(op.bias.type.quantization, scales):
        return [site.operand(op.bias)]
    quantization = Quantization(scales, (0,) * len(scales), None if weight.is_per_tensor else 0)
    element = Element(DType.I64 if op.input.type.dtype is DType.I16 else DType.I32, quantization)
    if op.bias is None:
        if isinstance(op, nn.FullyConnected):
            return []
        zeros = Data(np.zeros(op.weight.type.shape[0], element.dtype.numpy))
        return [site.writer.constant(f"{site.result.name}_bias", zeros, element)]
    data = site.data(op.bias)
    if data is None:
        raise RefusalError("the bias is computed, TFLite needs a constant at the scale of the sums")
    found = op.bias.type.quantization
    real = data.array.astype(np.float64) if found is None else found.dequantize(data.array)
    codes = quantization.quantize(real, element.dtype.minimum, element.dtype.maximum)
    return [site.writer.constant(op.bias.name, Data.of(codes, element.dtype), element)]


def _has_scales(found: Quantization | None, scales: tuple[float, ...]) -> bool:
    if found is None or not found.is_symmetric or len(found.scales) not in (1, len(scales)):
        return False
    return bool(np.abs(np.asarray(found.scales) / np.asarray(scales) - 1).max() < _BIAS_TOLERANCE)
