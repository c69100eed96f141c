"""How the ops in single precision are drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mrqc.ir import FLOAT, DType, Element, Value
from mrqc.ops import int as int_ops
from mrqc.testing.arrays import code_arrays
from mrqc.testing.draft import ROW_LIMIT, Draft, Limits, is_activation, is_image, strategy_for
from mrqc.testing.pooling import pool_windows
from mrqc.testing.types import label_scales, single_precision

_BYTES = (DType.I8, DType.U8)


def _is_bytes(_limits: Limits, value: Value) -> bool:
    return value.type.element.is_quantized and value.type.dtype in _BYTES


def _is_byte_row(limits: Limits, value: Value) -> bool:
    return _is_bytes(limits, value) and value.type.rank > 0 and value.type.shape[-1] <= ROW_LIMIT


def _is_byte_image(limits: Limits, value: Value) -> bool:
    return _is_bytes(limits, value) and is_image(limits, value)


@st.composite
def _results(draw: st.DrawFn) -> tuple[Element, int, int, int]:
    """Return a strategy for an 8-bit element with its zero point and limits."""
    dtype = draw(st.sampled_from(_BYTES))
    zero_point = draw(st.one_of(st.just(dtype.minimum), st.integers(dtype.minimum, dtype.maximum)))
    minimum, maximum = dtype.minimum, dtype.maximum
    if draw(st.integers(0, 4)) == 4:
        minimum, maximum = sorted(draw(st.tuples(*[st.integers(dtype.minimum, dtype.maximum)] * 2)))
    return Element.per_tensor(dtype, draw(label_scales()), zero_point), zero_point, minimum, maximum


def _factors() -> st.SearchStrategy[float]:
    return st.floats(-6, 2).map(lambda exponent: single_precision(2.0**exponent))


@strategy_for(int_ops.FloatRescale, accepts=is_activation)
def int_float_rescale(draft: Draft, operand: Value) -> Value:
    """Append a change of scale, for the tensor or for each channel."""
    channels = operand.type.shape[-1] if operand.type.rank else 1
    count = draft.draw(st.sampled_from((1, channels)))
    scales = draft.draw(st.lists(_factors(), min_size=count, max_size=count))
    element, zero_point, minimum, maximum = draft.draw(_results())
    return draft.emit(int_ops.FloatRescale(operand, tuple(scales), zero_point, minimum, maximum, element))


@strategy_for(int_ops.PairTable, accepts=_is_bytes)
def int_pair_table(draft: Draft, operand: Value) -> Value:
    """Append any function of a value and a partner of its shape."""
    partners = draft.alike(operand)
    partner = draft.draw(st.sampled_from(partners)) if partners else operand
    if partner.type.dtype not in _BYTES:
        partner = operand
    element, *_ = draft.draw(_results())
    dtype = element.dtype
    codes = draft.draw(code_arrays((256, 256), dtype.minimum, dtype.maximum))
    table = draft.constant(int_ops.Constant, codes, Element(dtype))
    return draft.emit(int_ops.PairTable(operand, partner, table, element))


@strategy_for(int_ops.FloatSoftmax, accepts=_is_byte_row)
def int_float_softmax(draft: Draft, operand: Value) -> Value:
    """Append a softmax of any steepness."""
    decay = draft.draw(st.sampled_from((2.0**-6, 2.0**-4, 1.0)))
    table = draft.constant(int_ops.Constant, np.exp(-decay * (255 - np.arange(256))), FLOAT)
    element, zero_point, minimum, maximum = draft.draw(_results())
    one = float(draft.draw(st.sampled_from((256, 255, 128, 127))))
    return draft.emit(int_ops.FloatSoftmax(operand, table, one, zero_point, minimum, maximum, element))


def _reals_of(draft: Draft, operand: Value) -> Value:
    """Append a table of the real values of an operand's codes."""
    quantization = operand.type.quantization
    assert quantization is not None
    dtype = operand.type.dtype
    codes = np.arange(dtype.minimum, dtype.maximum + 1) - quantization.zero_points[0]
    return draft.constant(int_ops.Constant, codes * draft.draw(_factors()), FLOAT)


@strategy_for(int_ops.FloatAveragePool2D, accepts=_is_byte_image)
def int_float_average_pool2d(draft: Draft, operand: Value) -> Value:
    """Append an average pool of the operand's real values."""
    table = _reals_of(draft, operand)
    element, zero_point, minimum, maximum = draft.draw(_results())
    window = draft.draw(pool_windows(operand))
    op = int_ops.FloatAveragePool2D(
        operand,
        table,
        **window,
        count_include_pad=draft.draw(st.booleans()),
        scale=draft.draw(_factors()),
        zero_point=zero_point,
        minimum=minimum,
        maximum=maximum,
        element=element,
    )
    return draft.emit(op)


@st.composite
def _interpolations(draw: st.DrawFn, extent: int) -> int_ops.FloatInterpolation:
    index, weight = st.integers(0, extent - 1), st.floats(0.0, 1.0, width=32)
    found = draw(st.lists(st.tuples(index, index, weight), min_size=1, max_size=5))
    lower, upper, weights = zip(*found, strict=True)
    return int_ops.FloatInterpolation(tuple(lower), tuple(upper), tuple(weights))


def _is_unsigned_image(limits: Limits, value: Value) -> bool:
    return _is_byte_image(limits, value) and value.type.dtype is DType.U8


@strategy_for(int_ops.FloatResizeBilinear, accepts=_is_unsigned_image)
def int_float_resize_bilinear(draft: Draft, operand: Value) -> Value:
    """Append an interpolation between any rows and columns."""
    rows, columns = (draft.draw(_interpolations(extent)) for extent in operand.type.shape[1:3])
    return draft.emit(int_ops.FloatResizeBilinear(operand, rows, columns))


@strategy_for(int_ops.TableResizeBilinear, accepts=_is_byte_image)
def int_table_resize_bilinear(draft: Draft, operand: Value) -> Value:
    """Append an interpolation of real values between any rows and columns."""
    table = _reals_of(draft, operand)
    rows, columns = (draft.draw(_interpolations(extent)) for extent in operand.type.shape[1:3])
    element, zero_point, minimum, maximum = draft.draw(_results())
    scale = draft.draw(_factors())
    op = int_ops.TableResizeBilinear(operand, table, rows, columns, scale, zero_point, minimum, maximum, element)
    return draft.emit(op)


@strategy_for(int_ops.FloatMean2D, accepts=_is_byte_image)
def int_float_mean2d(draft: Draft, operand: Value) -> Value:
    """Append a mean over images."""
    table = _reals_of(draft, operand)
    element, zero_point, minimum, maximum = draft.draw(_results())
    op = int_ops.FloatMean2D(operand, table, draft.draw(_factors()), zero_point, minimum, maximum, element)
    return draft.emit(op)
