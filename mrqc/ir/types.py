"""Tensor types: a shape and what its elements are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mrqc.ir.dtype import DType
from mrqc.ir.quantization import Quantization


@dataclass(frozen=True, slots=True)
class Element:
    """What one element of a tensor is: its storage and, for quantized tensors, its meaning."""

    dtype: DType
    quantization: Quantization | None = None

    @classmethod
    def per_tensor(cls, dtype: DType, scale: float, zero_point: int = 0) -> Element:
        """Return a quantized element with one scale and zero point."""
        return cls(dtype, Quantization.per_tensor(scale, zero_point))

    @property
    def is_quantized(self) -> bool:
        """Whether the codes carry a scale."""
        return self.quantization is not None

    @property
    def real_range(self) -> tuple[float, float]:
        """The least and greatest real value that a per-tensor element can hold; infinite for floats."""
        if self.quantization is None:
            return (-math.inf, math.inf)
        scale, zero_point = self.quantization.scale, self.quantization.zero_point
        return (scale * (self.dtype.minimum - zero_point), scale * (self.dtype.maximum - zero_point))


FLOAT = Element(DType.F32)
"""A real number, stored in single precision."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """The static type of a value. Image tensors are NHWC, convolution weights OHWI."""

    shape: tuple[int, ...]
    element: Element

    @property
    def dtype(self) -> DType:
        """Storage of one element."""
        return self.element.dtype

    @property
    def quantization(self) -> Quantization | None:
        """Scale and zero point, where the tensor is quantized."""
        return self.element.quantization

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Storage in bytes."""
        return self.size * self.dtype.bytes

    def with_element(self, element: Element) -> TensorType:
        """Return the type of the same shape with other elements."""
        return replace(self, element=element)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each way in which this is not a valid type."""
        if any(extent < 1 for extent in self.shape):
            yield f"every extent of a shape must be at least 1, found {list(self.shape)}"
        if self.quantization is None:
            return
        if not self.dtype.is_integer:
            yield f"a quantized tensor is stored in integers, not {self.dtype}"
            return
        yield from self.quantization.problems(self.shape, self.dtype.minimum, self.dtype.maximum)
