"""Add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Constant, Tensor, UnsupportedNodeError
from mrqc.ops import nn


def import_add(site: Site) -> Tensor:
    """Tensors of equal shape; a constant for each channel right after MatMul, Gemm or Conv, as its bias."""
    lhs, rhs = site.operand(0), site.operand(1)
    if isinstance(lhs, Constant) and isinstance(rhs, Activation):
        lhs, rhs = rhs, lhs
    if isinstance(lhs, Activation) and isinstance(rhs, Constant):
        fused = _with_bias(site, lhs, rhs)
        if fused is not None:
            return fused
        rhs = _stretched(rhs, lhs.shape)
    first, second = site.as_activation(lhs), site.as_activation(rhs)
    for activation in (first, second):
        if activation.value.type.dtype.is_integer:
            raise UnsupportedNodeError(
                "it works on codes", "mrqc imports it between DequantizeLinear and QuantizeLinear"
            )
    if first.shape != second.shape:
        raise UnsupportedNodeError(
            f"shapes {list(first.shape)} and {list(second.shape)} differ",
            "only tensors of equal shape can be added",
        )
    layout = second.permutation if second.permutation == NHWC_SEEN_AS_NCHW else first.permutation
    left, right = (site.emitter.arrange(activation, layout, site.location) for activation in (first, second))
    return Activation(site.emit(nn.Add(left, right)), layout)


def _with_bias(site: Site, activation: Activation, constant: Constant) -> Activation | None:
    """Return the layer that computes ``activation``, with the constant as its bias, if it is one without."""
    layer = site.emitter.definition(activation.value)
    if not isinstance(layer, nn.Conv2D | nn.FullyConnected) or layer.bias is not None:
        return None
    channel_axis = activation.permutation.index(activation.value.type.rank - 1)
    channels = activation.shape[channel_axis]
    trailing = len(activation.shape) - channel_axis - 1
    shape = (1,) * (len(constant.shape) - trailing - 1) + (channels,) + (1,) * trailing
    if constant.shape != shape:
        return None
    bias = site.as_activation(constant.reshaped((channels,))).value
    return Activation(
        site.emit(replace(layer, bias=bias), site.emitter.location(activation.value)), activation.permutation
    )


def _stretched(constant: Constant, shape: tuple[int, ...]) -> Constant:
    """Return the constant with leading axes of extent 1 where only those are missing."""
    missing = len(shape) - len(constant.shape)
    if missing > 0 and (1,) * missing + constant.shape == shape:
        return constant.reshaped(shape)
    return constant


ELEMENTWISE_RULES: Mapping[str, NodeRule] = {"Add": NodeRule(import_add, 2)}
"""Nodes that combine two tensors element by element."""
