"""How reshapes and transposes are drawn; the leading axis stays, so that a batch may be split."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from mrqc.ir import Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing.draft import Draft, Limits, is_quantized, strategy_for

RANK_LIMIT = 4


@st.composite
def reshapes(draw: st.DrawFn, operand: Value) -> tuple[int, ...]:
    """Return a strategy for shapes of the operand's size and leading extent; shrinks to ``[N, rest]``."""
    leading, *others = operand.type.shape
    rest = math.prod(others)
    extents: list[int] = []
    for _ in range(draw(st.integers(0, RANK_LIMIT - 2))):
        divisors = [n for n in range(1, rest + 1) if rest % n == 0]
        extents.append(draw(st.sampled_from(divisors)))
        rest //= extents[-1]
    return (leading, *extents, rest)


@st.composite
def permutations(draw: st.DrawFn, operand: Value) -> tuple[int, ...]:
    """Return a strategy for orders of the axes that keep the leading one; shrinks to the identity."""
    return (0, *draw(st.permutations(range(1, operand.type.rank))))


def _is_batch(limits: Limits, value: Value) -> bool:
    return is_quantized(limits, value) and value.type.rank > 0


@strategy_for(nn.Reshape, accepts=_is_batch)
def nn_reshape(draft: Draft, operand: Value) -> Value:
    """Append a reshape."""
    return draft.emit(nn.Reshape(operand, draft.draw(reshapes(operand))), draft.spreads[operand])


@strategy_for(int_ops.Reshape, accepts=_is_batch)
def int_reshape(draft: Draft, operand: Value) -> Value:
    """Append a reshape."""
    return draft.emit(int_ops.Reshape(operand, draft.draw(reshapes(operand))))


@strategy_for(nn.Transpose, accepts=_is_batch)
def nn_transpose(draft: Draft, operand: Value) -> Value:
    """Append a transpose."""
    return draft.emit(nn.Transpose(operand, draft.draw(permutations(operand))), draft.spreads[operand])


@strategy_for(int_ops.Transpose, accepts=_is_batch)
def int_transpose(draft: Draft, operand: Value) -> Value:
    """Append a transpose."""
    return draft.emit(int_ops.Transpose(operand, draft.draw(permutations(operand))))
