"""Changes of scale, and what no integer target has."""

from __future__ import annotations

from mrqc.errors import RefusalError
from mrqc.ir.op import Op, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.multipliers import requantization
from mrqc.passes.lower_to_int.rules import LOWERINGS, Site, per_tensor, result_scale


@LOWERINGS.register(nn.Quantize)
def lower_quantize(op: Op, site: Site) -> Value:
    """From one quantization to another; nothing where both are the same."""
    assert isinstance(op, nn.Quantize)
    source = per_tensor(op.input)
    if op.input.type.element == op.element:
        return op.input
    arithmetic = site.arithmetic(int_ops.Rescale.mnemonic)
    ratio = source.scale / result_scale(op.element)
    requantize = requantization([ratio], arithmetic, op.element, site.limits(op.element))
    return site.emit(int_ops.Rescale(op.input, source.zero_point, requantize, op.element))


@LOWERINGS.register(nn.Relabel)
def lower_relabel(op: Op, site: Site) -> Value:
    """The same codes, which mean something else."""
    assert isinstance(op, nn.Relabel)
    per_tensor(op.input)
    if len(op.factors) > 1:
        raise RefusalError(
            "a relabel with a factor for each channel has no integer form", "take the factors into the layers around it"
        )
    return site.emit(int_ops.Relabel(op.input, op.infer()[0].element))


@LOWERINGS.register(nn.Dequantize)
def lower_dequantize(op: Op, site: Site) -> Value:
    """Refuse: there are no floats on an integer target."""
    del op, site
    raise RefusalError("a dequantize inside the model, floats follow", "quantize what follows it in the model")


@LOWERINGS.register(nn.BatchNormalization)
def lower_batch_normalization(op: Op, site: Site) -> Value:
    """Refuse: it works on floats."""
    del op, site
    raise RefusalError(
        "a batch normalization of floats", "export the model with it folded into the layer before it, and quantized"
    )
