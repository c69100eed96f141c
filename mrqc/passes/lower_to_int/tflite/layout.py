"""What moves elements, as on every target but for CONCATENATION."""

from __future__ import annotations

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes.lower_to_int.layout import lower_pad, register_moves
from mrqc.passes.lower_to_int.reduction import lower_arg_max
from mrqc.passes.lower_to_int.rules import Site, per_tensor
from mrqc.passes.lower_to_int.tflite.multipliers import single
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS
from mrqc.passes.lower_to_int.tflite.tables import every_code, lookup

register_moves(TFLITE_LOWERINGS)
TFLITE_LOWERINGS.register(nn.Pad)(lower_pad)
TFLITE_LOWERINGS.register(nn.ArgMax)(lower_arg_max)


@TFLITE_LOWERINGS.register(nn.Concat)
def lower_concat(op: Op, site: Site) -> Value:
    """The same codes; unsigned ones with another scale go through a table first."""
    assert isinstance(op, nn.Concat)
    return site.emit(int_ops.Concat(tuple(_rescaled(v, op.element, site) for v in op.inputs), op.axis, op.element))


def _rescaled(value: Value, element: Element, site: Site) -> Value:
    """Return an input of a concatenation at the scale of the result, worked out in single precision."""
    if value.type.element == element:
        return value
    if element.dtype is not DType.U8 or value.type.dtype is not DType.U8:
        raise RefusalError("the runtime concatenates only unsigned codes whose scales differ from the result's")
    source, target = per_tensor(value), element.quantization
    assert target is not None
    scale = single(source.scale) * (single(1) / single(target.scale))
    bias = single(-source.zero_point) * scale
    products = every_code(value.type.element).astype(np.float32) * scale + bias
    codes = np.copysign(np.floor(np.abs(products) + np.float32(0.5)), products).astype(np.int64)
    return lookup(value, codes + target.zero_point, element, site)
