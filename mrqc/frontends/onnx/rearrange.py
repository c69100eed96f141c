"""Concat, Slice, Split, Pad, Gather, DepthToSpace, SpaceToDepth: on constants, floats and codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.ops.nn.layout import Mirror

_MIRRORS = {"reflect": Mirror.REFLECT}


def import_concat(site: Site) -> Tensor:
    """Along any axis: constants, floats, or codes of one scale."""
    tensors = [site.operand(index) for index in range(len(site.node.inputs))]
    if not tensors:
        raise UnsupportedError("it has no inputs")
    if all(isinstance(tensor, Constant) for tensor in tensors):
        return _joined_constants(site)
    activations = [site.as_activation(tensor) for tensor in tensors]
    elements = {activation.value.type.element for activation in activations}
    if len(elements) > 1:
        raise UnsupportedError(
            "its operands are codes of different scales", "mrqc imports it between DequantizeLinear and QuantizeLinear"
        )
    return concatenated(site, activations, site.integer("axis", 1), elements.pop())


def concatenated(site: Site, activations: Sequence[Activation], axis: int, element: Element) -> Activation:
    """Emit a concatenation, in the layout that most of the operands have."""
    rank = len(activations[0].shape)
    if any(len(activation.shape) != rank for activation in activations):
        shapes = [list(activation.shape) for activation in activations]
        raise UnsupportedError(f"shapes {shapes} cannot be joined")
    layouts = [activation.permutation for activation in activations]
    layout = max(dict.fromkeys(layouts), key=layouts.count)
    if NHWC_SEEN_AS_NCHW in layouts:
        layout = NHWC_SEEN_AS_NCHW
    values = tuple(site.emitter.arrange(activation, layout, site.location) for activation in activations)
    op = nn.Concat(values, layout[site.axis(axis, rank)], element)
    return Activation(site.emit(op), layout)


def _joined_constants(site: Site) -> Constant:
    arrays = [site.plain_array(index, "operand") for index in range(len(site.node.inputs))]
    axis = site.axis(site.integer("axis", 0), arrays[0].ndim)
    shapes = {(*array.shape[:axis], *array.shape[axis + 1 :], array.ndim) for array in arrays}
    if len(shapes) != 1:
        raise UnsupportedError(f"shapes {[list(array.shape) for array in arrays]} cannot be joined")
    return Constant(site.node.outputs[0], np.concatenate(arrays, axis))


@dataclass(frozen=True, slots=True)
class _Cut:
    """A part of one axis: ``count`` elements from ``first`` in steps."""

    first: int
    count: int
    step: int


def import_slice(site: Site) -> Tensor:
    """Constant starts, ends, axes and steps; backwards too."""
    tensor = site.operand(0)
    starts, ends = _bounds(site, 1, "starts"), _bounds(site, 2, "ends")
    axes = site.integers(3, "axes") if site.has_operand(3) else site.integer_list("axes")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = site.integers(4, "steps") if site.has_operand(4) else (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise UnsupportedError("starts, ends, axes and steps must be equally many, and no step 0")
    cuts = {axis: _Cut(0, extent, 1) for axis, extent in enumerate(tensor.shape)}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = site.axis(axis, len(tensor.shape))
        extent = tensor.shape[place]
        # Counting backwards, "before the first element" is any end below -extent; Python spells it None.
        found = range(extent)[slice(start, None if step < 0 and end < -extent else end, step)]
        cuts[place] = _Cut(found.start, len(found), step)
    return _cut(site, tensor, cuts)


def import_split(site: Site) -> tuple[Tensor, ...]:
    """Into parts of constant or equal sizes."""
    tensor = site.operand(0)
    axis = site.axis(site.integer("axis", 0), len(tensor.shape))
    extent, parts = tensor.shape[axis], len(site.node.outputs)
    sizes = site.integers(1, "split") if site.has_operand(1) else site.integer_list("split")
    if sizes is None:
        most = -(-extent // site.integer("num_outputs", parts))
        sizes = (*(most,) * (parts - 1), extent - most * (parts - 1))
    if len(sizes) != parts or sum(sizes) != extent or min(sizes) < 1:
        raise UnsupportedError(f"sizes {list(sizes)} do not split an extent of {extent} into {parts}")
    found: list[Tensor] = []
    for index, size in enumerate(sizes):
        cuts = {other: _Cut(0, whole, 1) for other, whole in enumerate(tensor.shape)}
        cuts[axis] = _Cut(sum(sizes[:index]), size, 1)
        found.append(_cut(site, tensor, cuts))
    return tuple(found)


def import_gather(site: Site) -> Tensor:
    """Constant indices along one axis."""
    tensor = site.operand(0)
    indices = site.plain_array(1, "indices")
    axis = site.axis(site.integer("axis", 0), len(tensor.shape))
    extent = tensor.shape[axis]
    if not np.issubdtype(indices.dtype, np.integer) or np.any((indices < -extent) | (indices >= extent)):
        raise UnsupportedError(f"the indices must be integers between {-extent} and {extent - 1}")
    if isinstance(tensor, Constant):
        return Constant(site.node.outputs[0], np.take(site.plain_array(0, "operand"), indices, axis))
    picked = tuple(int(index) % extent for index in indices.reshape(-1))
    op = nn.Take(tensor.value, tensor.permutation[axis], picked)
    result = Activation(site.emit(op), tensor.permutation)
    return site.reshape(result, (*tensor.shape[:axis], *indices.shape, *tensor.shape[axis + 1 :]))


def import_pad(site: Site) -> Tensor:
    """Constant amounts, with a constant, by reflection, or with the edge; negative amounts cut off."""
    activation = site.as_activation(site.operand(0))
    rank = len(activation.shape)
    pads = _amounts(site, rank)
    mode = site.text("mode", "constant")
    padding = [0] * (2 * rank)
    for axis in range(rank):
        place = activation.permutation[axis]
        padding[2 * place : 2 * place + 2] = pads[axis]
    value = activation.value
    cut = {
        axis: _Cut(max(-padding[2 * axis], 0), extent + sum(min(end, 0) for end in padding[2 * axis : 2 * axis + 2]), 1)
        for axis, extent in enumerate(value.type.shape)
    }
    if min(padding, default=0) < 0:
        value = _sliced(site, value, cut)
    positive = tuple(max(amount, 0) for amount in padding)
    return Activation(_padded(site, value, positive, mode), activation.permutation)


def _padded(site: Site, value: Value, padding: tuple[int, ...], mode: str) -> Value:
    if not any(padding):
        return value
    if mode == "constant":
        return site.emit(nn.Pad(value, padding, _fill(site, value)))
    if mode in _MIRRORS:
        return site.emit(nn.MirrorPad(value, padding, _MIRRORS[mode]))
    if mode != "edge":
        raise UnsupportedError(f"mode {mode!r} is not supported", "constant, reflect and edge are")
    for axis, extent in enumerate(value.type.shape):
        before, after = padding[2 * axis : 2 * axis + 2]
        if before or after:
            value = site.emit(nn.Take(value, axis, (*(0,) * before, *range(extent), *(extent - 1,) * after)))
    return value


def _fill(site: Site, value: Value) -> float:
    """Return the real value to pad with; a file gives a code where the operand holds codes."""
    if site.has_operand(2):
        array = site.plain_array(2, "constant")
        if array.size != 1:
            raise UnsupportedError(f"the constant must be one number, found shape {list(array.shape)}")
        number = float(array.reshape(-1)[0])
    else:
        number = site.number("value", 0.0)
    quantization = value.type.quantization
    if quantization is None:
        return number
    return quantization.scale * (number - quantization.zero_point)


def _amounts(site: Site, rank: int) -> list[tuple[int, int]]:
    """Return how much is added before and after each axis as ONNX sees it."""
    pads = site.integers(1, "pads") if site.has_operand(1) else site.integer_list("pads")
    axes = site.integers(3, "axes") if site.has_operand(3) else tuple(range(rank))
    if pads is None or len(pads) != 2 * len(axes):
        raise UnsupportedError(f"pads {list(pads or ())} do not fit {len(axes)} axes")
    amounts = [(0, 0)] * rank
    for index, axis in enumerate(axes):
        amounts[site.axis(axis, rank)] = (pads[index], pads[index + len(axes)])
    return amounts


def import_depth_to_space(site: Site) -> Tensor:
    """Of images, in both orders."""
    image = site.image_operand(0, codes_too=True)
    batch, channels, height, width = image.shape
    block = site.integer("blocksize", 0)
    if block < 1 or channels % (block * block):
        raise UnsupportedError(f"blocks of {block} do not divide {channels} channels")
    depth = channels // (block * block)
    is_column_major = site.text("mode", "DCR") == "CRD"
    split = (depth, block, block) if is_column_major else (block, block, depth)
    blocks = _reshaped(site, image, (batch, *split, height, width))
    order = (0, 1, 4, 2, 5, 3) if is_column_major else (0, 3, 4, 1, 5, 2)
    return site.reshape(blocks.transposed(order), (batch, depth, height * block, width * block))


def import_space_to_depth(site: Site) -> Tensor:
    """Of images, in both orders."""
    image = site.image_operand(0, codes_too=True)
    batch, channels, height, width = image.shape
    block = site.integer("blocksize", 0)
    if block < 1 or height % block or width % block:
        raise UnsupportedError(f"blocks of {block} do not divide {height}x{width}")
    blocks = _reshaped(site, image, (batch, channels, height // block, block, width // block, block))
    is_column_major = site.text("mode", "DCR") == "CRD"
    moved = blocks.transposed((0, 1, 3, 5, 2, 4) if is_column_major else (0, 3, 5, 1, 2, 4))
    return site.reshape(moved, (batch, channels * block * block, height // block, width // block))


def _reshaped(site: Site, image: Activation, shape: tuple[int, ...]) -> Activation:
    return Activation.plain(site.emitter.reshape(image, shape, site.location))


def _bounds(site: Site, index: int, name: str) -> tuple[int, ...]:
    """Return starts or ends, attributes before opset 10."""
    listed = site.integers(index, name) if site.has_operand(index) else site.integer_list(name)
    if listed is None:
        raise UnsupportedError(f"it has no {name}")
    return listed


def _cut(site: Site, tensor: Activation | Constant, cuts: Mapping[int, _Cut]) -> Tensor:
    """Return parts of a tensor, given for its axes as ONNX sees them."""
    if isinstance(tensor, Constant):
        array: NDArray[Any] = site.plain_array(0, "operand")
        for axis, cut in cuts.items():
            array = np.take(array, range(cut.first, cut.first + cut.count * cut.step, cut.step), axis)
        return Constant(site.node.outputs[0], array)
    if any(cut.count < 1 for cut in cuts.values()):
        raise UnsupportedError("nothing is left of it")
    stored = {tensor.permutation[axis]: cut for axis, cut in cuts.items()}
    if all(cut == _Cut(0, tensor.value.type.shape[axis], 1) for axis, cut in stored.items()):
        return tensor
    return Activation(_sliced(site, tensor.value, stored), tensor.permutation)


def _sliced(site: Site, value: Value, cuts: Mapping[int, _Cut]) -> Value:
    ordered = [cuts[axis] for axis in range(value.type.rank)]
    if any(cut.count < 1 for cut in ordered):
        raise UnsupportedError("nothing is left of it")
    begin = tuple(cut.first for cut in ordered)
    size, strides = tuple(cut.count for cut in ordered), tuple(cut.step for cut in ordered)
    return site.emit(nn.Slice(value, begin, size, strides))


REARRANGE_RULES: Mapping[str, NodeRule] = {
    "Concat": NodeRule(import_concat, sys.maxsize, ("axis",)),
    "Slice": NodeRule(import_slice, 5, ("starts", "ends", "axes")),
    "Split": NodeRule(import_split, 2, ("axis", "split", "num_outputs"), results=sys.maxsize),
    "Gather": NodeRule(import_gather, 2, ("axis",)),
    "Pad": NodeRule(import_pad, 4, ("mode", "pads", "value")),
    "DepthToSpace": NodeRule(import_depth_to_space, 1, ("blocksize", "mode")),
    "SpaceToDepth": NodeRule(import_space_to_depth, 1, ("blocksize", "mode")),
}
"""Nodes that put elements in other places."""
