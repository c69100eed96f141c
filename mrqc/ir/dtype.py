"""Storage types of tensor elements."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np


class DType(StrEnum):
    """How one element is stored."""

    I8 = "i8"
    U8 = "u8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    F32 = "f32"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the same name and width."""
        return _NUMPY[self]

    @property
    def is_integer(self) -> bool:
        """Whether the element is an integer code."""
        return self is not DType.F32

    @property
    def bytes(self) -> int:
        """Size of one element in bytes."""
        return _NUMPY[self].itemsize

    @property
    def minimum(self) -> int:
        """The smallest code of an integer type."""
        return _RANGES[self][0]

    @property
    def maximum(self) -> int:
        """The largest code of an integer type."""
        return _RANGES[self][1]

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> DType | None:
        """Return the storage type of a numpy dtype, or None where there is none."""
        return _FROM_NUMPY.get(dtype)


_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.I8: np.dtype(np.int8),
    DType.U8: np.dtype(np.uint8),
    DType.I16: np.dtype(np.int16),
    DType.I32: np.dtype(np.int32),
    DType.I64: np.dtype(np.int64),
    DType.F32: np.dtype(np.float32),
}
_FROM_NUMPY = {numpy: dtype for dtype, numpy in _NUMPY.items()}
_RANGES = {
    dtype: (int(np.iinfo(numpy).min), int(np.iinfo(numpy).max)) for dtype, numpy in _NUMPY.items() if dtype.is_integer
}
