"""How pools are drawn."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mrqc.ir import Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.arrays import pairs
from mrqc.testing.contraction import zero_points
from mrqc.testing.draft import Draft, Spread, is_activation_image, is_image, strategy_for
from mrqc.testing.requantize import requantized


@st.composite
def pool_windows(draw: st.DrawFn, operand: Value) -> dict[str, Any]:
    """Return a strategy for kernel, strides and padding of a pool over ``operand``, global pools included."""
    _, height, width, _ = operand.type.shape
    if draw(st.booleans()):
        return {"kernel": (height, width), "strides": (1, 1), "padding": (0, 0, 0, 0)}
    down, top, bottom = draw(_axis(height))
    across, left, right = draw(_axis(width))
    strides = draw(pairs(1, 3))
    return {"kernel": (down, across), "strides": strides, "padding": (top, left, bottom, right)}


@st.composite
def _axis(draw: st.DrawFn, size: int) -> tuple[int, int, int]:
    """Return a strategy for kernel and padding along one axis; no window lies in the padding alone."""
    kernel = draw(st.integers(1, 3))
    before = draw(st.integers(0, kernel - 1))
    after = draw(st.integers(max(0, kernel - size - before), kernel - 1))
    return kernel, before, after


@strategy_for(nn.AveragePool2D, accepts=is_image)
def nn_average_pool2d(draft: Draft, operand: Value) -> Value:
    """Append an average pool; its means lie closer together than its inputs."""
    window = draft.draw(pool_windows(operand))
    source = draft.spreads[operand]
    half = source.deviation * (3 / (window["kernel"][0] * window["kernel"][1])) ** 0.5
    spread = Spread(max(source.low, source.mean - half), min(source.high, source.mean + half))
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    element = draft.element_for(spread)
    include = draft.draw(st.booleans())
    op = nn.AveragePool2D(operand, **window, count_include_pad=include, clamp=clamp, element=element)
    return draft.emit(op, spread)


@strategy_for(nn.MaxPool2D, accepts=is_image)
def nn_max_pool2d(draft: Draft, operand: Value) -> Value:
    """Append a max pool, mostly at the input's own scale."""
    window = draft.draw(pool_windows(operand))
    clamp = draft.clamp_for(draft.spreads[operand])
    spread = draft.spreads[operand].clamped(clamp)
    element = draft.element_for(spread) if draft.draw(st.booleans()) else operand.type.element
    return draft.emit(nn.MaxPool2D(operand, **window, clamp=clamp, element=element), spread)


@strategy_for(int_ops.AveragePool2D, accepts=is_activation_image)
def int_average_pool2d(draft: Draft, operand: Value) -> Value:
    """Append an average pool with any divisor."""
    window = draft.draw(pool_windows(operand))
    dtype = operand.type.dtype
    zero_point = draft.draw(st.one_of(st.just(0), st.just(0), zero_points(dtype)))
    bound = max(zero_point - dtype.minimum, dtype.maximum - zero_point) * window["kernel"][0] * window["kernel"][1]
    requantize, element = draft.draw(requantized(bound))
    op = int_ops.AveragePool2D(operand, **window, requantize=requantize, element=element, input_zero_point=zero_point)
    return draft.emit(op)


@strategy_for(int_ops.MeanPool2D, accepts=is_activation_image)
def int_mean_pool2d(draft: Draft, operand: Value) -> Value:
    """Append a mean pool with any clamp."""
    dtype = operand.type.dtype
    limits = st.tuples(*[st.integers(dtype.minimum, dtype.maximum)] * 2).map(sorted)
    minimum, maximum = draft.draw(st.one_of(st.just([dtype.minimum, dtype.maximum]), limits))
    window = draft.draw(pool_windows(operand))
    op = int_ops.MeanPool2D(operand, **window, minimum=minimum, maximum=maximum, element=operand.type.element)
    return draft.emit(op)


@strategy_for(int_ops.MaxPool2D, accepts=is_activation_image)
def int_max_pool2d(draft: Draft, operand: Value) -> Value:
    """Append a max pool."""
    return draft.emit(int_ops.MaxPool2D(operand, **draft.draw(pool_windows(operand))))
