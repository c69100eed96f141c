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


@strategy_for(nn.Sub, accepts=is_quantized)
def nn_sub(draft: Draft, operand: Value) -> Value:
    """Append a difference."""
    other = _second_operand(draft, operand, nn_constant)
    first, second = draft.spreads[operand], draft.spreads[other]
    spread = Spread(first.low - second.high, first.high - second.low)
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    return draft.emit(nn.Sub(operand, other, clamp=clamp, element=draft.element_for(spread)), spread)


@strategy_for(nn.Mul, accepts=is_quantized)
def nn_mul(draft: Draft, operand: Value) -> Value:
    """Append a product."""
    other = _second_operand(draft, operand, nn_constant)
    first, second = draft.spreads[operand], draft.spreads[other]
    ends = [left * right for left in (first.low, first.high) for right in (second.low, second.high)]
    spread = Spread(min(ends), max(ends))
    clamp = draft.clamp_for(spread)
    spread = spread.clamped(clamp)
    return draft.emit(nn.Mul(operand, other, clamp=clamp, element=draft.element_for(spread)), spread)


@strategy_for(nn.SquaredDifference, accepts=is_quantized)
def nn_squared_difference(draft: Draft, operand: Value) -> Value:
    """Append the square of a difference."""
    other = _second_operand(draft, operand, nn_constant)
    first, second = draft.spreads[operand], draft.spreads[other]
    spread = Spread(0.0, max(first.low - second.high, first.high - second.low, key=abs) ** 2)
    return draft.emit(nn.SquaredDifference(operand, other, draft.element_for(spread)), spread)


def _nn_extremum(extremum: type[nn.Maximum | nn.Minimum]) -> Extend:
    def extend(draft: Draft, operand: Value) -> Value:
        """Append the greater or the lesser of a value and a constant of the same scale."""
        other = nn_constant(draft, operand)
        return draft.emit(extremum(operand, other, operand.type.element), draft.spreads[operand])

    return extend


strategy_for(nn.Maximum, accepts=is_quantized)(_nn_extremum(nn.Maximum))
strategy_for(nn.Minimum, accepts=is_quantized)(_nn_extremum(nn.Minimum))


@strategy_for(nn.Prelu, accepts=is_quantized)
def nn_prelu(draft: Draft, operand: Value) -> Value:
    """Append a PReLU with slopes from a quarter below zero to one."""
    type_ = operand.type
    element = draft.element_for(Spread(-0.25, 1.0))
    codes = draft.draw(code_arrays(draft.draw(stretched(type_.shape)), element.dtype.minimum, element.dtype.maximum))
    slope = draft.constant(nn.Constant, codes, element)
    spread = draft.spreads[operand]
    spread = Spread(min(spread.low, spread.low * -0.25), max(spread.high, spread.low * -0.25))
    return draft.emit(nn.Prelu(operand, slope, draft.element_for(spread)), spread)


@strategy_for(int_ops.Mul, accepts=is_activation)
def int_mul(draft: Draft, operand: Value) -> Value:
    """Append a product whose accumulator fits 32 bits."""
    other = _second_operand(draft, operand, int_constant)
    lhs_zero, rhs_zero = (draft.draw(_zero_points(value.type.dtype)) for value in (operand, other))
    bound = _reach(operand.type.dtype, lhs_zero) * _reach(other.type.dtype, rhs_zero)
    requantize, element = draft.draw(requantized(bound))
    return draft.emit(int_ops.Mul(operand, other, lhs_zero, rhs_zero, requantize, element))


def _int_extremum(extremum: type[int_ops.Maximum | int_ops.Minimum]) -> Extend:
    def extend(draft: Draft, operand: Value) -> Value:
        """Append the greater or the lesser of two codes of the same element."""
        partners = [value for value in draft.alike(operand) if value.type == operand.type]
        choice = draft.draw(st.integers(0, len(partners)))
        other = partners[choice] if choice < len(partners) else int_constant(draft, operand)
        return draft.emit(extremum(operand, other))

    return extend


strategy_for(int_ops.Maximum, accepts=is_activation)(_int_extremum(int_ops.Maximum))
strategy_for(int_ops.Minimum, accepts=is_activation)(_int_extremum(int_ops.Minimum))


@strategy_for(int_ops.Prelu, accepts=is_activation)
def int_prelu(draft: Draft, operand: Value) -> Value:
    """Append a PReLU with a constant slope."""
    slope = int_constant(draft, operand)
    zero, slope_zero = (draft.draw(_zero_points(value.type.dtype)) for value in (operand, slope))
    bound = _reach(operand.type.dtype, zero) * _reach(slope.type.dtype, slope_zero)
    requantize, element = draft.draw(requantized(bound))
    multiplier, shift = draft.draw(st.tuples(st.integers(0, (1 << 31) - 1), st.integers(28, 40)))
    return draft.emit(int_ops.Prelu(operand, slope, zero, slope_zero, multiplier, shift, requantize, element))


def _zero_points(dtype: DType) -> st.SearchStrategy[int]:
    """Return a strategy for zero points; those of 16-bit codes leave products of two within 32 bits."""
    if dtype is DType.I16:
        return st.integers(-(1 << 12), 1 << 12)
    return st.one_of(st.just(0), st.integers(dtype.minimum, dtype.maximum))


def _reach(dtype: DType, zero_point: int) -> int:
    return max(zero_point - dtype.minimum, dtype.maximum - zero_point)


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
