"""Operations over quantized tensor types whose meaning is defined over the reals.

Each op computes on the real values of its operands without error and rounds once, to the element of its result:
half to even, saturating. An op whose operands and result are floats is the real operation itself.
"""

from mrqc.ir.op import Op
from mrqc.ops.nn.activation import Clip, Softmax
from mrqc.ops.nn.clamp import UNBOUNDED, intersect_clamps
from mrqc.ops.nn.constant import Constant
from mrqc.ops.nn.contraction import Conv2D, FullyConnected
from mrqc.ops.nn.elementwise import Add
from mrqc.ops.nn.layout import Reshape, Transpose
from mrqc.ops.nn.pooling import AveragePool2D, MaxPool2D
from mrqc.ops.nn.quantize import Dequantize, Quantize
from mrqc.ops.nn.reduction import Mean, Sum

NN_OPS: tuple[type[Op], ...] = (
    Constant,
    Conv2D,
    FullyConnected,
    Add,
    AveragePool2D,
    MaxPool2D,
    Mean,
    Sum,
    Clip,
    Softmax,
    Reshape,
    Transpose,
    Quantize,
    Dequantize,
)
"""Every op of the dialect."""

__all__ = [
    "NN_OPS",
    "UNBOUNDED",
    "Add",
    "AveragePool2D",
    "Clip",
    "Constant",
    "Conv2D",
    "Dequantize",
    "FullyConnected",
    "MaxPool2D",
    "Mean",
    "Quantize",
    "Reshape",
    "Softmax",
    "Sum",
    "Transpose",
    "intersect_clamps",
]
