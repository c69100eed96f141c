"""How clips, clamps and softmax are drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import DType, Element, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays
from mrqc.testing.draft import ROW_LIMIT, Draft, Limits, Spread, is_activation, is_quantized, strategy_for
from mrqc.testing.types import label_scales, single_precision

TABLE_ENTRIES = 256


@strategy_for(nn.Clip, accepts=is_quantized)
def nn_clip(draft: Draft, operand: Value) -> Value:
    """Append a clip that stands alone, mostly at the input's own scale."""
    clamp = draft.clamp_for(draft.spreads[operand])
    spread = draft.spreads[operand].clamped(clamp)
    element = draft.element_for(spread) if draft.draw(st.booleans()) else operand.type.element
    return draft.emit(nn.Clip(operand, clamp, element), spread)


@strategy_for(nn.Softmax, accepts=is_quantized)
def nn_softmax(draft: Draft, operand: Value) -> Value:
    """Append a softmax at the scale that exporters use, 1/256 (1/127 without a zero point)."""
    dtype = draft.scheme.activation
    if draft.scheme.symmetric:
        scale = 2.0**-7 if draft.scheme.power_of_two else single_precision(1 / 127)
        element = Element.per_tensor(dtype, scale)
    else:
        element = Element.per_tensor(dtype, 2.0**-8, dtype.minimum)
    return draft.emit(nn.Softmax(operand, element), Spread(0.0, 1.0))


@strategy_for(int_ops.Clamp, accepts=is_activation)
def int_clamp(draft: Draft, operand: Value) -> Value:
    """Append a clamp to any interval, single codes included."""
    dtype = operand.type.dtype
    middle = (dtype.minimum + dtype.maximum + 1) // 2
    lower, upper = st.integers(dtype.minimum, middle), st.integers(middle, dtype.maximum)
    if draft.draw(st.integers(0, 3)) == 3:
        lower = upper = st.integers(dtype.minimum, dtype.maximum)
    minimum, maximum = sorted(draft.draw(st.tuples(lower, upper)))
    return draft.emit(int_ops.Clamp(operand, minimum, maximum))


def _is_narrow_row(_limits: Limits, value: Value) -> bool:
    type_ = value.type
    return type_.dtype in (DType.I8, DType.U8) and type_.rank > 0 and type_.shape[-1] <= ROW_LIMIT


@strategy_for(int_ops.Table, accepts=is_activation)
def int_table(draft: Draft, operand: Value) -> Value:
    """Append a table of every code."""
    dtype = draft.draw(st.sampled_from((DType.I8, DType.U8, DType.I16)))
    entries = draft.draw(code_arrays((1 << 8 * operand.type.dtype.bytes,), dtype.minimum, dtype.maximum))
    table = draft.constant(int_ops.Constant, entries, Element(dtype))
    return draft.emit(int_ops.Table(operand, table, Element.per_tensor(dtype, draft.draw(label_scales()))))


@strategy_for(int_ops.ReciprocalSoftmax, accepts=_is_narrow_row)
def int_reciprocal_softmax(draft: Draft, operand: Value) -> Value:
    """Append a softmax as TensorFlow Lite has it, at any scale of its input."""
    dtype = draft.draw(st.sampled_from((DType.I8, DType.U8, DType.I16)))
    decay = draft.draw(st.sampled_from((2.0**-6, 2.0**-8, 2.0**-4, 1.0)))
    exponentials = np.rint(2.0**31 * np.exp(-decay * np.arange(TABLE_ENTRIES)))
    entries = np.minimum(exponentials, 2**31 - 1).astype(np.int64)
    if draft.draw(st.booleans()):
        entries[draft.draw(st.integers(1, TABLE_ENTRIES - 1)) :] = 0
    table = draft.constant(int_ops.Constant, entries, Element(DType.I32))
    element = Element.per_tensor(dtype, 2.0 ** (-8 * dtype.bytes), dtype.minimum)
    return draft.emit(int_ops.ReciprocalSoftmax(operand, table, element))


@strategy_for(int_ops.Softmax, accepts=_is_narrow_row)
def int_softmax(draft: Draft, operand: Value) -> Value:
    """Append a softmax whose table is as large as 32 bits allow, or smaller."""
    draw = draft.draw
    dtype = draw(st.sampled_from((DType.I8, DType.U8, DType.I16)))
    width = operand.type.shape[-1]
    # What exporters have; more for long rows, whose probabilities are small; anything.
    exported = st.sampled_from((256, 255, 128, 127))
    one = draw(st.one_of(exported, st.just(min(64 * width, 1 << 16)), st.integers(1, 1 << 16)))
    codes = draw(_tables(width, one))
    table = draft.constant(int_ops.Constant, codes, Element(DType.I32))
    minimum, maximum = dtype.minimum, dtype.maximum
    if draw(st.integers(0, 4)) == 4:
        minimum, maximum = sorted(draw(st.tuples(*[st.integers(dtype.minimum, dtype.maximum)] * 2)))
    zero_point = draw(st.sampled_from((dtype.minimum, 0)))
    element = Element.per_tensor(dtype, draw(label_scales()), zero_point)
    return draft.emit(int_ops.Softmax(operand, table, one, zero_point, minimum, maximum, element))


@st.composite
def _tables(draw: st.DrawFn, width: int, one: int) -> NDArray[np.int64]:
    """Return a strategy for exponential tables; ``2**k * one + width * 2**k / 2`` stays below 2**32."""
    largest = ((1 << 32) - 1) // (one + (width + 1) // 2)
    bits = min(30, largest.bit_length() - 1)
    bits = draw(st.one_of(st.just(bits), st.integers(min(8, bits), bits)))
    decay = draw(st.sampled_from((2.0**-6, 2.0**-8, 2.0**-4, 1.0)))
    return np.rint(2.0**bits * np.exp(-decay * np.arange(TABLE_ENTRIES))).astype(np.int64)
