"""The arithmetic of ONNX Runtime's CPU kernels, op by op."""

from mrqc.ops import NN_OPS
from mrqc.passes.lower_to_int.onnxruntime import (
    activation,
    contraction,
    elementwise,
    layout,
    pooling,
    reduction,
    refused,
    resize,
    tables,
)
from mrqc.passes.lower_to_int.onnxruntime.rules import ONNXRUNTIME_LOWERINGS

_RULE_MODULES = (activation, contraction, elementwise, layout, pooling, reduction, refused, resize, tables)
ONNXRUNTIME_LOWERINGS.seal(NN_OPS)

__all__ = ["ONNXRUNTIME_LOWERINGS"]
