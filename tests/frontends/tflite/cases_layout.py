"""Cases of the operators that move elements."""

from __future__ import annotations

import math

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import TfliteFile, options
from tflite_strategies import draw_scales, draw_shape


@operator_cases("RESHAPE", "i8", "u8", "i16")
def reshape(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    scales = draw_scales(draw, dtype)
    rest = math.prod(shape)
    wanted = [1]
    for _ in range(draw(st.integers(0, 3))):
        wanted.append(draw(st.sampled_from([extent for extent in range(1, rest + 1) if rest % extent == 0])))
        rest //= wanted[-1]
    wanted.append(rest)
    result = tuple(wanted)
    if draw(st.booleans()):
        wanted[draw(st.integers(1, len(wanted) - 1))] = -1
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales)]
    fields = options("ReshapeOptions", new_shape=wanted)
    if draw(st.booleans()):
        operands.append(file.integers(wanted))
        fields = None
    file.operator("RESHAPE", operands, [file.output(dtype, result, scales)], fields)
    return case(draw, file)


@operator_cases("SQUEEZE", "i8", "u8", "i16")
def squeeze(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw(st.lists(st.sampled_from((1, 1, 2, 3)), min_size=1, max_size=5).map(lambda tail: (1, *tail, 2)))
    scales = draw_scales(draw, dtype)
    units = [axis for axis, extent in enumerate(shape) if extent == 1]
    axes = draw(st.lists(st.sampled_from(units), unique=True))
    gone = axes or units
    written = [axis - len(shape) if draw(st.booleans()) else axis for axis in axes]
    file = TfliteFile()
    result = tuple(extent for axis, extent in enumerate(shape) if axis not in gone)
    file.operator(
        "SQUEEZE",
        [file.input(dtype, shape, scales)],
        [file.output(dtype, result, scales)],
        options("SqueezeOptions", squeeze_dims=written),
    )
    return case(draw, file)


@operator_cases("EXPAND_DIMS", "i8", "u8", "i16")
def expand_dims(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    scales = draw_scales(draw, dtype)
    axis = draw(st.integers(0, len(shape)))
    written = axis - len(shape) - 1 if draw(st.booleans()) else axis
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales), file.integers([written], draw(st.sampled_from(("i32", "i64"))))]
    file.operator("EXPAND_DIMS", operands, [file.output(dtype, (*shape[:axis], 1, *shape[axis:]), scales)])
    return case(draw, file)


@operator_cases("TRANSPOSE", "i8", "u8", "i16")
def transpose(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw, 2, 5)
    scales = draw_scales(draw, dtype)
    order = draw(st.permutations(range(len(shape))))
    file = TfliteFile()
    operands = [file.input(dtype, shape, scales), file.integers(order)]
    file.operator("TRANSPOSE", operands, [file.output(dtype, [shape[axis] for axis in order], scales)])
    return case(draw, file)
