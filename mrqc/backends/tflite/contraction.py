"""Convolutions and fully connected layers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrqc.backends.tflite.file import Options
from mrqc.backends.tflite.windows import padded_input, window_options
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, RefusalError, Site
from mrqc.ir import Data, DType, Element, Op, Quantization
from mrqc.ops import nn


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
    site.finish_clamped(
        "FULLY_CONNECTED",
        [site.operand(op.input), site.operand(op.weight), *_bias(op, site)],
        op.clamp,
        lambda activation: Options("FullyConnectedOptions", (("FusedActivationFunction", activation),)),
    )


def _check_types(op: nn.Conv2D | nn.FullyConnected) -> None:
    """Refuse what the kernels would misread."""
    inputs, weight = op.input.type, op.weight.type
    if inputs.quantization is None or weight.quantization is None:
        return
    wanted = DType.U8 if inputs.dtype is DType.U8 else DType.I8
    if weight.dtype is not wanted:
        raise RefusalError(f"weights of {weight.dtype} with an input of {inputs.dtype}: TFLite needs {wanted} weights")
    if wanted is DType.I8 and not weight.quantization.is_symmetric:
        raise RefusalError(
            f"signed weights with zero point {weight.quantization.zero_points[0]}: TFLite has symmetric ones only",
            "lower to a target with symmetric weights first",
        )
    if wanted is DType.U8 and not weight.quantization.is_per_tensor:
        raise RefusalError("unsigned weights with a scale for each channel: TFLite has one for the layer")


def _depthwise_weights(op: nn.Conv2D, site: Site) -> int:
    """Return the weights with the output channels last, as this operator has them."""
    data = site.data(op.weight)
    if data is None:
        raise RefusalError("the weights of a depthwise convolution are computed, TFLite needs a constant")
    element = op.weight.type.element
    if element.quantization is not None and element.quantization.axis == 0:
        element = replace(element, quantization=replace(element.quantization, axis=3))
    array = np.transpose(data.array, (3, 1, 2, 0))
    return site.writer.constant(op.weight.name, Data(array), element)


def _bias(op: nn.Conv2D | nn.FullyConnected, site: Site) -> list[int]:
    """Return the bias at the scale of the accumulator, as the kernels expect it.

    A quantized convolution must have one: zeros, where the module has none.
    """
    inputs, weight = op.input.type.quantization, op.weight.type.quantization
    if inputs is None or weight is None:
        return [] if op.bias is None else [site.operand(op.bias)]
    if op.bias is not None and op.bias.type.element.is_quantized:
        return [site.operand(op.bias)]
    scales = tuple(inputs.scale * scale for scale in weight.scales)
    quantization = Quantization(scales, (0,) * len(scales), None if weight.is_per_tensor else 0)
    element = Element(DType.I64 if op.input.type.dtype is DType.I16 else DType.I32, quantization)
    if op.bias is None:
        if isinstance(op, nn.FullyConnected):
            return []
        zeros = Data(np.zeros(op.weight.type.shape[0], element.dtype.numpy))
        return [site.writer.constant(f"{site.result.name}_bias", zeros, element)]
    data = site.data(op.bias)
    if data is None:
        raise RefusalError("a float bias is computed, TFLite needs a quantized constant")
    codes = quantization.quantize(data.array.astype(np.float64), element.dtype.minimum, element.dtype.maximum)
    return [site.writer.constant(op.bias.name, Data.of(codes, element.dtype), element)]


@TFLITE_EXPORTS.register(nn.TransposeConv2D, nn.BatchMatMul)
def refuse_contraction(op: Op, site: Site) -> None:
    """Refuse: no rule writes them."""
    del site
    raise RefusalError(f"{op.mnemonic} cannot be written as TFLite")
