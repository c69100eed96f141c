"""How changes of quantization are drawn: nn.quantize, nn.dequantize and both rescales of codes."""

from __future__ import annotations

from hypothesis import strategies as st

from mrqc.ir import FLOAT, Element, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.int.contraction import ACTIVATION_DTYPES
from mrqc.testing.draft import Draft, Limits, Spread, is_activation, is_quantized, strategy_for
from mrqc.testing.requantize import requantized
from mrqc.testing.types import dtypes, label_scales


def _is_real_or_quantized(limits: Limits, value: Value) -> bool:
    return value.type.element == FLOAT or is_quantized(limits, value)


@strategy_for(nn.Quantize, accepts=_is_real_or_quantized)
def nn_quantize(draft: Draft, operand: Value) -> Value:
    """Append a quantization of reals, or of codes at another scale."""
    spread = draft.spreads.get(operand)
    if spread is None:
        reach = float(2 ** draft.draw(st.integers(0, 4)))
        spread = Spread(-reach * draft.draw(st.sampled_from((0.0, 0.3, 1.0))), reach)
    return draft.emit(nn.Quantize(operand, draft.element_for(spread)), spread)


@strategy_for(nn.Dequantize, accepts=is_quantized)
def nn_dequantize(draft: Draft, operand: Value) -> Value:
    """Append the way back to reals."""
    return draft.emit(nn.Dequantize(operand))


@strategy_for(int_ops.Rescale, accepts=is_activation)
def int_rescale(draft: Draft, operand: Value) -> Value:
    """Append a change of zero point, scale or width."""
    dtype = operand.type.dtype
    zero_point = draft.draw(st.one_of(st.just(0), st.integers(dtype.minimum, dtype.maximum)))
    requantize, element = draft.draw(requantized(dtype.maximum - dtype.minimum))
    return draft.emit(int_ops.Rescale(operand, zero_point, requantize, element))


@strategy_for(int_ops.DoubleRescale, accepts=is_activation)
def int_double_rescale(draft: Draft, operand: Value) -> Value:
    """Append a change of scale, for the tensor or for each channel; products often lie near ties."""
    dtype = draft.draw(dtypes(ACTIVATION_DTYPES))
    count = draft.draw(st.sampled_from((1, operand.type.shape[-1] if operand.type.rank else 1)))
    ties = st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda pair: pair[0] / (2 * pair[1]))
    factors = st.one_of(ties, ties, st.floats(-20, 10).map(lambda exponent: 2.0**exponent))
    scales = draft.draw(st.lists(factors, min_size=count, max_size=count))
    codes = st.integers(dtype.minimum, dtype.maximum)
    zero_point, ends = draft.draw(codes), sorted(draft.draw(st.tuples(codes, codes)))
    minimum, maximum = ends if draft.draw(st.integers(0, 4)) == 4 else (dtype.minimum, dtype.maximum)
    element = Element.per_tensor(dtype, draft.draw(label_scales()), zero_point)
    return draft.emit(int_ops.DoubleRescale(operand, tuple(scales), zero_point, minimum, maximum, element))


@strategy_for(nn.Relabel, accepts=_is_real_or_quantized)
def nn_relabel(draft: Draft, operand: Value) -> Value:
    """Append a relabelling, for the tensor or for each channel; no layer takes up the latter by chance."""
    factors = st.sampled_from((0.5, 1.0, 4.0, 1.2, 0.7))
    quantization = operand.type.quantization
    if operand.type.rank > 1 and (quantization is None or quantization.is_per_tensor) and draft.draw(st.booleans()):
        count = operand.type.shape[-1]
        value = draft.emit(nn.Relabel(operand, tuple(draft.draw(st.lists(factors, min_size=count, max_size=count)))))
        draft.values.remove(value)
        return value
    factor, spread = draft.draw(factors), draft.spreads.get(operand)
    scaled = None if spread is None else Spread(spread.low * factor, spread.high * factor)
    return draft.emit(nn.Relabel(operand, (factor,)), scaled)


@strategy_for(int_ops.Relabel, accepts=is_quantized)
def int_relabel(draft: Draft, operand: Value) -> Value:
    """Append a relabelling."""
    dtype = operand.type.dtype
    zero_point = draft.draw(st.integers(dtype.minimum, dtype.maximum))
    return draft.emit(int_ops.Relabel(operand, Element.per_tensor(dtype, draft.draw(label_scales()), zero_point)))
