"""Between codes and reals: the grid that the results of an op are rounded to, once.

Values are carried in units of the grid's own scale, ``real / scale``. An operand on the same scale, or on one
a power of two apart, then enters with a factor that is exact, so that a tie between two codes stays a tie
whatever the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.interpreter import Array
from mrqc.ir import Element, Quantization, TensorType
from mrqc.ops.nn import UNBOUNDED

Real: TypeAlias = NDArray[np.float64]
_PLAIN_INTEGERS = Quantization.per_tensor(1.0)


def quantization_of(element: Element) -> Quantization | None:
    """Return scale and zero point of an element: 1 and 0 for plain integers, None for floats."""
    if element.quantization is not None or not element.dtype.is_integer:
        return element.quantization
    return _PLAIN_INTEGERS


def real_values(array: Array, type_: TensorType) -> Real:
    """Return the real values of a tensor of that type, in double precision."""
    quantization = quantization_of(type_.element)
    return array.astype(np.float64, copy=False) if quantization is None else quantization.dequantize(array)


@dataclass(frozen=True, slots=True)
class IntegerOperand:
    """An operand whose real values are integers times one scale, so that they can be added up as integers.

    Attributes:
        scale: The one scale.
        zero_point: The code of zero.
        reach: The greatest distance of a code from it.
    """

    scale: float
    zero_point: int
    reach: int


def integer_operand(element: Element) -> IntegerOperand | None:
    """Return how to add up the codes of an element, or None for floats and per-axis scales."""
    quantization = quantization_of(element)
    if quantization is None or not quantization.is_per_tensor:
        return None
    zero_point = quantization.zero_point
    reach = max(zero_point - element.dtype.minimum, element.dtype.maximum - zero_point)
    return IntegerOperand(quantization.scale, zero_point, reach)


class Grid:
    """The values that a result can take: the codes of an element within a clamp, or all reals within it.

    Attributes:
        unit: The scale, 1 for floats, shaped to broadcast against the result.
        dtype: What the result is held in: the element's own type, doubles for floats.
        varies_within_channels: Whether the scale runs along another axis than the last.
    """

    def __init__(self, element: Element, rank: int, clamp: tuple[float, float] = UNBOUNDED) -> None:
        """Describe a result of ``rank`` axes, confined to the real interval ``clamp`` before rounding."""
        quantization = quantization_of(element)
        self._clamp = clamp
        self.dtype: np.dtype[Any] = np.dtype(np.float64) if quantization is None else element.dtype.numpy
        self.unit: Real = np.ones((1,) * rank)
        self.varies_within_channels = False
        self._zero_points: NDArray[np.int64] | None = None
        if quantization is None:
            return
        self.varies_within_channels = quantization.axis not in (None, rank - 1)
        self.unit = quantization.broadcast_scales(rank)
        self._zero_points = zero_points = quantization.broadcast_zero_points(rank)
        # Rounding is monotone: to clamp the real value is to clamp the code to the code of the limit.
        self._lowest, self._highest = (
            np.clip(np.rint(limit / self.unit) + zero_points, element.dtype.minimum, element.dtype.maximum)
            for limit in clamp
        )

    def units_of(self, array: Array, type_: TensorType) -> Real:
        """Return the real values of a tensor of that type in units of this grid."""
        quantization = quantization_of(type_.element)
        if quantization is None:
            return array if self._zero_points is None else array / self.unit
        centred = array.astype(np.int64) - quantization.broadcast_zero_points(array.ndim)
        return centred * (quantization.broadcast_scales(array.ndim) / self.unit)

    def encode(self, units: Real) -> Array:
        """Return values in units of the grid as what the tensor holds: rounded half to even, saturated."""
        if self._zero_points is None:
            return units if self._clamp == UNBOUNDED else np.clip(units, *self._clamp)
        codes = np.rint(units)
        codes += self._zero_points
        return np.clip(codes, self._lowest, self._highest, out=codes).astype(self.dtype)
