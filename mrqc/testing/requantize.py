"""Strategies for the arithmetic that int ops end with."""

from __future__ import annotations

from hypothesis import strategies as st

from mrqc.ir import DType, Element
from mrqc.numerics import Rounding
from mrqc.ops.int.requantize import MULTIPLIER_LIMIT, SHIFT_LIMIT, Requantize
from mrqc.testing.types import dtypes, label_scales

RESULT_DTYPES = (*(DType.I8, DType.U8, DType.I16) * 3, DType.I32)
"""What ops result in; 32 bits now and then, since no op but moves takes them up."""

ANY = -1
"""In place of a width: any multiplier and any shift."""

MULTIPLIER_BITS = (*(0,) * 5, *(31,) * 4, *(8,) * 2, *(16,) * 2, ANY)
"""Widths of the fixed-point multipliers that real targets have; 0 where they only shift."""


@st.composite
def requantizations(draw: st.DrawFn, dtype: DType, magnitude: int, channels: int = 1) -> Requantize:
    """Return a strategy for requantizations; shrinks to a single half-up shift without a zero point.

    Most spread accumulators over the codes of ``dtype`` and saturate the extremes only; one in fourteen has any
    multiplier and any shift, and one in five clamps to any interval. What loses all of its input would hide faults.

    Args:
        draw: Supplied by hypothesis.
        dtype: Storage of the result.
        magnitude: What the accumulator hardly exceeds; where it does, the result saturates.
        channels: Extent of the last axis, for entries per channel; 1 for ops that have one entry only.
    """
    headroom = draw(st.integers(0, 3))
    fitting = max(0, magnitude.bit_length() - (dtype.maximum.bit_length() + headroom))
    bits = draw(st.sampled_from(MULTIPLIER_BITS))
    if bits == ANY:
        multipliers = draw(_entries(1, MULTIPLIER_LIMIT - 1, channels))
        shifts = draw(_entries(0, SHIFT_LIMIT, channels))
    else:
        multipliers = draw(_entries(1 << (bits - 1), (1 << bits) - 1, channels)) if bits else (1,)
        shifts = draw(_entries(fitting + bits, fitting + bits + 1, channels))
    minimum, maximum = dtype.minimum, dtype.maximum
    if draw(st.integers(0, 4)) == 4:
        minimum, maximum = sorted(draw(st.tuples(*[st.integers(dtype.minimum, dtype.maximum)] * 2)))
    return Requantize(
        multiplier=multipliers,
        shift=shifts,
        rounding=draw(st.sampled_from(Rounding)),
        zero_point=draw(st.one_of(st.just(0), st.integers(dtype.minimum, dtype.maximum))),
        minimum=minimum,
        maximum=maximum,
    )


@st.composite
def requantized(draw: st.DrawFn, magnitude: int, channels: int = 1) -> tuple[Requantize, Element]:
    """Return a strategy for a requantization with the element that says what its codes mean."""
    dtype = draw(dtypes(RESULT_DTYPES))
    requantize = draw(requantizations(dtype, magnitude, channels))
    return requantize, Element.per_tensor(dtype, draw(label_scales()), requantize.zero_point)


def _entries(least: int, most: int, channels: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Return a strategy for one entry or one for each channel."""
    entry = st.integers(least, most)
    single = st.tuples(entry)
    if channels == 1:
        return single
    return st.one_of(single, st.lists(entry, min_size=channels, max_size=channels).map(_as_tuple))


def _as_tuple(entries: list[int]) -> tuple[int, ...]:
    return tuple(entries)
