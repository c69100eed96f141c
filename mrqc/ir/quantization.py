"""Uniform affine quantization: real = scale * (code - zero_point)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quantization:
    """Scales and zero points of a tensor, one for all of it or one for each index along ``axis``.

    Attributes:
        scales: Positive real numbers; one for a per-tensor scheme.
        zero_points: Codes that stand for zero; as many as scales.
        axis: The axis that the scales run along, or None for a per-tensor scheme.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> Quantization:
        """Return the scheme with one scale and one zero point for the whole tensor."""
        return cls((float(scale),), (int(zero_point),), None)

    @classmethod
    def per_axis(cls, scales: Sequence[float], zero_points: Sequence[int], axis: int) -> Quantization:
        """Return the scheme with a scale and zero point for each index along ``axis``."""
        return cls(tuple(float(s) for s in scales), tuple(int(z) for z in zero_points), axis)

    @property
    def is_per_tensor(self) -> bool:
        """Whether one scale serves the whole tensor."""
        return self.axis is None

    @property
    def is_symmetric(self) -> bool:
        """Whether every zero point is 0."""
        return not any(self.zero_points)

    @property
    def scale(self) -> float:
        """The one scale of a per-tensor scheme."""
        assert self.axis is None, "a per-axis quantization has no single scale"
        return self.scales[0]

    @property
    def zero_point(self) -> int:
        """The one zero point of a per-tensor scheme."""
        assert self.axis is None, "a per-axis quantization has no single zero point"
        return self.zero_points[0]

    def broadcast_scales(self, rank: int) -> NDArray[np.float64]:
        """Return the scales shaped to broadcast against a tensor of ``rank`` axes."""
        return np.asarray(self.scales, np.float64).reshape(self._broadcast_shape(rank))

    def broadcast_zero_points(self, rank: int) -> NDArray[np.int64]:
        """Return the zero points shaped to broadcast against a tensor of ``rank`` axes."""
        return np.asarray(self.zero_points, np.int64).reshape(self._broadcast_shape(rank))

    def dequantize(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the real values, in double precision, of integer ``codes``."""
        centred = codes.astype(np.int64) - self.broadcast_zero_points(codes.ndim)
        return centred * self.broadcast_scales(codes.ndim)

    def quantize(self, real: NDArray[np.float64], minimum: int, maximum: int) -> NDArray[np.int64]:
        """Return ``clip(round_half_even(real / scale) + zero_point)``, the rule of ONNX QuantizeLinear."""
        codes = np.rint(real / self.broadcast_scales(real.ndim)) + self.broadcast_zero_points(real.ndim)
        return np.clip(codes, minimum, maximum).astype(np.int64)

    def problems(self, shape: tuple[int, ...], minimum: int, maximum: int) -> Iterator[str]:
        """Yield a sentence for each way in which this scheme does not fit a tensor of ``shape``."""
        if len(self.scales) != len(self.zero_points):
            yield f"{len(self.scales)} scales but {len(self.zero_points)} zero points"
        if not self.scales:
            yield "a quantized type needs at least one scale"
        if any(not (math.isfinite(scale) and scale > 0) for scale in self.scales):
            yield f"scales must be positive and finite, found {min(self.scales, key=_badness)!r}"
        if any(not minimum <= zero_point <= maximum for zero_point in self.zero_points):
            yield f"zero points must be codes between {minimum} and {maximum}"
        if self.axis is None:
            if len(self.scales) > 1:
                yield f"a per-tensor type has one scale, found {len(self.scales)}"
        elif not 0 <= self.axis < len(shape):
            yield f"quantization axis {self.axis} is outside a tensor of rank {len(shape)}"
        elif len(self.scales) != shape[self.axis]:
            yield f"axis {self.axis} has {shape[self.axis]} entries but there are {len(self.scales)} scales"

    def _broadcast_shape(self, rank: int) -> tuple[int, ...]:
        if self.axis is None:
            return (1,) * rank
        return tuple(len(self.scales) if axis == self.axis else 1 for axis in range(rank))


def _badness(scale: float) -> float:
    """Order scales so that one that is not a number, not finite or not positive comes first."""
    return -math.inf if not math.isfinite(scale) else scale
