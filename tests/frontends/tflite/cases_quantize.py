"""Cases of QUANTIZE and DEQUANTIZE."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from numpy.typing import NDArray
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import NUMPY, Scales, TfliteFile, options
from tflite_strategies import draw_scales, draw_shape

_FARTHEST_FROM_CODE = 0.45
"""The quantize at a float input is the host's; half-way between codes it may round otherwise than the runtime."""


@operator_cases("QUANTIZE", "i8-i8", "i8-u8", "u8-i8", "u8-u8", "i16-i16", "i16-i8")
def quantize_codes(draw: DrawFn, dtype: str) -> SingleOpCase:
    source, result = dtype.split("-")
    shape = draw_shape(draw)
    file = TfliteFile()
    operand = file.input(source, shape, draw_scales(draw, source))
    file.operator("QUANTIZE", [operand], [file.output(result, shape, draw_scales(draw, result))])
    return case(draw, file)


@operator_cases("QUANTIZE", "f32-i8", "f32-u8", "f32-i16")
def quantize_floats(draw: DrawFn, dtype: str) -> SingleOpCase:
    result = dtype.removeprefix("f32-")
    shape = draw_shape(draw)
    scales = draw_scales(draw, result)
    assert scales is not None
    file = TfliteFile()
    codes = file.output(result, shape, scales)
    file.operator("QUANTIZE", [file.input("f32", shape, name="x")], [codes], options("QuantizeOptions"))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = tuple({"x": _near_codes(result, scales, shape, random)} for _ in range(4))
    return case(draw, file, rows)


def _near_codes(dtype: str, scales: Scales, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    limits = np.iinfo(NUMPY[dtype])
    codes: NDArray[Any] = random.integers(limits.min - 9, limits.max + 9, shape)
    offsets = random.uniform(-_FARTHEST_FROM_CODE, _FARTHEST_FROM_CODE, shape)
    return ((codes + offsets - scales.zero_points[0]) * scales.scales[0]).astype(np.float32)


@operator_cases("DEQUANTIZE", "i8", "u8", "i16")
def dequantize(draw: DrawFn, dtype: str) -> SingleOpCase:
    shape = draw_shape(draw)
    file = TfliteFile()
    operand = file.input(dtype, shape, draw_scales(draw, dtype))
    file.operator("DEQUANTIZE", [operand], [file.output("f32", shape)], options("DequantizeOptions"))
    return case(draw, file)
