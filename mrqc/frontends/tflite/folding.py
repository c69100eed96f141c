"""Operators on plain integers that are known at import: how converters work out shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.graph import Operator, OptionContent, TensorRecord
from mrqc.frontends.tflite.reader import default_options
from mrqc.frontends.tflite.tensors import Tensor, type_of

_Integers: TypeAlias = NDArray[Any]
_MOST_ELEMENTS = 4096
"""What is longer is no shape; a bound keeps a hostile file from growing without end."""

_Function: TypeAlias = Callable[[list[_Integers], Mapping[str, OptionContent]], "_Integers | None"]


def fold(operator: Operator, tensors: Mapping[int, Tensor], records: tuple[TensorRecord, ...]) -> Constant | None:
    """Return the result of an operator whose operands are all plain integers, or None where it is to be imported.

    Raises:
        UnsupportedError: The operands do not fit each other, or the result is not of a type that mrqc has.
    """
    entry = _FOLDINGS.get(operator.builtin)
    operands = [tensors.get(index) for index in operator.inputs]
    if entry is None or len(operator.outputs) != 1 or not operands:
        return None
    arrays = [operand.array for operand in operands if isinstance(operand, Constant) and _is_plain(operand)]
    if len(arrays) != len(operands) or sum(array.size for array in arrays) > _MOST_ELEMENTS:
        return None
    function, options_type = entry
    options = operator.options
    if options_type and operator.options_type != options_type:
        options = default_options(options_type)
    try:
        result = function(arrays, options)
    except (ValueError, IndexError) as error:
        raise UnsupportedError(f"its constant operands do not fit each other: {error}") from None
    if result is None:
        return None
    record = records[operator.outputs[0]]
    element = type_of(record, result.shape).element
    return Constant(record.name, result.astype(element.dtype.numpy), element)


def _is_plain(constant: Constant) -> bool:
    element = constant.element
    return element is not None and element.dtype.is_integer and not element.is_quantized


def _pack(operands: list[_Integers], options: Mapping[str, OptionContent]) -> _Integers:
    return np.stack(operands, _number(options, "axis"))


def _concatenate(operands: list[_Integers], options: Mapping[str, OptionContent]) -> _Integers:
    return np.concatenate(operands, _number(options, "axis"))


def _strided_slice(operands: list[_Integers], options: Mapping[str, OptionContent]) -> _Integers | None:
    array, begin, end, strides = operands
    if options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
        return None
    begin_mask, end_mask, shrink = (_number(options, f"{name}_mask") for name in ("begin", "end", "shrink_axis"))
    parts: list[slice | int] = []
    for axis, (start, stop, stride) in enumerate(zip(*map(_list, (begin, end, strides)), strict=True)):
        bit = 1 << axis
        every = slice(None if begin_mask & bit else start, None if end_mask & bit else stop, stride)
        parts.append(start if shrink & bit else every)
    return np.asarray(array[tuple(parts)])


def _arithmetic(function: Callable[[_Integers, _Integers], _Integers]) -> _Function:
    def fold_pair(operands: list[_Integers], options: Mapping[str, OptionContent]) -> _Integers | None:
        lhs, rhs = operands
        return None if options["fused_activation_function"] else function(lhs, rhs)

    return fold_pair


def _list(array: _Integers) -> list[int]:
    return [int(number) for number in array.reshape(-1)]


def _number(options: Mapping[str, OptionContent], name: str) -> int:
    content = options[name]
    assert isinstance(content, int)
    return content


_FOLDINGS: Mapping[str, tuple[_Function, str]] = {
    "PACK": (_pack, "PackOptions"),
    "CONCATENATION": (_concatenate, "ConcatenationOptions"),
    "STRIDED_SLICE": (_strided_slice, "StridedSliceOptions"),
    "ADD": (_arithmetic(np.add), "AddOptions"),
    "SUB": (_arithmetic(np.subtract), "SubOptions"),
    "MUL": (_arithmetic(np.multiply), "MulOptions"),
    "CAST": (lambda operands, _: operands[0], "CastOptions"),
    "RESHAPE": (lambda operands, _: operands[0].reshape(operands[1]), "ReshapeOptions"),
}
FOLDED: tuple[str, ...] = tuple(_FOLDINGS)
"""The operators that are worked out where all operands are plain integers known at import."""
