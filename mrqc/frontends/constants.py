"""What a file holds that is known at import, and what is raised where a part of it cannot be imported."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element


class UnsupportedError(Exception):
    """A part of a file cannot be imported; becomes one finding of the importer's InputError."""

    def __init__(self, reason: str, hint: str = "") -> None:
        """Keep the reason and what is possible instead."""
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class LostOperandError(Exception):
    """An operand stems from something that is reported already; what uses it is passed over in silence."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The result of something that could not be imported and is reported already."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that is known at import.

    Attributes:
        name: The user's name for it.
        array: Its elements; codes where it is quantized.
        element: What they are; None where only the array says it.
        dequantized_by: The name of the node that said what the codes mean, if one did.
    """

    name: str
    array: NDArray[Any]
    element: Element | None = None
    dequantized_by: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of every axis."""
        return self.array.shape

    def real(self) -> NDArray[np.float32]:
        """Return the real values in single precision."""
        if self.element is None or self.element.quantization is None:
            return self.array.astype(np.float32)
        return self.element.quantization.dequantize(self.array).astype(np.float32)

    def transposed(self, permutation: tuple[int, ...]) -> Constant:
        """Return the tensor with its axes permuted; a quantization axis moves along."""
        element = self.element
        if element is not None and element.quantization is not None and element.quantization.axis is not None:
            element = with_axis(element, permutation.index(element.quantization.axis))
        return replace(self, array=self.array.transpose(permutation), element=element)

    def reshaped(self, shape: tuple[int, ...]) -> Constant:
        """Return the tensor under another shape of the same size.

        Raises:
            UnsupportedError: The quantization axis would be split or merged.
        """
        element = self.element
        if element is not None and element.quantization is not None and element.quantization.axis is not None:
            element = with_axis(element, _axis_after_reshape(element.quantization, self.shape, shape))
        return replace(self, array=self.array.reshape(shape), element=element)

    def scaled(self, factor: float) -> Constant:
        """Return the tensor times a positive factor, which goes into the scales of a quantized one.

        Raises:
            UnsupportedError: The product is beyond single precision.
        """
        if self.element is None or self.element.quantization is None:
            scaled = self.array.astype(np.float64) * factor
            if np.abs(scaled).max(initial=0) > np.finfo(np.float32).max:
                raise UnsupportedError(f"tensor {self.name!r} times {factor} is beyond single precision")
            return replace(self, array=scaled.astype(np.float32))
        quantization = self.element.quantization
        scales = tuple(scale * factor for scale in quantization.scales)
        return replace(self, element=replace(self.element, quantization=replace(quantization, scales=scales)))


def with_axis(element: Element, axis: int | None) -> Element:
    """Return the element with its quantization along another axis."""
    assert element.quantization is not None
    return replace(element, quantization=replace(element.quantization, axis=axis))


def _axis_after_reshape(quantization: Quantization, old: tuple[int, ...], new: tuple[int, ...]) -> int:
    assert quantization.axis is not None
    before = math.prod(old[: quantization.axis])
    for axis, extent in enumerate(new):
        if extent == old[quantization.axis] and math.prod(new[:axis]) == before:
            return axis
    raise UnsupportedError(
        f"reshaping {list(old)} to {list(new)} breaks up axis {quantization.axis}, which has its own scales"
    )
