"""Strategies for the parts of a tensor type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType


def single_precision(real: float) -> float:
    """Return ``real`` rounded to the nearest float32, as every model file stores its scales."""
    return float(np.float32(real))


def dtypes(among: Sequence[DType] = tuple(DType)) -> st.SearchStrategy[DType]:
    """Return a strategy for storage types; shrinks to the first of ``among``."""
    return st.sampled_from(tuple(among))


def scales() -> st.SearchStrategy[float]:
    """Return a strategy for positive scales that a float32 holds exactly; shrinks to 1.

    Powers of two from 2^-12 to 2^4 and numbers between them are equally likely.
    """
    exponents = st.integers(-12, 4).map(lambda exponent: 2.0**exponent)
    between = st.floats(2.0**-12, 2.0**4, width=32)
    return st.one_of(exponents, between)


def label_scales() -> st.SearchStrategy[float]:
    """Return a strategy for scales that nothing is computed with: one cheap choice."""
    return st.sampled_from((1.0, 0.25, single_precision(0.1)))


@st.composite
def quantizations(
    draw: st.DrawFn, dtype: DType, shape: tuple[int, ...] = (), *, per_axis: bool | None = None
) -> Quantization:
    """Return a strategy for quantizations of a tensor of ``dtype`` and ``shape``; shrinks to per-tensor.

    Args:
        draw: Supplied by hypothesis.
        dtype: An integer storage type; zero points are codes of it.
        shape: What a per-axis scheme runs along; a scalar has per-tensor schemes only.
        per_axis: True or False to have only one kind where the shape permits.
    """
    wanted = draw(st.booleans()) if per_axis is None else per_axis
    zero_points = st.integers(dtype.minimum, dtype.maximum)
    if not (wanted and shape):
        return Quantization.per_tensor(draw(scales()), draw(zero_points))
    axis = draw(st.integers(0, len(shape) - 1))
    extent = shape[axis]
    return Quantization.per_axis(
        draw(st.lists(scales(), min_size=extent, max_size=extent)),
        draw(st.lists(zero_points, min_size=extent, max_size=extent)),
        axis,
    )


@st.composite
def elements(
    draw: st.DrawFn,
    among: Sequence[DType] = tuple(DType),
    shape: tuple[int, ...] = (),
    *,
    quantized: bool | None = None,
) -> Element:
    """Return a strategy for elements: plain storage, or quantized where the type is an integer.

    Args:
        draw: Supplied by hypothesis.
        among: The storage types to choose from.
        shape: Shape of the tensor, for per-axis schemes.
        quantized: True or False to have only one kind; floats are never quantized.
    """
    dtype = draw(dtypes(among))
    if not dtype.is_integer:
        return FLOAT
    wanted = draw(st.booleans()) if quantized is None else quantized
    return Element(dtype, draw(quantizations(dtype, shape)) if wanted else None)


@st.composite
def tensor_types(
    draw: st.DrawFn,
    among: Sequence[DType] = tuple(DType),
    *,
    max_rank: int = 4,
    max_extent: int = 8,
    quantized: bool | None = None,
) -> TensorType:
    """Return a strategy for valid tensor types; shrinks to a scalar of the first storage type.

    Args:
        draw: Supplied by hypothesis.
        among: The storage types to choose from.
        max_rank: Greatest number of axes.
        max_extent: Greatest extent of an axis.
        quantized: True or False to have only quantized or only plain integers.
    """
    shape = tuple(draw(st.lists(st.integers(1, max_extent), max_size=max_rank)))
    return TensorType(shape, draw(elements(among, shape, quantized=quantized)))
