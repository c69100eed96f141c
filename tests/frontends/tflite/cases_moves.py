"""Cases of the operators that copy elements to other places."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import NUMPY, Scales, TfliteFile, options
from tflite_strategies import draw_scales, draw_shape

CODES = ("i8", "u8", "i16")


def one_operand(
    draw: DrawFn,
    builtin: str,
    dtype: str,
    shape: tuple[int, ...],
    result: tuple[int, ...],
    *more: object,
    **fields: object,
) -> SingleOpCase:
    """Draw the scales of an operator that keeps them; ``more`` are constant operands, lists of 32-bit integers."""
    scales = draw_scales(draw, dtype)
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales), *(file.integers(numbers) for numbers in more)]
    options_type = fields.pop("options_type", None)
    table = options(str(options_type), **fields) if options_type else None
    version = 1 if builtin == "DEPTH_TO_SPACE" else 2
    file.operator(builtin, operands, [file.output(dtype, result, scales)], table, version)
    return case(draw, file)


def draw_amounts(draw: DrawFn, shape: tuple[int, ...], most: int = 3) -> list[list[int]]:
    return [[draw(st.integers(0, most)) for _ in range(2)] for _ in shape]


def padded(shape: tuple[int, ...], amounts: list[list[int]]) -> tuple[int, ...]:
    return tuple(before + extent + after for extent, (before, after) in zip(shape, amounts, strict=True))


@operator_cases("PAD", *CODES)
def pad(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    amounts = draw_amounts(draw, shape)
    return one_operand(draw, "PAD", dtype, shape, padded(shape, amounts), amounts, options_type="PadOptions")


@operator_cases("PADV2", *CODES)
def padv2(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape, scales = draw_shape(draw), draw_scales(draw, dtype)
    amounts = draw_amounts(draw, shape)
    limits = np.iinfo(NUMPY[dtype])
    code = np.array([draw(st.integers(int(limits.min), int(limits.max)))], NUMPY[dtype])
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales), file.integers(amounts), file.constant(code, scales)]
    file.operator("PADV2", operands, [file.output(dtype, padded(shape, amounts), scales)], version=2)
    return case(draw, file)


@operator_cases("MIRROR_PAD", *CODES)
def mirror_pad(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    mode = draw(st.integers(0, 1))
    amounts = [[draw(st.integers(0, extent - 1 + mode)) for _ in range(2)] for extent in shape]
    result = padded(shape, amounts)
    return one_operand(draw, "MIRROR_PAD", dtype, shape, result, amounts, options_type="MirrorPadOptions", mode=mode)


@operator_cases("CONCATENATION", *CODES)
def concatenation(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw, 1, 4, 4)
    axis = draw(st.integers(0, len(shape) - 1))
    extents = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    scales = draw_scales(draw, dtype)
    file = TfliteFile()
    operands: list[int] = []
    for number, extent in enumerate(extents):
        # Only unsigned codes may have other scales than the result.
        own = draw_scales(draw, dtype) if dtype == "u8" and draw(st.booleans()) else scales
        operands.append(file.input(dtype, (*shape[:axis], extent, *shape[axis + 1 :]), own, name=f"x{number}"))
    written = axis - len(shape) if draw(st.booleans()) else axis
    result = file.output(dtype, (*shape[:axis], sum(extents), *shape[axis + 1 :]), scales)
    file.operator("CONCATENATION", operands, [result], options("ConcatenationOptions", axis=written), version=2)
    return case(draw, file)


@operator_cases("PACK", *CODES)
def pack(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape, scales = draw_shape(draw, 1, 3), draw_scales(draw, dtype)
    axis, count = draw(st.integers(0, len(shape))), draw(st.integers(1, 4))
    written = axis - len(shape) - 1 if draw(st.booleans()) else axis
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales, name=f"x{number}") for number in range(count)]
    result = file.output(dtype, (*shape[:axis], count, *shape[axis:]), scales)
    file.operator("PACK", operands, [result], options("PackOptions", axis=written, values_count=count), version=2)
    return case(draw, file)


@operator_cases("UNPACK", *CODES)
def unpack(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape, scales = draw_shape(draw, 2, 4), draw_scales(draw, dtype)
    axis = draw(st.integers(0, len(shape) - 1))
    written = axis - len(shape) if draw(st.booleans()) else axis
    file = TfliteFile()
    operand = file.input(dtype, shape, scales)
    part = (*shape[:axis], *shape[axis + 1 :])
    results = [file.output(dtype, part, scales) for _ in range(shape[axis])]
    fields = options("UnpackOptions", axis=written, num=shape[axis])
    file.operator("UNPACK", [operand], results, fields, version=2)
    return case(draw, file)


@operator_cases("SPLIT", *CODES)
def split(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape, scales = list(draw_shape(draw, 1, 4)), draw_scales(draw, dtype)
    axis, count = draw(st.integers(0, len(shape) - 1)), draw(st.integers(1, 4))
    part = list(shape)
    shape[axis] *= count
    written = axis - len(shape) if draw(st.booleans()) else axis
    file = TfliteFile()
    operands = [file.integers([written]), file.input(dtype, shape, scales)]
    results = [file.output(dtype, part, scales) for _ in range(count)]
    file.operator("SPLIT", operands, results, options("SplitOptions", num_splits=count), version=2)
    return case(draw, file)


@operator_cases("SPLIT_V", *CODES)
def split_v(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape, scales = list(draw_shape(draw, 1, 4)), draw_scales(draw, dtype)
    axis = draw(st.integers(0, len(shape) - 1))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    file = TfliteFile()
    shape[axis] = sum(sizes)
    operand = file.input(dtype, shape, scales)
    results = [file.output(dtype, (*shape[:axis], size, *shape[axis + 1 :]), scales) for size in sizes]
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    fields = options("SplitVOptions", num_splits=len(sizes))
    file.operator("SPLIT_V", [operand, file.integers(sizes), file.integers([axis])], results, fields, version=2)
    return case(draw, file)


@operator_cases("SLICE", *CODES)
def slice_(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    begin = [draw(st.integers(0, extent - 1)) for extent in shape]
    size = [draw(st.integers(1, extent - first)) for extent, first in zip(shape, begin, strict=True)]
    written = [
        -1 if first + count == extent and draw(st.booleans()) else count
        for extent, first, count in zip(shape, begin, size, strict=True)
    ]
    return one_operand(draw, "SLICE", dtype, shape, tuple(size), begin, written)


@operator_cases("STRIDED_SLICE", *CODES)
def strided_slice(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw, 1, 4, 6)
    entries: list[tuple[int, int, int, set[str]]] = []
    result: list[int] = []
    # An ellipsis that stands for no axis is refused, as the runtime takes one all the same.
    first = draw(st.integers(0, len(shape) - 1)) if draw(st.booleans()) else len(shape) + 1
    last = draw(st.integers(first + 1, len(shape))) if first < len(shape) else 0
    new = draw(st.integers(0, 2 * len(shape)))
    for axis in range(len(shape) + 1):
        if axis == new:
            entries.append((draw(st.integers(-2, 2)), draw(st.integers(-2, 2)), 1, {"new_axis"}))
            result.append(1)
        if axis == first:
            entries.append((0, 0, 1, {"ellipsis"}))
        if first <= axis < last:
            result.append(shape[axis])
        elif axis < len(shape):
            entries.append(_strided_entry(draw, shape[axis], result))
    assume(0 not in result)
    begins, ends, strides, names = zip(*entries, strict=True)
    masks = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    for place, bits in enumerate(names):
        for name in bits:
            masks[name] |= 1 << place
    fields = {f"{name}_mask": mask for name, mask in masks.items()}
    table = "StridedSliceOptions"
    operands = (begins, ends, strides)
    return one_operand(draw, "STRIDED_SLICE", dtype, shape, tuple(result), *operands, options_type=table, **fields)


def _strided_entry(draw: DrawFn, extent: int, result: list[int]) -> tuple[int, int, int, set[str]]:
    """Draw what is taken of one axis; its extent, unless the axis is shrunk away, goes to ``result``."""
    if draw(st.integers(0, 5)) == 5:
        begin = draw(st.integers(-extent, extent - 1))
        return begin, begin + 1, 1, {"shrink_axis"}
    stride = draw(st.sampled_from((1, 1, 2, 3, -1, -2)))
    begin, end = (draw(st.integers(-extent - 2, extent + 2)) for _ in range(2))
    hidden = {name for name in ("begin", "end") if draw(st.booleans())}
    bounds = slice(None if "begin" in hidden else begin, None if "end" in hidden else end, stride)
    result.append(len(range(*bounds.indices(extent))))
    return begin, end, stride, hidden


@operator_cases("GATHER", *CODES)
def gather(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    axis = draw(st.integers(0, len(shape) - 1))
    index = st.integers(0, shape[axis] - 1)
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    indices = np.array([[draw(index) for _ in range(columns)] for _ in range(rows)])
    indices = draw(st.sampled_from((indices, indices[0], indices[0, 0])))
    result = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    written = axis - len(shape) if draw(st.booleans()) else axis
    return one_operand(draw, "GATHER", dtype, shape, result, indices, options_type="GatherOptions", axis=written)


@operator_cases("TILE", *CODES)
def tile(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    times = [draw(st.integers(1, 3)) for _ in shape]
    result = tuple(extent * count for extent, count in zip(shape, times, strict=True))
    return one_operand(draw, "TILE", dtype, shape, result, times)


@operator_cases("SPACE_TO_DEPTH", "i8", "u8")
def space_to_depth(draw: DrawFn, dtype: str) -> SingleOpCase:
    rows, columns, channels, block = (draw(st.integers(1, 3)) for _ in range(4))
    table = "SpaceToDepthOptions"
    image, result = (1, rows * block, columns * block, channels), (1, rows, columns, channels * block * block)
    return one_operand(draw, "SPACE_TO_DEPTH", dtype, image, result, options_type=table, block_size=block)


@operator_cases("DEPTH_TO_SPACE", "i8", "u8")
def depth_to_space(draw: DrawFn, dtype: str) -> SingleOpCase:
    rows, columns, channels, block = (draw(st.integers(1, 3)) for _ in range(4))
    table = "DepthToSpaceOptions"
    result, image = (1, rows * block, columns * block, channels), (1, rows, columns, channels * block * block)
    return one_operand(draw, "DEPTH_TO_SPACE", dtype, image, result, options_type=table, block_size=block)


@operator_cases("SPACE_TO_BATCH_ND", *CODES)
def space_to_batch(draw: DrawFn, dtype: str) -> SingleOpCase:
    batch, channels, down, across = (draw(st.integers(1, 3)) for _ in range(4))
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    amounts = [
        [draw(st.integers(0, min(2, count * block - 1))), 0] for count, block in ((rows, down), (columns, across))
    ]
    image = (batch, rows * down - amounts[0][0], columns * across - amounts[1][0], channels)
    result = (batch * down * across, rows, columns, channels)
    return one_operand(draw, "SPACE_TO_BATCH_ND", dtype, image, result, [down, across], amounts)


@operator_cases("BATCH_TO_SPACE_ND", *CODES)
def batch_to_space(draw: DrawFn, dtype: str) -> SingleOpCase:
    batch, channels, down, across = (draw(st.integers(1, 3)) for _ in range(4))
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    crops = [[draw(st.integers(0, min(2, size - 1))), 0] for size in (rows * down, columns * across)]
    image = (batch * down * across, rows, columns, channels)
    result = (batch, rows * down - crops[0][0], columns * across - crops[1][0], channels)
    return one_operand(draw, "BATCH_TO_SPACE_ND", dtype, image, result, [down, across], crops)


def _search(draw: DrawFn, dtype: str, builtin: str, table: str) -> SingleOpCase:
    shape, scales = draw_shape(draw, 2, 4), draw_scales(draw, dtype)
    axis, index_type = draw(st.integers(0, len(shape) - 1)), draw(st.sampled_from(("i32", "i64")))
    file = TfliteFile()
    written = axis - len(shape) if draw(st.booleans()) else axis
    operands = [file.input(dtype, shape, scales), file.integers([written])]
    result = file.output(index_type, (*shape[:axis], *shape[axis + 1 :]))
    # The numbers of INT32 and INT64 in the schema.
    output_type = {"i32": 2, "i64": 4}[index_type]
    file.operator(builtin, operands, [result], options(table, output_type=output_type), version=2)
    return case(draw, file)


@operator_cases("ARG_MAX", "i8", "u8")
def arg_max(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _search(draw, dtype, "ARG_MAX", "ArgMaxOptions")


@operator_cases("ARG_MIN", "i8", "u8")
def arg_min(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _search(draw, dtype, "ARG_MIN", "ArgMinOptions")


def _resize(
    draw: DrawFn, dtype: str, builtin: str, table: str, sizes: tuple[tuple[int, int], ...] = ()
) -> SingleOpCase:
    scales: Scales | None = draw_scales(draw, dtype)
    size = st.integers(1, 13)
    (height, rows), (width, columns) = (
        draw(st.sampled_from(sizes)) if sizes else (draw(st.integers(1, 8)), draw(size)) for _ in range(2)
    )
    channels = draw(st.integers(1, 3))
    align, half = draw(st.sampled_from(((False, False), (True, False), (False, True))))
    file = TfliteFile()
    operands = [file.input(dtype, (1, height, width, channels), scales), file.integers([rows, columns])]
    result = file.output(dtype, (1, rows, columns, channels), scales)
    fields = options(table, align_corners=align, half_pixel_centers=half)
    file.operator(builtin, operands, [result], fields, version=3)
    return case(draw, file)


@operator_cases("RESIZE_BILINEAR", "i8", "i16")
def resize_bilinear(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _resize(draw, dtype, "RESIZE_BILINEAR", "ResizeBilinearOptions")


# From one number of pixels to the other, all weights of all coordinates are exact in single precision.
EXACT_SIZES = ((1, 4), (3, 3), (5, 5), (1, 1), (2, 1))


@operator_cases("RESIZE_BILINEAR", "u8")
def resize_bilinear_unsigned(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _resize(draw, dtype, "RESIZE_BILINEAR", "ResizeBilinearOptions", EXACT_SIZES)


@operator_cases("RESIZE_NEAREST_NEIGHBOR", *CODES)
def resize_nearest(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _resize(draw, dtype, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")


def resize_any_unsigned(draw: DrawFn, dtype: str) -> SingleOpCase:
    """Draw any sizes; most weights are rounded to single precision, for which there is no C."""
    return _resize(draw, dtype, "RESIZE_BILINEAR", "ResizeBilinearOptions")


@operator_cases("BROADCAST_TO", *CODES)
def broadcast_to(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    result = tuple(draw(st.integers(1, 4)) if extent == 1 else extent for extent in shape)
    more = tuple(draw(st.lists(st.integers(1, 3), max_size=4 - len(shape))))
    return one_operand(
        draw, "BROADCAST_TO", dtype, shape, (*more, *result), (*more, *result), options_type="BroadcastToOptions"
    )


@operator_cases("REVERSE_V2", *CODES)
def reverse(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    # The runtime reverses axes that follow each other.
    first = draw(st.integers(0, len(shape) - 1))
    axes = list(range(first, draw(st.integers(first, len(shape) - 1)) + 1))
    return one_operand(draw, "REVERSE_V2", dtype, shape, shape, axes, options_type="ReverseV2Options")
