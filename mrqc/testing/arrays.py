"""Strategies for arrays of codes that are dense, cheap to draw, and still shrink."""

from __future__ import annotations

import itertools
import math
from enum import StrEnum
from functools import cache

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

ELEMENTWISE_LIMIT = 12
"""Arrays up to this size are drawn element by element; a larger one is a pattern and a seed."""


class Pattern(StrEnum):
    """How a large array is filled, simplest first."""

    CONSTANT = "constant"
    RAMP = "ramp"
    EXTREMES = "extremes"
    UNIFORM = "uniform"


PATTERNS = (Pattern.CONSTANT, Pattern.RAMP, Pattern.EXTREMES, *(Pattern.UNIFORM,) * 4)
"""How often each comes up."""


@st.composite
def code_arrays(draw: st.DrawFn, shape: tuple[int, ...], minimum: int, maximum: int) -> NDArray[np.int64]:
    """Return a strategy for integer arrays with ``minimum <= code <= maximum``.

    Small arrays are drawn and shrunk element by element. A large one is a pattern with a seed, so that a
    module with thousands of weights costs a handful of choices; its extremes come up far more often than by
    chance.
    """
    size = math.prod(shape)
    codes = st.integers(minimum, maximum)
    if size <= ELEMENTWISE_LIMIT:
        drawn = draw(st.lists(codes, min_size=size, max_size=size))
        return np.array(drawn, np.int64).reshape(shape)
    pattern = draw(st.sampled_from(PATTERNS))
    if pattern is Pattern.CONSTANT:
        return np.full(shape, draw(codes), np.int64)
    span = maximum - minimum + 1
    if pattern is Pattern.RAMP and span < 1 << 62:
        start = draw(codes)
        return (minimum + (start - minimum + np.arange(size, dtype=np.int64)) % span).reshape(shape)
    generator = np.random.default_rng(draw(st.integers(0, 2**16 - 1)))
    if pattern is Pattern.EXTREMES:
        return np.where(generator.integers(0, 2, shape) > 0, maximum, minimum).astype(np.int64)
    return generator.integers(minimum, maximum, shape, np.int64, endpoint=True)


@cache
def pairs(least: int, most: int, step: int = 1) -> st.SearchStrategy[tuple[int, int]]:
    """Return a strategy for two integers as one choice; shrinks to the least, twice."""
    numbers = range(least, most + 1, step)
    return st.sampled_from(sorted(itertools.product(numbers, numbers), key=sum))
