"""BatchNormalization: a factor and an addend for each channel, as part of the layer before it where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Constant, Tensor, UnsupportedNodeError
from mrqc.ir.op import Op, Value
from mrqc.ops import nn


def import_batch_normalization(site: Site) -> Tensor:
    """As it is at inference, on floats; goes into the convolution before it, else becomes a depthwise one."""
    activation = site.float_operand(0)
    if site.integer("training_mode", 0):
        raise UnsupportedNodeError("it is in training mode", "export the model for inference")
    if len(activation.shape) not in (2, 4):
        raise UnsupportedNodeError(f"only 2 or 4 axes are supported, found shape {list(activation.shape)}")
    channels = activation.shape[1]
    scale, bias, mean, variance = (_per_channel(site, index, channels) for index in range(1, 5))
    factor = scale / np.sqrt(variance + site.number("epsilon", 1e-5))
    addend = bias - mean * factor
    op, permutation = _scaled(site, activation, factor, addend)
    return Activation(site.emit(op), permutation)


def _scaled(
    site: Site, activation: Activation, factor: NDArray[np.float64], addend: NDArray[np.float64]
) -> tuple[Op, tuple[int, ...]]:
    """Return the op that gives the normalized tensor, and how ONNX sees its result."""
    layer = site.emitter.definition(activation.value)
    last = activation.value.type.rank - 1
    if isinstance(layer, nn.Conv2D | nn.FullyConnected) and activation.permutation[1] == last:
        weight = site.emitter.float_constant(layer.weight)
        before = np.zeros_like(factor) if layer.bias is None else site.emitter.float_constant(layer.bias)
        if weight is not None and before is not None:
            shape = (-1,) + (1,) * (weight.ndim - 1)
            new_weight = _constant(site, weight * factor.reshape(shape), "weight")
            new_bias = _constant(site, before * factor + addend, "bias")
            return replace(layer, weight=new_weight, bias=new_bias), activation.permutation
    channels = factor.size
    if len(activation.shape) == 2:
        matrix = _constant(site, np.diag(factor), "weight")
        return nn.FullyConnected(site.logical(activation), matrix, _constant(site, addend, "bias")), (0, 1)
    weight = _constant(site, factor.reshape(channels, 1, 1, 1), "weight")
    op = nn.Conv2D(site.nhwc(activation), weight, _constant(site, addend, "bias"), groups=channels)
    return op, NHWC_SEEN_AS_NCHW


def _constant(site: Site, array: NDArray[np.float64], role: str) -> Value:
    name = f"{site.node.label}/{role}"
    return site.as_activation(Constant(name, array.astype(np.float32))).value


def _per_channel(site: Site, index: int, channels: int) -> NDArray[np.float64]:
    array = site.plain_array(index, "parameter").astype(np.float64)
    if array.shape != (channels,):
        raise UnsupportedNodeError(f"parameter {index} has shape {list(array.shape)}, not one number for each channel")
    return array


NORMALIZATION_RULES: Mapping[str, NodeRule] = {
    "BatchNormalization": NodeRule(import_batch_normalization, 5, ("epsilon", "momentum", "spatial", "training_mode")),
}
"""Nodes that only scale and shift at inference."""
