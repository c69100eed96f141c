"""How clips, clamps and softmax are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import DType, Element, Op, Value
from mrqc.numerics import Rounding, fixed_point_multiplier
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays
from mrqc.testing.draft import ROW_LIMIT, Draft, Extend, Limits, Spread, is_activation, is_quantized, strategy_for
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
    """Append a softmax at the scale that exporters use, 1/256 (1/127 or 1/32768 without a zero point)."""
    dtype = draft.scheme.activation
    if dtype is DType.I16:
        element = Element.per_tensor(dtype, 2.0**-15)
    elif draft.scheme.symmetric:
        scale = 2.0**-7 if draft.scheme.power_of_two else single_precision(1 / 127)
        element = Element.per_tensor(dtype, scale)
    else:
        element = Element.per_tensor(dtype, 2.0**-8, dtype.minimum)
    return draft.emit(nn.Softmax(operand, draft.draw(st.sampled_from((1.0, 0.5))), element), Spread(0.0, 1.0))


@strategy_for(nn.LogSoftmax, accepts=is_quantized)
def nn_log_softmax(draft: Draft, operand: Value) -> Value:
    """Append a log-softmax."""
    spread = Spread(-16.0, 0.0)
    return draft.emit(nn.LogSoftmax(operand, draft.element_for(spread)), spread)


def _function_strategy(make: Callable[[Value, Element], Op], low: float | None, high: float | None) -> Extend:
    """Return how a function of one number is appended; a limit of None is that of the operand."""

    def extend(draft: Draft, operand: Value) -> Value:
        source = draft.spreads[operand]
        least = min(source.low, -1.0) if low is None else low
        spread = Spread(least, max(source.high, 0.0) if high is None else high)
        return draft.emit(make(operand, draft.element_for(spread)), spread)

    return extend


_FUNCTIONS: Mapping[type[Op], tuple[Callable[[Value, Element], Op], float | None, float | None]] = {
    nn.LeakyRelu: (lambda value, element: nn.LeakyRelu(value, single_precision(0.1), element), None, None),
    nn.Elu: (lambda value, element: nn.Elu(value, 1.0, element), -1.0, None),
    nn.Sigmoid: (nn.Sigmoid, 0.0, 1.0),
    nn.Tanh: (nn.Tanh, -1.0, 1.0),
    nn.HardSwish: (nn.HardSwish, -0.5, None),
    nn.Gelu: (lambda value, element: nn.Gelu(value, True, element), -0.25, None),
    nn.Abs: (nn.Abs, 0.0, None),
    nn.Exp: (nn.Exp, 0.0, 8.0),
    nn.Log: (nn.Log, -4.0, 4.0),
    nn.Sqrt: (nn.Sqrt, 0.0, None),
    nn.Rsqrt: (nn.Rsqrt, 0.0, 4.0),
    nn.HardSigmoid: (lambda value, element: nn.HardSigmoid(value, single_precision(0.2), 0.5, element), 0.0, 1.0),
}
for _op, _parts in _FUNCTIONS.items():
    strategy_for(_op, accepts=is_quantized)(_function_strategy(*_parts))


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


@strategy_for(int_ops.LogSoftmax, accepts=_is_narrow_row)
def int_log_softmax(draft: Draft, operand: Value) -> Value:
    """Append a log-softmax at any scale of its input."""
    scale = draft.draw(st.sampled_from((2.0**-6, 2.0**-8, 2.0**-4, 0.3)))
    distances = np.arange(TABLE_ENTRIES)
    radius = draft.draw(st.integers(1, min(TABLE_ENTRIES, int(31 / scale)) - 1))
    near = distances <= radius
    differences = np.where(near, np.rint(-scale * distances * 2.0**26), 0).astype(np.int64)
    powers = np.where(near, np.minimum(np.rint(2.0**31 * np.exp(-scale * distances)), 2**31 - 1), 0).astype(np.int64)
    first, second = (draft.constant(int_ops.Constant, codes, Element(DType.I32)) for codes in (differences, powers))
    dtype = draft.draw(st.sampled_from((DType.I8, DType.U8)))
    element = Element.per_tensor(dtype, 2.0**-4, dtype.maximum)
    factor = fixed_point_multiplier(2.0**-26 / scale, 31)
    rounding = draft.draw(st.sampled_from((Rounding.DOUBLE, Rounding.HALF_UP)))
    return draft.emit(
        int_ops.LogSoftmax(operand, first, second, radius, factor.multiplier, factor.shift, rounding, element)
    )


def _is_wide_row(_limits: Limits, value: Value) -> bool:
    type_ = value.type
    return type_.dtype is DType.I16 and type_.rank > 0 and type_.shape[-1] <= ROW_LIMIT


@strategy_for(int_ops.InterpolatedSoftmax, accepts=_is_wide_row)
def int_interpolated_softmax(draft: Draft, operand: Value) -> Value:
    """Append a softmax of 16-bit codes at any scale of its input."""
    places = np.arange(513)
    powers = np.minimum(np.rint(2.0**15 * np.exp((places - 512) * 10 / 512)), 2**15 - 1).astype(np.int64)
    shares = np.minimum(np.rint(2.0**15 / (1 + places / 512)), 2**15 - 1).astype(np.int64)
    first, second = (draft.constant(int_ops.Constant, codes, Element(DType.I16)) for codes in (powers, shares))
    multiplier, shift = draft.draw(st.tuples(st.integers(1 << 30, (1 << 31) - 1), st.integers(25, 36)))
    rounding = draft.draw(st.sampled_from((Rounding.DOUBLE, Rounding.HALF_UP)))
    element = Element.per_tensor(DType.I16, 2.0**-15)
    return draft.emit(int_ops.InterpolatedSoftmax(operand, first, second, multiplier, shift, rounding, element))


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
