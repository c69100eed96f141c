"""Cases of the operators that summarise windows."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import TfliteFile, options
from tflite_strategies import draw_scales, fused_activations, paddings, window_size


@operator_cases("MAX_POOL_2D", "i8", "u8", "i16")
def max_pool_2d(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _pool(draw, dtype, "MAX_POOL_2D")


@operator_cases("AVERAGE_POOL_2D", "i8", "u8", "i16")
def average_pool_2d(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _pool(draw, dtype, "AVERAGE_POOL_2D")


def _pool(draw: DrawFn, dtype: str, builtin: str) -> SingleOpCase:
    height, width, channels = (draw(st.integers(1, extent)) for extent in (7, 7, 4))
    kernel_height, kernel_width = (draw(st.integers(1, 4)) for _ in range(2))
    stride_h, stride_w = (draw(st.integers(1, 3)) for _ in range(2))
    padding = draw(paddings)
    rows = window_size(height, kernel_height, stride_h, padding)
    columns = window_size(width, kernel_width, stride_w, padding)
    assume(rows > 0 and columns > 0)
    scales = draw_scales(draw, dtype)
    file = TfliteFile()
    file.operator(
        builtin,
        [file.input(dtype, (1, height, width, channels), scales)],
        [file.output(dtype, (1, rows, columns, channels), scales)],
        options(
            "Pool2DOptions",
            padding=padding,
            stride_h=stride_h,
            stride_w=stride_w,
            filter_height=kernel_height,
            filter_width=kernel_width,
            fused_activation_function=draw(fused_activations),
        ),
    )
    return case(draw, file)
