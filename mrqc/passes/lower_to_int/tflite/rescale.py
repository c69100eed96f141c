"""QUANTIZE between codes, and what is left of floats."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.rescale import lower_batch_normalization, lower_dequantize
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import activation_limits, distances, tflite_requantize
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.tables import requantized, tabulated

TFLITE_LOWERINGS.register(nn.Dequantize)(lower_dequantize)
TFLITE_LOWERINGS.register(nn.BatchNormalization)(lower_batch_normalization)


@TFLITE_LOWERINGS.register(nn.Relabel)
def refuse_relabel(op: Op, site: Site) -> Value:
    """Refuse: the runtime has no operator for it."""
    raise RefusalError(f"{op.mnemonic}: {site.target.name} does not read codes at another scale than their own")


@TFLITE_LOWERINGS.register(nn.Quantize)
def lower_quantize(op: Op, site: Site) -> Value:
    """The ratio of the scales in double precision; nothing where both are the same."""
    assert isinstance(op, nn.Quantize)
    if op.input.type.quantization is None:
        raise RefusalError("a quantize inside the model, of floats", "quantize what comes before it in the model")
    if op.input.type.element == op.element:
        return op.input
    ratio = per_tensor(op.input).scale / result_scale(op.element)
    return rescaled(op.input, ratio, op.element, activation_limits(op.element), site)


def rescaled(value: Value, ratio: float, element: Element, limits: tuple[int, int], site: Site) -> Value:
    """Return ``value`` under another quantization: a table of 8-bit codes, arithmetic for wider ones.

    Args:
        value: A per-tensor activation.
        ratio: Its scale over the result's, as precise as the runtime's.
        element: Of the result.
        limits: The least and greatest code of the result.
        site: Where to emit.

    Raises:
        RefusalError: The ratio is out of range.
    """
    zero_point = per_tensor(value).zero_point
    requantize = tflite_requantize(ratio, site, element, limits, distances(value))
    if value.type.dtype.bytes == 1:
        return tabulated(value, lambda codes: requantized(codes - zero_point, requantize), element, site)
    return site.emit(int_ops.Rescale(value, zero_point, requantize, element))
