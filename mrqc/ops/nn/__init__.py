"""Operations over quantized tensor types whose meaning is defined over the reals.

Each op computes on the real values of its operands without error and rounds once, to the element of its result:
half to even, saturating. An op whose operands and result are floats is the real operation itself.
"""

from mrqc.ir.op import Op
from mrqc.ops.nn.activation import (
    Clip,
    Elu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    LogSoftmax,
    Sigmoid,
    Softmax,
    Tanh,
)
from mrqc.ops.nn.clamp import UNBOUNDED, intersect_clamps
from mrqc.ops.nn.constant import Constant
from mrqc.ops.nn.contraction import BatchMatMul, Conv2D, FullyConnected, TransposeConv2D
from mrqc.ops.nn.elementwise import Add, Maximum, Minimum, Mul, Prelu, Sub
from mrqc.ops.nn.layout import Concat, Mirror, MirrorPad, Pad, Reshape, Slice, Take, Transpose
from mrqc.ops.nn.normalization import BatchNormalization
from mrqc.ops.nn.pooling import AveragePool2D, MaxPool2D
from mrqc.ops.nn.quantize import Dequantize, Quantize
from mrqc.ops.nn.reduction import ArgMax, Mean, Sum
from mrqc.ops.nn.resize import Coordinates, Nearest, ResizeBilinear, ResizeNearest

NN_OPS: tuple[type[Op], ...] = (
    Constant,
    Conv2D,
    TransposeConv2D,
    FullyConnected,
    BatchMatMul,
    BatchNormalization,
    Add,
    Sub,
    Mul,
    Maximum,
    Minimum,
    Prelu,
    AveragePool2D,
    MaxPool2D,
    Mean,
    Sum,
    ArgMax,
    Clip,
    LeakyRelu,
    Elu,
    Sigmoid,
    Tanh,
    HardSwish,
    HardSigmoid,
    Softmax,
    LogSoftmax,
    Reshape,
    Transpose,
    Pad,
    MirrorPad,
    Concat,
    Slice,
    Take,
    ResizeBilinear,
    ResizeNearest,
    Quantize,
    Dequantize,
)
"""Every op of the dialect."""

__all__ = [
    "NN_OPS",
    "UNBOUNDED",
    "Add",
    "ArgMax",
    "AveragePool2D",
    "BatchMatMul",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Constant",
    "Conv2D",
    "Coordinates",
    "Dequantize",
    "Elu",
    "FullyConnected",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "LogSoftmax",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Mirror",
    "MirrorPad",
    "Mul",
    "Nearest",
    "Pad",
    "Prelu",
    "Quantize",
    "Reshape",
    "ResizeBilinear",
    "ResizeNearest",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Sub",
    "Sum",
    "Take",
    "Tanh",
    "Transpose",
    "TransposeConv2D",
    "intersect_clamps",
]
