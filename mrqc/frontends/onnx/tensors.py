"""What a name of the ONNX graph stands for while it is imported."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.op import Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.types import Element

NHWC_SEEN_AS_NCHW = (0, 3, 1, 2)
"""How ONNX sees an image tensor that the IR holds as NHWC."""


class UnsupportedNodeError(Exception):
    """A node or an operand cannot be imported; becomes one finding of the importer's InputError."""

    def __init__(self, reason: str, hint: str = "") -> None:
        """Keep the reason and what is possible instead."""
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Activation:
    """A tensor that is computed: ``onnx_tensor = transpose(value, permutation)``.

    Attributes:
        value: What the IR holds.
        permutation: Axis ``i`` as ONNX sees the tensor is axis ``permutation[i]`` of the value.
    """

    value: Value
    permutation: tuple[int, ...]

    @classmethod
    def plain(cls, value: Value) -> Activation:
        """Return a tensor that ONNX sees just as the IR holds it."""
        return cls(value, tuple(range(value.type.rank)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that ONNX sees."""
        return tuple(self.value.type.shape[axis] for axis in self.permutation)

    def transposed(self, permutation: tuple[int, ...]) -> Activation:
        """Return the same value, seen with its axes permuted once more."""
        return Activation(self.value, tuple(self.permutation[axis] for axis in permutation))


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that is known at import.

    Attributes:
        name: The user's name for it.
        array: Its elements; codes where it is dequantized.
        element: What the codes mean, once a DequantizeLinear has said so.
        dequantized_by: The name of that node.
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
            UnsupportedNodeError: The quantization axis would be split or merged.
        """
        element = self.element
        if element is not None and element.quantization is not None and element.quantization.axis is not None:
            element = with_axis(element, _axis_after_reshape(element.quantization, self.shape, shape))
        return replace(self, array=self.array.reshape(shape), element=element)

    def scaled(self, factor: float) -> Constant:
        """Return the tensor times a positive factor, which goes into the scales of a quantized one.

        Raises:
            UnsupportedNodeError: The product is beyond single precision.
        """
        if self.element is None or self.element.quantization is None:
            scaled = self.array.astype(np.float64) * factor
            if np.abs(scaled).max(initial=0) > np.finfo(np.float32).max:
                raise UnsupportedNodeError(f"tensor {self.name!r} times {factor} is beyond single precision")
            return replace(self, array=scaled.astype(np.float32))
        quantization = self.element.quantization
        scales = tuple(scale * factor for scale in quantization.scales)
        return replace(self, element=replace(self.element, quantization=replace(quantization, scales=scales)))


@dataclass(frozen=True, slots=True)
class Lost:
    """The result of something that could not be imported and is reported already."""


Tensor: TypeAlias = Activation | Constant | Lost


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
    raise UnsupportedNodeError(
        f"reshaping {list(old)} to {list(new)} breaks up axis {quantization.axis}, which has its own scales"
    )
