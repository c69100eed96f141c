"""Plain integer operations with nothing left to decide: multipliers, shifts, rounding and clamps are attributes.

The quantization in their result types says what the codes mean; it has no influence on what is computed.
"""

from mrqc.ir.op import Op
from mrqc.ops.int.activation import Clamp, ReciprocalSoftmax, Softmax, Table
from mrqc.ops.int.constant import Constant
from mrqc.ops.int.contraction import Conv2D, FullyConnected
from mrqc.ops.int.elementwise import Add, OperandScaling, RescaledAdd
from mrqc.ops.int.float32 import FLOAT32_OPS, FloatAveragePool2D, FloatRescale, FloatSoftmax, PairTable
from mrqc.ops.int.layout import Reshape, Transpose
from mrqc.ops.int.pooling import AveragePool2D, MaxPool2D, MeanPool2D
from mrqc.ops.int.reduction import Sum
from mrqc.ops.int.requantize import Requantize
from mrqc.ops.int.rescale import Rescale

INT_OPS: tuple[type[Op], ...] = (
    Constant,
    Conv2D,
    FullyConnected,
    Add,
    RescaledAdd,
    AveragePool2D,
    MeanPool2D,
    MaxPool2D,
    Sum,
    Clamp,
    Table,
    Softmax,
    ReciprocalSoftmax,
    Reshape,
    Transpose,
    Rescale,
    *FLOAT32_OPS,
)
"""Every op of the dialect."""

__all__ = [
    "FLOAT32_OPS",
    "INT_OPS",
    "Add",
    "AveragePool2D",
    "Clamp",
    "Constant",
    "Conv2D",
    "FloatAveragePool2D",
    "FloatRescale",
    "FloatSoftmax",
    "FullyConnected",
    "MaxPool2D",
    "MeanPool2D",
    "OperandScaling",
    "PairTable",
    "ReciprocalSoftmax",
    "Requantize",
    "Rescale",
    "RescaledAdd",
    "Reshape",
    "Softmax",
    "Sum",
    "Table",
    "Transpose",
]
