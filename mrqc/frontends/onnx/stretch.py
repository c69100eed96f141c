"""Tile and Expand: what is there several times, of constants, floats and codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor
from mrqc.ops import nn

_LARGEST = 1 << 28
"""Elements; more than that is a mistake in the file."""


def import_tile(site: Site) -> Tensor:
    """A constant number of times along each axis."""
    tensor, repeats = site.operand(0), site.integers(1, "repeats")
    if len(repeats) != len(tensor.shape):
        raise UnsupportedError(f"{len(repeats)} repeats do not fit {len(tensor.shape)} axes")
    return _repeated(site, tensor, repeats)


def import_expand(site: Site) -> Tensor:
    """To a constant shape, as numpy broadcasts."""
    tensor, wanted = site.operand(0), site.integers(1, "shape")
    try:
        shape = np.broadcast_shapes(tensor.shape, wanted)
    except ValueError:
        raise UnsupportedError(f"shape {list(tensor.shape)} cannot become {list(wanted)}") from None
    if len(shape) > len(tensor.shape):
        tensor = _with_rank(site, tensor, len(shape))
    return _repeated(site, tensor, [new // old for new, old in zip(shape, tensor.shape, strict=True)])


def _with_rank(site: Site, tensor: Activation | Constant, rank: int) -> Activation | Constant:
    shape = (1,) * (rank - len(tensor.shape)) + tensor.shape
    if isinstance(tensor, Constant):
        return tensor.reshaped(shape)
    return Activation.plain(site.emitter.reshape(tensor, shape, site.location))


def _repeated(site: Site, tensor: Activation | Constant, repeats: Sequence[int]) -> Tensor:
    size = math.prod(tensor.shape) * math.prod(repeats)
    if min(repeats, default=1) < 1 or size > _LARGEST:
        raise UnsupportedError(f"shape {list(tensor.shape)} cannot be repeated {list(repeats)} times")
    if isinstance(tensor, Constant) and tensor.element is None:
        return Constant(site.node.outputs[0], np.tile(tensor.array, tuple(repeats)))
    activation = site.as_activation(tensor)
    value = activation.value
    for axis, count in enumerate(repeats):
        if count > 1:
            place = activation.permutation[axis]
            value = site.emit(nn.Take(value, place, tuple(range(value.type.shape[place])) * count))
    return Activation(value, activation.permutation)


STRETCH_RULES: Mapping[str, NodeRule] = {
    "Tile": NodeRule(import_tile, 2),
    "Expand": NodeRule(import_expand, 2),
}
"""Nodes that repeat elements."""
