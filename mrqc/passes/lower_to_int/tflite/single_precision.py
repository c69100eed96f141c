"""Functions of one code that the runtime tabulates in single precision: every 8-bit code, every 128th 16-bit one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import RefusalError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.passes.lower_to_int.rules import Site, per_tensor, result_scale
from mrqc.passes.lower_to_int.tflite.multipliers import single
from mrqc.passes.lower_to_int.tflite.tables import Codes, every_code, lookup

Singles: TypeAlias = NDArray[np.float32]

_INTERVALS = 512
"""Of the runtime's table of 16-bit codes."""

_CODES_OF_AN_INTERVAL = 7
"""Bits of a code that lead on from one entry to the next."""


def in_single_precision(value: Value, function: Callable[[Singles], Singles], element: Element, site: Site) -> Value:
    """Return a function of 8-bit codes by a table that is computed as the runtime fills its own.

    Raises:
        RefusalError: The codes are wider, or those of the result are others.
    """
    check_same_dtype(value, element)
    if value.type.dtype.bytes > 1:
        raise RefusalError(f"the runtime has no such function of {value.type.dtype} codes")
    source = per_tensor(value)
    distances = (every_code(value.type.element) - source.zero_point).astype(np.float32)
    units = function(single(source.scale) * distances) * (single(1) / single(result_scale(element)))
    assert element.quantization is not None
    # Beyond the codes any number saturates; as integers, the greatest would wrap around.
    codes = np.clip(_half_away(units), -(2.0**24), 2.0**24)
    return lookup(value, codes.astype(np.int64) + element.quantization.zero_point, element, site)


def interpolated(value: Value, function: Callable[[Singles], Singles], element: Element, site: Site) -> Value:
    """Return a function of 8-bit codes as :func:`in_single_precision`, of 16-bit codes between the runtime's entries.

    Of these there are 513; each is moved by half of what the straight line to the next is off in the middle.

    Raises:
        RefusalError: The codes of the result are others, or a zero point of 16-bit codes is not 0.
    """
    if value.type.dtype is not DType.I16:
        return in_single_precision(value, function, element, site)
    scale, result = _wide_scales(value, element)
    least, greatest = (single(code) * scale for code in (value.type.dtype.minimum, value.type.dtype.maximum))
    step = (greatest - least) / single(_INTERVALS)
    inverse = single(1 << 16) / (single(DType.I16.maximum) * result - single(DType.I16.minimum) * result)
    starts = np.arange(_INTERVALS).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        here, middle, there = (
            function(arguments)
            for arguments in (
                least + starts * step,
                least + starts * step + step / single(2),
                least + (starts + single(1)) * step,
            )
        )
        entries = _rounded_units(here * inverse)
        halfway = _rounded_units((there * inverse + entries) / single(2))
        moved = entries - _rounded_units((halfway - _rounded_units(middle * inverse)) / single(2))
        last = _rounded_units(function(greatest.reshape(1)) * inverse)
    # Where the function is infinite there is no middle; the runtime turns what is no number into 0.
    table = np.clip(np.nan_to_num(np.concatenate([moved, last]), nan=0.0, posinf=np.inf, neginf=-np.inf), -32768, 32767)
    return lookup(value, _between(table.astype(np.int64)), element, site)


def rounded(function: Callable[[Any], Any], x: Singles) -> Singles:
    """Return a function computed in double precision, rounded to single."""
    with np.errstate(over="ignore", divide="ignore"):
        return function(x.astype(np.float64)).astype(np.float32)


def check_same_dtype(value: Value, element: Element) -> None:
    """Make sure that operand and result are stored alike.

    Raises:
        RefusalError: They are not.
    """
    if value.type.dtype is not element.dtype:
        raise RefusalError(f"from {value.type.dtype} to {element.dtype}; the runtime keeps the type")


def check_signed(value: Value, element: Element) -> None:
    """Make sure that operand and result hold codes that most functions are made for: i8, or i16 around 0.

    Raises:
        RefusalError: They do not.
    """
    check_same_dtype(value, element)
    if value.type.dtype is DType.I16:
        _wide_scales(value, element)
    elif value.type.dtype is not DType.I8:
        raise RefusalError(f"the runtime has no such function of {value.type.dtype} codes")


def _wide_scales(value: Value, element: Element) -> tuple[np.float32, np.float32]:
    check_same_dtype(value, element)
    source, quantization = per_tensor(value), element.quantization
    assert quantization is not None
    if not source.is_symmetric or not quantization.is_symmetric:
        raise RefusalError("the runtime's functions of 16-bit codes have zero points of 0")
    return single(source.scale), single(quantization.scale)


def _between(table: Codes) -> Codes:
    """Return what the runtime finds for each 16-bit code; differences and sums wrap around."""
    codes = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
    places = (codes >> _CODES_OF_AN_INTERVAL) + _INTERVALS // 2
    rises = (table[places + 1] - table[places]).astype(np.int16).astype(np.int64)
    parts = rises * (codes & ((1 << _CODES_OF_AN_INTERVAL) - 1)) + (1 << (_CODES_OF_AN_INTERVAL - 1))
    return (table[places] + (parts >> _CODES_OF_AN_INTERVAL)).astype(np.int16).astype(np.int64)


def _rounded_units(x: Singles) -> Singles:
    return _half_away(x).astype(np.float32)


def _half_away(x: Singles) -> NDArray[np.float64]:
    wide = x.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide)
