"""Plain integer operations with nothing left to decide: multipliers, shifts, rounding and clamps are attributes.

The quantization in their result types says what the codes mean; it has no influence on what is computed.
"""

from mrqc.ir.op import Op
from mrqc.ops.int.activation import Clamp, InterpolatedSoftmax, LogSoftmax, ReciprocalSoftmax, Softmax, Table
from mrqc.ops.int.constant import Constant
from mrqc.ops.int.contraction import BatchMatMul, Conv2D, FullyConnected, TransposeConv2D
from mrqc.ops.int.elementwise import Add, Maximum, Minimum, Mul, OperandScaling, Prelu, RescaledAdd
from mrqc.ops.int.float32 import (
    FLOAT32_OPS,
    FloatAveragePool2D,
    FloatInterpolation,
    FloatMean2D,
    FloatRescale,
    FloatResizeBilinear,
    FloatSoftmax,
    PairTable,
    TableResizeBilinear,
)
from mrqc.ops.int.layout import Concat, Pad, Reshape, Slice, Take, Transpose
from mrqc.ops.int.pooling import AveragePool2D, MaxPool2D, MeanPool2D
from mrqc.ops.int.reduction import ArgMax, Sum
from mrqc.ops.int.requantize import Requantize
from mrqc.ops.int.rescale import DoubleRescale, Relabel, Rescale
from mrqc.ops.int.resize import Interpolation, ResizeBilinear

INT_OPS: tuple[type[Op], ...] = (
    Constant,
    Conv2D,
    TransposeConv2D,
    FullyConnected,
    BatchMatMul,
    Add,
    RescaledAdd,
    Mul,
    Maximum,
    Minimum,
    Prelu,
    AveragePool2D,
    MeanPool2D,
    MaxPool2D,
    Sum,
    ArgMax,
    Clamp,
    Table,
    Softmax,
    ReciprocalSoftmax,
    LogSoftmax,
    InterpolatedSoftmax,
    Reshape,
    Transpose,
    Pad,
    Concat,
    Slice,
    Take,
    ResizeBilinear,
    Rescale,
    DoubleRescale,
    Relabel,
    *FLOAT32_OPS,
)
"""Every op of the dialect."""

__all__ = [
    "FLOAT32_OPS",
    "INT_OPS",
    "Add",
    "ArgMax",
    "AveragePool2D",
    "BatchMatMul",
    "Clamp",
    "Concat",
    "Constant",
    "Conv2D",
    "DoubleRescale",
    "FloatAveragePool2D",
    "FloatInterpolation",
    "FloatMean2D",
    "FloatRescale",
    "FloatResizeBilinear",
    "FloatSoftmax",
    "FullyConnected",
    "InterpolatedSoftmax",
    "Interpolation",
    "LogSoftmax",
    "MaxPool2D",
    "Maximum",
    "MeanPool2D",
    "Minimum",
    "Mul",
    "OperandScaling",
    "Pad",
    "PairTable",
    "Prelu",
    "ReciprocalSoftmax",
    "Relabel",
    "Requantize",
    "Rescale",
    "RescaledAdd",
    "Reshape",
    "ResizeBilinear",
    "Slice",
    "Softmax",
    "Sum",
    "Table",
    "TableResizeBilinear",
    "Take",
    "Transpose",
    "TransposeConv2D",
]
