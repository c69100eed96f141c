"""How means and sums are drawn; the leading axis stays, so that a batch may be split."""

from __future__ import annotations

from hypothesis import strategies as st

from mrqc.ir import Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.draft import Draft, Limits, Spread, is_activation, is_quantized, strategy_for
from mrqc.testing.requantize import requantized


@st.composite
def reduced_axes(draw: st.DrawFn, operand: Value) -> tuple[int, ...]:
    """Return a strategy for axes but the leading one, at least one of them."""
    inner = range(1, operand.type.rank)
    return tuple(sorted(draw(st.sets(st.sampled_from(inner), min_size=1))))


@st.composite
def neighbouring_axes(draw: st.DrawFn, operand: Value) -> tuple[int, ...]:
    """Return a strategy for axes side by side, which any target can reduce; not the leading one."""
    first = draw(st.integers(1, operand.type.rank - 1))
    return tuple(range(first, draw(st.integers(first, operand.type.rank - 1)) + 1))


def _has_inner_axes(limits: Limits, value: Value) -> bool:
    return is_quantized(limits, value) and value.type.rank > 1


def _is_activation_with_inner_axes(limits: Limits, value: Value) -> bool:
    return is_activation(limits, value) and value.type.rank > 1


@strategy_for(nn.Mean, accepts=_has_inner_axes)
def nn_mean(draft: Draft, operand: Value) -> Value:
    """Append a mean; means lie closer together than what they are of."""
    op = nn.Mean(operand, draft.draw(neighbouring_axes(operand)), draft.draw(st.booleans()))
    source = draft.spreads[operand]
    half = source.deviation * (3 / op.count) ** 0.5
    spread = Spread(max(source.low, source.mean - half), min(source.high, source.mean + half))
    element = draft.element_for(spread)
    return draft.emit(nn.Mean(operand, op.axes, op.keep_dims, element), spread)


@strategy_for(nn.Sum, accepts=_has_inner_axes)
def nn_sum(draft: Draft, operand: Value) -> Value:
    """Append a sum."""
    op = nn.Sum(operand, draft.draw(neighbouring_axes(operand)), draft.draw(st.booleans()))
    source = draft.spreads[operand]
    half = source.deviation * (3 * op.count) ** 0.5
    spread = Spread(source.mean * op.count - half, source.mean * op.count + half)
    element = draft.element_for(spread)
    return draft.emit(nn.Sum(operand, op.axes, op.keep_dims, element), spread)


@strategy_for(int_ops.Sum, accepts=_is_activation_with_inner_axes)
def int_sum(draft: Draft, operand: Value) -> Value:
    """Append a sum with any divisor."""
    dtype = operand.type.dtype
    axes = draft.draw(reduced_axes(operand))
    keep_dims = draft.draw(st.booleans())
    zero_point = draft.draw(st.one_of(st.just(0), st.integers(dtype.minimum, dtype.maximum)))
    count = nn.Sum(operand, axes, keep_dims).count
    requantize, element = draft.draw(requantized((dtype.maximum - dtype.minimum) * count))
    return draft.emit(int_ops.Sum(operand, axes, keep_dims, zero_point, requantize, element))
