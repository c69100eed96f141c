"""How pads, slices, choices, concatenations, searches and changes of size are drawn; the leading axis stays."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mrqc.ir import DType, Element, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.resize import RESIZE_BITS
from mrqc.testing.draft import (
    Draft,
    Limits,
    Spread,
    is_activation,
    is_activation_image,
    is_image,
    is_quantized,
    strategy_for,
)


def _has_inner_axes(limits: Limits, value: Value) -> bool:
    return is_quantized(limits, value) and 1 < value.type.rank <= 8 and value.type.size <= _SIZE_LIMIT


def _is_activation_with_inner_axes(limits: Limits, value: Value) -> bool:
    return is_activation(limits, value) and _has_inner_axes(limits, value)


def _is_small_image(limits: Limits, value: Value) -> bool:
    return is_image(limits, value) and value.type.size <= _SIZE_LIMIT


def _is_small_activation_image(limits: Limits, value: Value) -> bool:
    return is_activation_image(limits, value) and value.type.size <= _SIZE_LIMIT


_SIZE_LIMIT = 1 << 12
"""What grows by being padded, joined or enlarged is smaller."""


@st.composite
def paddings(draw: st.DrawFn, operand: Value, most: int = 2) -> tuple[int, ...]:
    """Return a strategy for amounts before and behind each axis but the leading one."""
    inner = [draw(st.integers(0, min(most, extent - 1))) for extent in operand.type.shape[1:] for _ in range(2)]
    return (0, 0, *inner)


@st.composite
def boxes(draw: st.DrawFn, operand: Value) -> dict[str, Any]:
    """Return a strategy for begin, size and strides of a slice, backwards ones included."""
    leading, *inner = operand.type.shape
    begin, size, strides = [0], [leading], [1]
    for extent in inner:
        stride = draw(st.sampled_from((1, 1, 2, 3, -1, -2)))
        first = draw(st.integers(0, extent - 1))
        room = (extent - 1 - first if stride > 0 else first) // abs(stride) + 1
        begin.append(first)
        size.append(draw(st.integers(1, room)))
        strides.append(stride)
    return {"begin": tuple(begin), "size": tuple(size), "strides": tuple(strides)}


@st.composite
def choices(draw: st.DrawFn, operand: Value) -> dict[str, Any]:
    """Return a strategy for an axis but the leading one, and indices along it."""
    axis = draw(st.integers(1, operand.type.rank - 1))
    index = st.integers(0, operand.type.shape[axis] - 1)
    return {"axis": axis, "indices": tuple(draw(st.lists(index, min_size=1, max_size=6)))}


def _partners(draft: Draft, operand: Value, axis: int) -> tuple[Value, ...]:
    """Return one to three values of the operand's dtype that can be joined to it along an axis."""

    def shape_beside(value: Value) -> tuple[int, ...]:
        shape = value.type.shape
        return (*shape[:axis], *shape[axis + 1 :])

    fitting = [
        value
        for value in draft.values
        if value.type.rank == operand.type.rank
        and value.type.dtype is operand.type.dtype
        and value.type.element.is_quantized
        and shape_beside(value) == shape_beside(operand)
        and value.type.size <= _SIZE_LIMIT
    ]
    return (operand, *draft.draw(st.lists(st.sampled_from(fitting), max_size=2)))


@strategy_for(nn.Pad, accepts=_has_inner_axes)
def nn_pad(draft: Draft, operand: Value) -> Value:
    """Append a padding, mostly with zeros."""
    spread = draft.spreads[operand]
    value = draft.draw(st.sampled_from((0.0, 0.0, spread.low, spread.high)))
    spread = Spread(min(spread.low, value), max(spread.high, value))
    return draft.emit(nn.Pad(operand, draft.draw(paddings(operand)), value), spread)


@strategy_for(int_ops.Pad, accepts=_is_activation_with_inner_axes)
def int_pad(draft: Draft, operand: Value) -> Value:
    """Append a padding with any code."""
    dtype = operand.type.dtype
    code = draft.draw(st.integers(dtype.minimum, dtype.maximum))
    return draft.emit(int_ops.Pad(operand, draft.draw(paddings(operand)), code))


@strategy_for(nn.MirrorPad, accepts=_has_inner_axes)
def nn_mirror_pad(draft: Draft, operand: Value) -> Value:
    """Append a padding with the operand's own elements."""
    mode = draft.draw(st.sampled_from(nn.Mirror))
    return draft.emit(nn.MirrorPad(operand, draft.draw(paddings(operand)), mode), draft.spreads[operand])


@strategy_for(nn.Slice, accepts=_has_inner_axes)
def nn_slice(draft: Draft, operand: Value) -> Value:
    """Append a slice."""
    return draft.emit(nn.Slice(operand, **draft.draw(boxes(operand))), draft.spreads[operand])


