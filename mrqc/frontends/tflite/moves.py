"""PAD, CONCATENATION, SPLIT, GATHER and their kin: what copies elements to other places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.windows import FUSED, fused_clamp
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.ops.nn import UNBOUNDED


def import_pad(site: Site) -> Value:
    """With zeros, floats or codes, by constant amounts."""
    value = _copied_value(site)
    return site.emit(nn.Pad(value, _amounts(site, value.type.rank)))


def import_padv2(site: Site) -> Value:
    """With one constant value, floats or codes, by constant amounts."""
    value = _copied_value(site)
    constant = site.constant(2, "padding value")
    if constant.array.size != 1:
        raise UnsupportedError(f"the padding value must be one number, found shape {list(constant.shape)}")
    if constant.element is None or constant.element != value.type.element:
        raise UnsupportedError("the padding value has another type or other scales than what is padded")
    return site.emit(nn.Pad(value, _amounts(site, value.type.rank), float(_real(constant).reshape(()))))


def import_mirror_pad(site: Site) -> Value:
    """Both modes, floats or codes, by constant amounts."""
    value = _copied_value(site)
    mode = nn.Mirror.SYMMETRIC if site.integer("mode") == 1 else nn.Mirror.REFLECT
    return site.emit(nn.MirrorPad(value, _amounts(site, value.type.rank), mode))


def import_concatenation(site: Site) -> Value:
    """Any number of tensors, floats or codes, without a fused activation."""
    values = tuple(site.real_value(index) for index in range(len(site.operator.inputs)))
    if fused_clamp(site) != UNBOUNDED:
        raise UnsupportedError("a fused activation, which the runtime refuses too", "possible: NONE")
    axis = site.axis(site.integer("axis"), values[0].type.rank)
    return site.emit(nn.Concat(values, axis, site.real_element(values[0])))


def import_pack(site: Site) -> Value:
    """Any number of tensors with the same scales, along a new axis."""
    values = [site.real_value(index) for index in range(len(site.operator.inputs))]
    shape = values[0].type.shape
    axis = site.axis(site.integer("axis"), len(shape), first_beyond=1)
    element = site.element()
    if any(value.type.element != element for value in values):
        raise UnsupportedError("its operands and its result have different scales")
    if any(value.type.shape != shape for value in values):
        raise UnsupportedError("its operands have different shapes")
    parts = tuple(site.emitted(site.reshape(value, (*shape[:axis], 1, *shape[axis:]))) for value in values)
    return site.emit(nn.Concat(parts, axis, element))


def import_unpack(site: Site) -> tuple[Value | Constant, ...]:
    """Along any axis."""
    value = site.value(0)
    shape = value.type.shape
    axis = site.axis(site.integer("axis"), len(shape))
    if site.integer("num") != shape[axis]:
        raise UnsupportedError(f"{site.integer('num')} parts of axis {axis} of shape {list(shape)}")
    parts = _parts(site, value, axis, (1,) * shape[axis])
    return tuple(site.reshape(part, (*shape[:axis], *shape[axis + 1 :])) for part in parts)


def import_split(site: Site) -> tuple[Value, ...]:
    """Into equal parts, along a constant axis."""
    value = site.value(1)
    (axis,) = _one(site.integers(0, "axis"), "axis")
    axis = site.axis(axis, value.type.rank)
    number, extent = site.integer("num_splits"), value.type.shape[axis]
    if number < 1 or extent % number:
        raise UnsupportedError(f"axis {axis} of extent {extent} cannot be split into {number} equal parts")
    return _parts(site, value, axis, (extent // number,) * number)


def import_split_v(site: Site) -> tuple[Value, ...]:
    """Into parts of constant sizes, one of which may be -1 (whatever is left), along a constant axis."""
    value = site.value(0)
    (axis,) = _one(site.integers(2, "axis"), "axis")
    axis = site.axis(axis, value.type.rank)
    sizes, extent = site.integers(1, "sizes"), value.type.shape[axis]
    if sizes.count(-1) == 1:
        rest = extent - sum(size for size in sizes if size != -1)
        sizes = tuple(rest if size == -1 else size for size in sizes)
    if sum(sizes) != extent or min(sizes) < 1:
        raise UnsupportedError(f"axis {axis} of extent {extent} cannot be split into {list(sizes)}")
    return _parts(site, value, axis, sizes)


def import_gather(site: Site) -> Value:
    """At constant indices, along one axis and without batch axes."""
    value = _copied_value(site)
    if site.integer("batch_dims"):
        raise UnsupportedError("batch axes are not supported", "possible: batch_dims 0")
    axis = site.axis(site.integer("axis"), value.type.rank)
    places = site.constant(1, "indices").array
    if not np.issubdtype(places.dtype, np.integer):
        raise UnsupportedError(f"indices of type {places.dtype}")
    taken = site.emit(nn.Take(value, axis, tuple(int(place) for place in places.reshape(-1))))
    shape = value.type.shape
    return site.emitted(site.reshape(taken, (*shape[:axis], *places.shape, *shape[axis + 1 :])))


def import_tile(site: Site) -> Value:
    """A constant number of times along each axis."""
    value = _copied_value(site)
    times = site.integers(1, "multiples")
    if len(times) != value.type.rank or min(times, default=1) < 1:
        raise UnsupportedError(f"multiples {list(times)} for {value.type.rank} axes")
    for axis, count in enumerate(times):
        if count > 1:
            value = site.emit(nn.Take(value, axis, tuple(range(value.type.shape[axis])) * count))
    return value


def import_broadcast_to(site: Site) -> Value:
    """To a constant shape."""
    value = _copied_value(site)
    wanted = site.integers(1, "shape")
    shape = (1,) * (len(wanted) - value.type.rank) + value.type.shape
    if len(shape) != len(wanted) or any(extent not in (1, to) for extent, to in zip(shape, wanted, strict=True)):
        raise UnsupportedError(f"shape {list(value.type.shape)} cannot be stretched to {list(wanted)}")
    value = site.emitted(site.reshape(value, shape))
    for axis, (extent, to) in enumerate(zip(shape, wanted, strict=True)):
        if extent != to:
            value = site.emit(nn.Take(value, axis, (0,) * to))
    return value


def import_reverse(site: Site) -> Value:
    """Along constant axes."""
    value = _copied_value(site)
    shape, rank = value.type.shape, value.type.rank
    axes = {site.axis(axis, rank) for axis in site.integers(1, "axes")}
    begin = tuple(shape[axis] - 1 if axis in axes else 0 for axis in range(rank))
    return site.emit(nn.Slice(value, begin, shape, tuple(-1 if axis in axes else 1 for axis in range(rank))))


def import_fill(site: Site) -> Constant:
    """A constant shape with one constant value."""
    shape, content = site.integers(0, "shape"), site.constant(1, "value")
    if content.array.size != 1 or min(shape, default=1) < 1:
        raise UnsupportedError(f"shape {list(shape)} filled with what has shape {list(content.shape)}")
    if content.element is not None:
        site.check_same_element(content.element)
    return Constant(site.result_record().name, np.broadcast_to(content.array.reshape(()), shape), content.element)


def import_space_to_depth(site: Site) -> Value:
    """Any block size."""
    value, block = site.image(0), site.integer("block_size")
    site.check_same_element(value.type.element)
    batch, height, width, channels = value.type.shape
    if block < 1 or height % block or width % block:
        raise UnsupportedError(f"an image of {height}x{width} has no whole blocks of {block}x{block}")
    split = (batch, height // block, block, width // block, block, channels)
    joined = (batch, height // block, width // block, block * block * channels)
    return _regrouped(site, value, split, (0, 1, 3, 2, 4, 5), joined)


def import_depth_to_space(site: Site) -> Value:
    """Any block size."""
    value, block = site.image(0), site.integer("block_size")
    site.check_same_element(value.type.element)
    batch, height, width, channels = value.type.shape
    if block < 1 or channels % (block * block):
        raise UnsupportedError(f"{channels} channels are no blocks of {block}x{block}")
    depth = channels // (block * block)
    split = (batch, height, width, block, block, depth)
    return _regrouped(site, value, split, (0, 1, 3, 2, 4, 5), (batch, height * block, width * block, depth))


def import_space_to_batch(site: Site) -> Value:
    """Images, padded with zeros by constant amounts; of codes too."""
    value, blocks = site.image(0), _pair(site.integers(1, "block shape"))
    site.check_same_element(value.type.element)
    amounts = site.constant(2, "paddings").array.reshape(-1)
    if amounts.size != 4:
        raise UnsupportedError("paddings must be two for each of two axes")
    padding = (0, 0, *(int(amount) for amount in amounts), 0, 0)
    if any(padding):
        value = site.emit(nn.Pad(value, padding))
    batch, height, width, channels = value.type.shape
    down, across = blocks
    if height % down or width % across:
        raise UnsupportedError(f"an image of {height}x{width} has no whole blocks of {down}x{across}")
    split = (batch, height // down, down, width // across, across, channels)
    joined = (batch * down * across, height // down, width // across, channels)
    return _regrouped(site, value, split, (2, 4, 0, 1, 3, 5), joined)


def import_batch_to_space(site: Site) -> Value:
    """Images, cropped by constant amounts."""
    value, (down, across) = site.image(0), _pair(site.integers(1, "block shape"))
    site.check_same_element(value.type.element)
    crops = tuple(int(amount) for amount in site.constant(2, "crops").array.reshape(-1))
    batch, height, width, channels = value.type.shape
    if len(crops) != 4 or batch % (down * across):
        raise UnsupportedError(f"a batch of {batch} in blocks of {down}x{across}, cropped by {list(crops)}")
    split = (down, across, batch // (down * across), height, width, channels)
    joined = (batch // (down * across), height * down, width * across, channels)
    value = _regrouped(site, value, split, (2, 3, 0, 4, 1, 5), joined)
    size = (joined[0], joined[1] - crops[0] - crops[1], joined[2] - crops[2] - crops[3], channels)
    return site.emit(nn.Slice(value, (0, crops[0], crops[2], 0), size, (1, 1, 1, 1)))


def _copied_value(site: Site) -> Value:
    """Return the first operand, whose elements mean in the result what they mean here."""
    value = site.real_value(0)
    site.check_same_element(value.type.element)
    return value


def _amounts(site: Site, rank: int) -> tuple[int, ...]:
    amounts = site.constant(1, "paddings").array
    if amounts.shape != (rank, 2) or not np.issubdtype(amounts.dtype, np.integer):
        raise UnsupportedError(f"paddings must be two integers for each of {rank} axes")
    return tuple(int(amount) for amount in amounts.reshape(-1))


def _real(constant: Constant) -> NDArray[np.float64]:
    element: Element | None = constant.element
    if element is None or element.quantization is None:
        return constant.array.astype(np.float64)
    return element.quantization.dequantize(constant.array)


def _parts(site: Site, value: Value, axis: int, sizes: tuple[int, ...]) -> tuple[Value, ...]:
    """Return slices that follow each other along an axis."""
    if len(sizes) != len(site.operator.outputs):
        raise UnsupportedError(f"{len(sizes)} parts, but {len(site.operator.outputs)} results")
    found: list[Value] = []
    begin = 0
    shape = value.type.shape
    for index, size in enumerate(sizes):
        site.check_same_element(value.type.element, index)
        place = tuple(begin if each == axis else 0 for each in range(len(shape)))
        found.append(site.emit(nn.Slice(value, place, (*shape[:axis], size, *shape[axis + 1 :]), (1,) * len(shape))))
        begin += size
    return tuple(found)


def _regrouped(
    site: Site, value: Value, split: tuple[int, ...], order: tuple[int, ...], joined: tuple[int, ...]
) -> Value:
    """Return the elements with their axes split, put in another order and joined."""
    parts = site.emitted(site.reshape(value, split))
    return site.emitted(site.reshape(site.emit(nn.Transpose(parts, order)), joined))


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    if len(numbers) != 2 or min(numbers) < 1:
        raise UnsupportedError(f"blocks along {len(numbers)} axes; only images are supported")
    return numbers[0], numbers[1]


def _one(numbers: tuple[int, ...], role: str) -> tuple[int]:
    if len(numbers) != 1:
        raise UnsupportedError(f"the {role} must be one number, found {list(numbers)}")
    return (numbers[0],)


MOVE_RULES: Mapping[str, Support] = {
    "PAD": Support(import_pad, (2, 2), "PadOptions"),
    "PADV2": Support(import_padv2, (3, 3), "PadV2Options"),
    "MIRROR_PAD": Support(import_mirror_pad, (2, 2), "MirrorPadOptions", ("mode",)),
    "CONCATENATION": Support(import_concatenation, (1, 4096), "ConcatenationOptions", ("axis", FUSED)),
    "PACK": Support(import_pack, (1, 4096), "PackOptions", ("axis", "values_count")),
    "UNPACK": Support(import_unpack, (1, 1), "UnpackOptions", ("axis", "num")),
    "SPLIT": Support(import_split, (2, 2), "SplitOptions", ("num_splits",)),
    "SPLIT_V": Support(import_split_v, (3, 3), "SplitVOptions", ("num_splits",)),
    "GATHER": Support(import_gather, (2, 2), "GatherOptions", ("axis", "batch_dims")),
    "TILE": Support(import_tile, (2, 2), "TileOptions"),
    "BROADCAST_TO": Support(import_broadcast_to, (2, 2), "BroadcastToOptions"),
    "REVERSE_V2": Support(import_reverse, (2, 2), "ReverseV2Options"),
    "FILL": Support(import_fill, (2, 2), "FillOptions"),
    "SPACE_TO_DEPTH": Support(import_space_to_depth, (1, 1), "SpaceToDepthOptions", ("block_size",)),
    "DEPTH_TO_SPACE": Support(import_depth_to_space, (1, 1), "DepthToSpaceOptions", ("block_size",)),
    "SPACE_TO_BATCH_ND": Support(import_space_to_batch, (3, 3), "SpaceToBatchNDOptions"),
    "BATCH_TO_SPACE_ND": Support(import_batch_to_space, (3, 3), "BatchToSpaceNDOptions"),
}
"""Operators that copy elements to other places."""
