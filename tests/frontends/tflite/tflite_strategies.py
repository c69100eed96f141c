"""What the cases of all operators draw: scales, shapes, windows."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tflite_files import NONE, NUMPY, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, Scales

fused_activations = st.sampled_from((NONE, RELU, RELU_N1_TO_1, RELU6))
paddings = st.sampled_from((SAME, VALID))


def draw_scales(draw: DrawFn, dtype: str, low: float = 2.0**-9, high: float = 2.0) -> Scales | None:
    """Draw one scale between the bounds, evenly over their logarithms, and a zero point; None for floats."""
    if dtype == "f32":
        return None
    scale = math.exp(draw(st.floats(math.log(low), math.log(high))))
    limits = np.iinfo(NUMPY[dtype])
    # The runtime insists on symmetric codes of 16 bits.
    zero_point = 0 if dtype in ("i16", "i32", "i64") else draw(st.integers(int(limits.min), int(limits.max)))
    return Scales.one(scale, zero_point)


def draw_shape(draw: DrawFn, least_rank: int = 1, greatest_rank: int = 4, greatest_extent: int = 5) -> tuple[int, ...]:
    """Draw a shape; the batch is 1."""
    rank = draw(st.integers(least_rank, greatest_rank))
    return (1, *(draw(st.integers(1, greatest_extent)) for _ in range(rank - 1)))


def window_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return the extent of a result, by the rule of TensorFlow; zero or less where no window fits."""
    if padding == SAME:
        return -(-size // stride)
    return -(-(size - (kernel - 1) * dilation) // stride)
