"""Operator versions: the least that knows the types in use, as TFLite's readers check them."""

from __future__ import annotations

from collections.abc import Iterable

from mrqc.ir import DType

_EIGHT_BIT: dict[str, int] = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "RESHAPE": 1,
    "TRANSPOSE_CONV": 2,
    "BATCH_MATMUL": 2,
    "QUANTIZE": 1,
    "ELU": 1,
    "HARD_SWISH": 1,
    "LEAKY_RELU": 1,
    "PRELU": 1,
}
"""Version for signed 8-bit tensors, where it is not 2."""

_SIXTEEN_BIT: dict[str, int] = {
    "CONV_2D": 4,
    "DEPTHWISE_CONV_2D": 5,
    "FULLY_CONNECTED": 7,
    "RESHAPE": 1,
    "TRANSPOSE_CONV": 3,
    "BATCH_MATMUL": 3,
    "QUANTIZE": 2,
    "ADD": 3,
    "SUB": 5,
    "MUL": 4,
    "TRANSPOSE": 4,
    "LEAKY_RELU": 2,
    "SUM": 2,
    "EXP": 2,
    "LOG": 2,
    "SQRT": 2,
    "GELU": 2,
}
"""Version for 16-bit tensors, where it is not 3."""


_ONE_VERSION = ("RELU_N1_TO_1", "RELU_0_TO_1", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
"""Operators that have known all types from the start."""


def operator_version(builtin: str, dtypes: Iterable[DType]) -> int:
    """Return the version of an operator that knows these operand and result types."""
    known = set(dtypes)
    if builtin in _ONE_VERSION:
        return 1
    if DType.I16 in known:
        return _SIXTEEN_BIT.get(builtin, 3)
    if DType.I8 in known:
        return _EIGHT_BIT.get(builtin, 2)
    return 1
