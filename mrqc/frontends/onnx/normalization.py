"""BatchNormalization."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ir.op import Value
from mrqc.ops import nn


def import_batch_normalization(site: Site) -> Tensor:
    """As it is at inference, on floats, with constant parameters."""
    activation = site.float_operand(0)
    if site.integer("training_mode", 0):
        raise UnsupportedError("it is in training mode", "export the model for inference")
    rank = len(activation.shape)
    if rank < 2:
        raise UnsupportedError(f"it needs a batch and channels, found shape {list(activation.shape)}")
    value, permutation = activation.value, activation.permutation
    if permutation[1] != rank - 1:
        permutation = (0, rank - 1, *range(1, rank - 1))
        value = site.emitter.arrange(activation, permutation, site.location)
    scale, bias, mean, variance = (_per_channel(site, index, activation.shape[1]) for index in range(1, 5))
    op = nn.BatchNormalization(value, scale, bias, mean, variance, site.number("epsilon", 1e-5))
    return Activation(site.emit(op), permutation)


def _per_channel(site: Site, index: int, channels: int) -> Value:
    array = site.plain_array(index, "parameter")
    if array.shape != (channels,):
        raise UnsupportedError(f"parameter {index} has shape {list(array.shape)}, not one number for each channel")
    return site.as_activation(Constant(site.node.inputs[index], array.astype(np.float32))).value


NORMALIZATION_RULES: Mapping[str, NodeRule] = {
    "BatchNormalization": NodeRule(import_batch_normalization, 5, ("epsilon", "momentum", "spatial", "training_mode")),
}
"""Nodes that only scale and shift at inference."""
