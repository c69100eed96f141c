"""What a group of tied activations asks of its scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrqc.passes.requantize.activations import ActivationRange
from mrqc.passes.requantize.distribution import Distribution
from mrqc.passes.requantize.form import Real
from mrqc.passes.requantize.storage import Storage


@dataclass(frozen=True, slots=True)
class Demand:
    """What a group of tied activations asks of its scale.

    Attributes:
        range: The joint real range of its members.
        storage: The codes that they can have.
        preferred: A scale at which nothing is lost, the original's rounding is repeated, or that is required, if there
            is one.
        required: Whether no other than the preferred scale will do.
        power_of_two: Whether no label can be put on its codes but the scale itself, and that is a power of two.
        seen: What values its members take, as far as there are data.
        own: The scales that its members have in the original, if their rounding may be repeated.
    """

    range: ActivationRange
    storage: Storage
    preferred: float | None = None
    required: bool = False
    power_of_two: bool = False
    seen: tuple[Distribution, ...] = ()
    own: tuple[float, ...] = ()

    def costs(self, scales: Real, *, rounded: bool = True) -> Real:
        """Return what its members lose at each of ``scales``: noise over signal power, infinite where zero is lost."""
        if self.seen:
            losses = self._errors(scales, self.storage.zero_points(self.range, scales), rounded)
        else:
            losses = self.storage.costs(self.range, scales, rounded=rounded)
        return np.where(self.storage.has_zero(scales), losses, np.inf)

    def costs_with(self, scales: Real, zeros: Real, fractions: Real | float = 0.0) -> Real:
        """Return the same with given zero points, infinite where one is no code; arrays of one shape.

        Args:
            scales: The candidates.
            zeros: The code of zero at each.
            fractions: How much further zero really lies, in codes.
        """
        return self.cut_off(scales, zeros) + self.noise(scales, fractions)

    def cut_off(self, scales: Real, zeros: Real) -> Real:
        """Return the part of that which lies outside the codes, and not between them."""
        if self.seen:
            losses = self._errors(scales, zeros, rounded=False)
        else:
            losses = self.storage.costs(self.range, scales, zeros, rounded=False)
        return np.where(self.storage.holds_zeros(zeros), losses, np.inf)

    def noise(self, scales: Real, fractions: Real | float) -> Real:
        """Return the part that rounding makes: that of real numbers, or what it makes more than the original's own.

        The original rounds too. On its grid the same codes come out; where zero lies a fraction f of a code beside a
        code, codes that differ make f (1 - f) (docs/requantization.md equation 20).
        """
        rounded = scales**2 / 12.0 * self._of_a_square
        if not self.own:
            return rounded
        ratios = scales[..., None] / np.array(self.own)
        nearest = np.take_along_axis(ratios, np.abs(np.log(ratios)).argmin(axis=-1)[..., None], axis=-1)[..., 0]
        beside = np.abs(fractions)
        repeated = np.isclose(nearest, 1.0, rtol=1e-9, atol=0.0)
        return rounded * np.where(repeated, 12.0 * beside * (1.0 - beside), 1.0 + nearest**-2)

    @property
    def _of_a_square(self) -> float:
        """What a mean square of 1 of rounding noise costs."""
        if not self.seen:
            return 1.0 / self.storage.deviation(self.range) ** 2
        return sum(one.inside / one.power for one in self.seen) / len(self.seen)

    def _errors(self, scales: Real, zeros: Real, rounded: bool) -> Real:
        low, high = self.storage.interval(scales, zeros)
        return sum((one.errors(scales, low, high, rounded=rounded) for one in self.seen), np.zeros(())) / len(self.seen)

    @property
    def least_scale(self) -> float:
        """The scale to start from: the preferred one, else the least that clips nothing."""
        if self.preferred is not None and (self.required or self.storage.has_zero(self.preferred)):
            return self.preferred
        return self.storage.least_scale(self.range)
