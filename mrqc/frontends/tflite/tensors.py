"""What a tensor of the file stands for while the graph is imported."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from mrqc.frontends.constants import Constant, Lost, UnsupportedError
from mrqc.frontends.tflite.graph import TensorRecord
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element, TensorType

_DTYPES = {
    "INT8": DType.I8,
    "UINT8": DType.U8,
    "INT16": DType.I16,
    "INT32": DType.I32,
    "INT64": DType.I64,
    "FLOAT32": DType.F32,
}
_NUMPY_ONLY_FOR_CONSTANTS = {"FLOAT16": np.dtype("<f2")}
_MOST_ELEMENTS = 2**31 - 1


Tensor: TypeAlias = Value | Constant | Lost


def element_of(record: TensorRecord) -> Element:
    """Return what the elements of a tensor are; scales of floats, which some converters leave, mean nothing.

    Raises:
        UnsupportedError: The type or the quantization scheme is not supported.
    """
    dtype = _DTYPES.get(record.element_type)
    if dtype is None:
        possible = ", ".join(_DTYPES)
        raise UnsupportedError(
            f"tensor {record.name!r} has elements of type {record.element_type}", f"possible: {possible}"
        )
    found = record.quantization
    if found.is_custom and dtype.is_integer:
        raise UnsupportedError(f"tensor {record.name!r} has a custom quantization scheme")
    if not found.scales or not dtype.is_integer:
        return Element(dtype)
    zero_points = found.zero_points or (0,) * len(found.scales)
    axis = found.axis if len(found.scales) > 1 else None
    return Element(dtype, Quantization(found.scales, zero_points, axis))


def type_of(record: TensorRecord, shape: tuple[int, ...] | None = None) -> TensorType:
    """Return the type of a tensor.

    Args:
        record: The tensor.
        shape: Its shape where that is not the file's.

    Raises:
        UnsupportedError: The type is not supported, or breaks its own rules.
    """
    type_ = TensorType(record.shape if shape is None else shape, element_of(record))
    check_type(record.name, type_)
    return type_


def check_type(name: str, type_: TensorType) -> None:
    """Make sure that a tensor has a shape and a quantization that can be.

    Raises:
        UnsupportedError: It does not.
    """
    problems = list(type_.problems())
    if type_.size > _MOST_ELEMENTS:
        problems.append(f"shape {list(type_.shape)} has more than {_MOST_ELEMENTS} elements")
    if problems:
        raise UnsupportedError(f"tensor {name!r}: {'; '.join(problems)}")


def read_constant(record: TensorRecord) -> Constant:
    """Return a tensor whose content is in the file, without copying it.

    Raises:
        UnsupportedError: Its type is not supported, or its bytes are not what its type and shape need.
    """
    assert record.content is not None
    if record.is_sparse:
        raise UnsupportedError(f"tensor {record.name!r} is sparse", "store all of its elements")
    numpy = _NUMPY_ONLY_FOR_CONSTANTS.get(record.element_type)
    element = None if numpy is not None else type_of(record).element
    if numpy is None:
        assert element is not None
        numpy = element.dtype.numpy.newbyteorder("<")
    if any(extent < 0 for extent in record.shape):
        raise UnsupportedError(f"tensor {record.name!r} is constant, but has shape {list(record.shape)}")
    needed = math.prod(record.shape) * numpy.itemsize
    if record.content.nbytes != needed:
        raise UnsupportedError(
            f"tensor {record.name!r}, {record.element_type} of shape {list(record.shape)}, needs {needed} bytes, "
            f"the file has {record.content.nbytes}"
        )
    array = record.content.view(numpy).reshape(record.shape)
    return Constant(record.name, array.astype(numpy.newbyteorder("="), copy=False), element)
