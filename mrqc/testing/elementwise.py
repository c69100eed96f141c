"""How additions and constant operands are drawn."""

from __future__ import annotations

from hypothesis import strategies as st

from mrqc.ir import DType, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.elementwise import ADD_MULTIPLIER_LIMIT
from mrqc.testing.arrays import code_arrays
from mrqc.testing.draft import (
    ACCUMULATOR_BUDGET,
    Draft,
    Extend,
    Spread,
    is_activation,
    is_quantized,
    strategy_for,
)
from mrqc.testing.requantize import requantized


@strategy_for(nn.Constant, accepts=is_quantized)
def nn_constant(draft: Draft, operand: Value) -> Value:
    """Append a constant activation of the operand's element, of its shape or one that is stretched to it."""
    type_ = operand.type
    codes = draft.draw(code_arrays(draft.draw(stretched(type_.shape)), type_.dtype.minimum, type_.dtype.maximum))
    value = draft.constant(nn.Constant, codes, type_.element)
    draft.spreads[value] = draft.spreads[operand]
    return value


@strategy_for(int_ops.Constant, accepts=is_activation)
def int_constant(draft: Draft, operand: Value) -> Value:
    """Append a constant activation of the operand's element, of its shape or one that is stretched to it."""
    type_ = operand.type
    codes = draft.draw(code_arrays(draft.draw(stretched(type_.shape)), type_.dtype.minimum, type_.dtype.maximum))
    return draft.constant(int_ops.Constant, codes, type_.element)


@strategy_for(nn.Add, accepts=is_quantized)
def nn_add(draft: Draft, operand: Value) -> Value:
    """Append a residual addition of two values, of a value with itself, or of a constant."""
    other = _second_operand(draft, operand, nn_constant)
    first, second = draft.spreads[operand], draft.spreads[other]
    spread = Spread(first.low + second.low, first.high + second.high)
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    return draft.emit(nn.Add(operand, other, clamp=clamp, element=draft.element_for(spread)), spread)


@strategy_for(int_ops.Add, accepts=is_activation)
def int_add(draft: Draft, operand: Value) -> Value:
    """Append an addition whose sum fits 32 bits."""
    other = _second_operand(draft, operand, int_constant)
    left = draft.draw(_add_multipliers(operand.type.dtype))
    right = draft.draw(_add_multipliers(other.type.dtype))
    bound = sum(
        multiplier * max(-dtype.minimum, dtype.maximum)
        for multiplier, dtype in ((left, operand.type.dtype), (right, other.type.dtype))
    )
    requantize, element = draft.draw(requantized(bound))
    return draft.emit(int_ops.Add(operand, other, left, right, requantize, element))


@strategy_for(int_ops.RescaledAdd, accepts=is_activation)
def int_rescaled_add(draft: Draft, operand: Value) -> Value:
    """Append an addition of operands with zero points and scales of their own."""
    other = _second_operand(draft, operand, int_constant)
    first, second = draft.draw(_operand_scalings(operand.type.dtype)), draft.draw(_operand_scalings(other.type.dtype))
    bound = sum(
        scaling.reach(value.type.dtype.minimum, value.type.dtype.maximum)
        for scaling, value in ((first, operand), (second, other))
    )
    requantize, element = draft.draw(requantized(bound))
    return draft.emit(int_ops.RescaledAdd(operand, other, first, second, requantize, element))


@st.composite
def stretched(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a strategy for shapes that are stretched to ``shape``; shrinks to ``shape`` itself."""
    if draw(st.integers(0, 2)) < 2:
        return shape
    kept = draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    dropped = draw(st.integers(0, max(0, len(shape) - 1)))
    return tuple(extent if keep else 1 for keep, extent in zip(kept, shape, strict=True))[dropped:]


@st.composite
def _operand_scalings(draw: st.DrawFn, dtype: DType) -> int_ops.OperandScaling:
    """Return a strategy for scalings whose products keep well within 64 bits and whose results fit 30."""
    zero_point = draw(st.one_of(st.just(0), st.integers(dtype.minimum, dtype.maximum)))
    left_shift = draw(st.integers(0, 29 - 8 * dtype.bytes))
    multiplier = draw(st.one_of(st.just(1 << 30), st.integers(1 << 30, (1 << 31) - 1), st.integers(-(1 << 31), 0)))
    return int_ops.OperandScaling(zero_point, left_shift, multiplier, draw(st.integers(31, 40)))


def _second_operand(draft: Draft, operand: Value, constant: Extend) -> Value:
    partners = draft.alike(operand)
    choice = draft.draw(st.integers(0, len(partners)))
    if choice < len(partners):
        return partners[choice]
    return constant(draft, operand)


def _add_multipliers(dtype: DType) -> st.SearchStrategy[int]:
    """Return a strategy for multipliers, powers of two as likely as others, within half the accumulator."""
    largest = min(ADD_MULTIPLIER_LIMIT, ACCUMULATOR_BUDGET // max(-dtype.minimum, dtype.maximum)) - 1
    powers = st.integers(0, largest.bit_length() - 1).map(lambda exponent: 1 << exponent)
    return st.one_of(powers, st.integers(1, largest))
