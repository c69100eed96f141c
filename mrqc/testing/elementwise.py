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
    """Append a constant activation of the operand's type."""
    type_ = operand.type
    codes = draft.draw(code_arrays(type_.shape, type_.dtype.minimum, type_.dtype.maximum))
    value = draft.constant(nn.Constant, codes, type_.element)
    draft.spreads[value] = draft.spreads[operand]
    return value


@strategy_for(int_ops.Constant, accepts=is_activation)
def int_constant(draft: Draft, operand: Value) -> Value:
    """Append a constant activation of the operand's type."""
    type_ = operand.type
    codes = draft.draw(code_arrays(type_.shape, type_.dtype.minimum, type_.dtype.maximum))
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