@strategy_for(int_ops.Slice, accepts=_is_activation_with_inner_axes)
def int_slice(draft: Draft, operand: Value) -> Value:
    """Append a slice."""
    return draft.emit(int_ops.Slice(operand, **draft.draw(boxes(operand))))


@strategy_for(nn.Take, accepts=_has_inner_axes)
def nn_take(draft: Draft, operand: Value) -> Value:
    """Append a choice along one axis."""
    return draft.emit(nn.Take(operand, **draft.draw(choices(operand))), draft.spreads[operand])


@strategy_for(int_ops.Take, accepts=_is_activation_with_inner_axes)
def int_take(draft: Draft, operand: Value) -> Value:
    """Append a choice along one axis."""
    return draft.emit(int_ops.Take(operand, **draft.draw(choices(operand))))


@strategy_for(nn.Concat, accepts=_has_inner_axes)
def nn_concat(draft: Draft, operand: Value) -> Value:
    """Append a concatenation of the operand with itself or others."""
    axis = draft.draw(st.integers(1, operand.type.rank - 1))
    inputs = _partners(draft, operand, axis)
    spreads = [draft.spreads[value] for value in inputs]
    spread = Spread(min(each.low for each in spreads), max(each.high for each in spreads))
    return draft.emit(nn.Concat(inputs, axis, draft.element_for(spread)), spread)


@strategy_for(int_ops.Concat, accepts=_is_activation_with_inner_axes)
def int_concat(draft: Draft, operand: Value) -> Value:
    """Append a concatenation of the operand with itself or others."""
    axis = draft.draw(st.integers(1, operand.type.rank - 1))
    return draft.emit(int_ops.Concat(_partners(draft, operand, axis), axis, operand.type.element))


def _search(draft: Draft, operand: Value) -> dict[str, Any]:
    return {
        "axis": draft.draw(st.integers(1, operand.type.rank - 1)),
        "keep_dims": draft.draw(st.booleans()),
        "smallest": draft.draw(st.booleans()),
        "element": Element(draft.draw(st.sampled_from((DType.I32, DType.I64)))),
    }


@strategy_for(nn.ArgMax, accepts=_has_inner_axes)
def nn_arg_max(draft: Draft, operand: Value) -> Value:
    """Append a search."""
    return draft.emit(nn.ArgMax(operand, **_search(draft, operand)))


@strategy_for(int_ops.ArgMax, accepts=_is_activation_with_inner_axes)
def int_arg_max(draft: Draft, operand: Value) -> Value:
    """Append a search."""
    return draft.emit(int_ops.ArgMax(operand, **_search(draft, operand)))


def _size(draft: Draft) -> tuple[int, int]:
    return draft.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))


@strategy_for(nn.ResizeBilinear, accepts=_is_small_image)
def nn_resize_bilinear(draft: Draft, operand: Value) -> Value:
    """Append a change of size at the operand's scale."""
    coordinates = draft.draw(st.sampled_from(nn.Coordinates))
    op = nn.ResizeBilinear(operand, _size(draft), coordinates, operand.type.element)
    return draft.emit(op, draft.spreads[operand])


@strategy_for(nn.ResizeNearest, accepts=_is_small_image)
def nn_resize_nearest(draft: Draft, operand: Value) -> Value:
    """Append a change of size at the operand's scale."""
    coordinates, rounding = draft.draw(st.sampled_from(nn.Coordinates)), draft.draw(st.sampled_from(nn.Nearest))
    op = nn.ResizeNearest(operand, _size(draft), coordinates, rounding, operand.type.element)
    return draft.emit(op, draft.spreads[operand])


@st.composite
def _interpolations(draw: st.DrawFn, extent: int, one: int) -> int_ops.Interpolation:
    index = st.integers(0, extent - 1)
    rows = draw(st.lists(st.tuples(index, index, st.integers(0, one)), min_size=1, max_size=6))
    lower, upper, weight = zip(*rows, strict=True)
    return int_ops.Interpolation(tuple(lower), tuple(upper), tuple(weight))


@strategy_for(int_ops.ResizeBilinear, accepts=_is_small_activation_image)
def int_resize_bilinear(draft: Draft, operand: Value) -> Value:
    """Append an interpolation between any rows and columns."""
    bits = draft.draw(st.integers(0, RESIZE_BITS))
    rows, columns = (draft.draw(_interpolations(extent, 1 << bits)) for extent in operand.type.shape[1:3])
    rounding = draft.draw(st.sampled_from(Rounding))
    return draft.emit(int_ops.ResizeBilinear(operand, rows, columns, bits, rounding))
