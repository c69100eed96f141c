"""The arithmetic of TensorFlow Lite's reference kernels, op by op."""

from mrqc.ops import NN_OPS
from mrqc.passes.lower_to_int.tflite import (
    activation,
    contraction,
    elementary,
    elementwise,
    functions,
    layout,
    pooling,
    reduction,
    rescale,
    resize,
    softmax,
)
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS

_RULE_MODULES = (
    activation,
    contraction,
    elementary,
    elementwise,
    functions,
    layout,
    pooling,
    reduction,
    rescale,
    resize,
    softmax,
)
TFLITE_LOWERINGS.seal(NN_OPS)

__all__ = ["TFLITE_LOWERINGS"]
