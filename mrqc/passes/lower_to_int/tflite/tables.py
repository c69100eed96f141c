"""Functions of one code, tabulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.data import Data
from mrqc.ir.op import Value
from mrqc.ir.types import Element
from mrqc.numerics import Rounding, divide_by_power_of_two
from mrqc.ops import int as int_ops
from mrqc.ops.int import Requantize
from mrqc.passes.lower_to_int.rules import Site
from mrqc.passes.lower_to_int.tflite.multipliers import quantized_multiplier

Codes: TypeAlias = NDArray[np.int64]


def every_code(element: Element) -> Codes:
    """Return all codes of an element, least first."""
    return np.arange(element.dtype.minimum, element.dtype.maximum + 1, dtype=np.int64)


def lookup(value: Value, codes: NDArray[Any], element: Element, site: Site) -> Value:
    """Return ``value`` behind a table: ``codes`` for each of its codes, least first, confined to the result's."""
    entries = np.clip(codes, element.dtype.minimum, element.dtype.maximum)
    table = site.emit(int_ops.Constant(Data.of(entries.astype(np.int64), element.dtype), Element(element.dtype)))
    return site.emit(int_ops.Table(value, table, element))


def tabulated(value: Value, function: Callable[[Codes], Codes], element: Element, site: Site) -> Value:
    """Return ``function`` of every code of ``value`` as a table."""
    return lookup(value, function(every_code(value.type.element)), element, site)


def requantized(centred: Codes, requantize: Requantize) -> Codes:
    """Return what ``requantize`` makes of integers."""
    product = centred * requantize.multiplier[0]
    rounded = divide_by_power_of_two(product, requantize.shift[0], requantize.rounding)
    return np.clip(rounded + requantize.zero_point, requantize.minimum, requantize.maximum).astype(np.int64)


def scaled_by(distances: Codes, real: float, rounding: Rounding) -> Codes:
    """Return integers times a real number of either sign, as MultiplyByQuantizedMultiplier has it.

    Raises:
        RefusalError: The number is too large.
    """
    factor = quantized_multiplier(abs(real), rounding)
    product = divide_by_power_of_two(distances * factor.multiplier, factor.shift, rounding).astype(np.int64)
    # The runtime's ties, too, are those of the product with the magnitude.
    return product if real >= 0 else -product
