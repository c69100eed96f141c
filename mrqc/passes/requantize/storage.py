"""What a group of activations may be stored as: dtype, codes, where its zero lies, and what each scale costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.dtype import DType
from mrqc.ir.types import Element
from mrqc.passes.requantize.activations import CLIP_MARGIN, ActivationRange
from mrqc.passes.requantize.form import Real


class Zero(StrEnum):
    """Where the code of real zero may lie."""

    FIXED = "fixed"
    """It is 0, on a symmetric target."""
    CENTRED = "centred"
    """Anywhere: whatever uses the tensor takes the zero point into its bias, so that the hardware never sees it."""
    FREE = "free"
    """Anywhere, on an asymmetric target."""


@dataclass(frozen=True, slots=True)
class Storage:
    """The codes that a group of activations can take.

    Attributes:
        dtype: Of the codes.
        minimum: The least code.
        maximum: The greatest code.
        zero: Where the zero point may lie.
        offset: Scale times zero point where something else decides it: the codes lie around it.
        code: The zero point where that is decided, whatever the scale.
    """

    dtype: DType
    minimum: int
    maximum: int
    zero: Zero = Zero.FIXED
    offset: float | None = None
    code: int | None = None

    def least_scale(self, range_: ActivationRange) -> float:
        """Return the least scale that clips nothing of a range (min-max, docs/requantization.md equation 3)."""
        low, high = _with_zero(range_)
        if self.offset is not None:
            # Zero itself is one of the codes, even where no value comes near it: its code is the zero point.
            high, low = high + self.offset, low + self.offset
            span = max(high / self.maximum if self.maximum else 0.0, low / self.minimum if self.minimum else 0.0)
        elif (code := self._code) is not None:
            span = float(self._least_scales(range_, np.array(code, np.float64)))
        else:
            span = (high - low) / (self.maximum - self.minimum)
        return span if span > 0 else 1.0 / self.maximum

    @property
    def _code(self) -> int | None:
        return 0 if self.zero is Zero.FIXED else self.code

    def _least_scales(self, range_: ActivationRange, zeros: Real) -> Real:
        """Return the least scale that clips nothing at each zero point, infinite where a side has no codes."""
        low, high = _with_zero(range_)
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = np.stack([high / (self.maximum - zeros), low / (self.minimum - zeros)])
        spans = np.nan_to_num(sides, nan=0.0, posinf=np.inf, neginf=np.inf).max(axis=0)
        return np.where(spans > 0, spans, 1.0 / self.maximum)

    def middle(self, range_: ActivationRange) -> float:
        """Return the offset at which a range fills all codes: that of a range that has them already is its own."""
        low, high = _with_zero(range_)
        return (high * self.minimum - low * self.maximum) / (self.maximum - self.minimum)

    def zero_point(self, range_: ActivationRange, scale: float) -> int:
        """Return the code of zero at which a range lies in the middle of the codes."""
        return int(self.zero_points(range_, np.array([scale]))[0])

    def zero_points(self, range_: ActivationRange, scales: Real) -> Real:
        """Return the code of zero at each of ``scales``."""
        if (code := self._code) is not None:
            return np.full_like(scales, code)
        low, high = _with_zero(range_)
        if self.offset is not None:
            wanted = self.offset / scales
        elif low == 0.0 or high == 0.0:
            # The zero of a ReLU is the end of the codes: whatever is cut off or left over is at the other end.
            wanted = np.full_like(scales, self.minimum if low == 0.0 else self.maximum)
        else:
            wanted = 0.5 * (self.minimum + self.maximum) - 0.5 * (low + high) / scales
        return np.clip(np.rint(wanted), self.minimum, self.maximum)

    def interval(self, scales: Real, zeros: Real) -> tuple[Real, Real]:
        """Return the least and the greatest real value at each of ``scales`` and its zero point."""
        return (self.minimum - zeros) * scales, (self.maximum - zeros) * scales

    def element(self, range_: ActivationRange, scale: float) -> Element:
        """Return the element of a tensor of that range at a scale."""
        return Element.per_tensor(self.dtype, scale, self.zero_point(range_, scale))

    def holds(self, low: int, high: int) -> bool:
        """Whether codes from ``low`` to ``high``, zero at 0, are codes of this storage, but for one at each end."""
        if self.zero is Zero.FIXED:
            return self.minimum - 1 <= low and high <= self.maximum + 1
        return high - low <= self.maximum - self.minimum

    def costs(self, range_: ActivationRange, scales: Real, zeros: Real | None = None, *, rounded: bool = True) -> Real:
        """Return the cost of each of ``scales``: rounding noise over signal power, and a price for clipped range.

        One-sided ranges (ReLU) are taken to have their power at a sixth of the range and clip hard, because a clamp
        sits where many values are; two-sided ones at an eighth, and clip softly (docs/requantization.md equation 7).

        Args:
            range_: What is to be stored.
            scales: The candidates.
            zeros: The zero point of each, if not what the storage has at it.
            rounded: Whether values are rounded, and not codes of the same grid already.
        """
        one_sided = _is_one_sided(range_)
        price = 0.2 if one_sided else 0.05
        # At a given offset it is the zero of a ReLU that would be cut off, and that is where most values are.
        margin = 1.0 if one_sided and self.offset is not None else CLIP_MARGIN
        least = self.least_scale(range_) if zeros is None else self._least_scales(range_, zeros)
        clipped = np.maximum(0.0, margin - scales / least)
        return scales**2 / 12.0 / self.deviation(range_) ** 2 * rounded + price * clipped

    @staticmethod
    def deviation(range_: ActivationRange) -> float:
        """Return the standard deviation that values of a range are taken to have."""
        reach = max(range_.high, -range_.low) or 1.0
        return reach / 6.0 if _is_one_sided(range_) else reach / 8.0

    def holds_zeros(self, zeros: Real) -> NDArray[np.bool_]:
        """Whether zero points are codes."""
        return (zeros >= self.minimum) & (zeros <= self.maximum)

    def has_zero(self, scales: Real | float) -> NDArray[np.bool_]:
        """Whether real zero is a code at each of ``scales``.

        One that is not would shift the tensor against those that its offset comes from.
        """
        return self.holds_zeros(np.rint((self.offset or 0.0) / np.asarray(scales)))


def _is_one_sided(range_: ActivationRange) -> bool:
    return range_.low >= 0 or range_.high <= 0


def _with_zero(range_: ActivationRange) -> tuple[float, float]:
    """Return the ends of a range and zero."""
    return min(range_.low, 0.0), max(range_.high, 0.0)
