"""Elements of tensors in the scheme of a target, drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hypothesis import strategies as st

from mrqc.ir import Element, Value
from mrqc.numerics import power_of_two_exponent
from mrqc.targets import Target
from mrqc.testing.draft import Spread
from mrqc.testing.types import single_precision


@dataclass(frozen=True, slots=True)
class TargetScheme:
    """A target, and the number that all scales are a power of two of where ratios must be.

    Attributes:
        target: Hardware.
        unit: 1 where scales themselves must be powers of two; None where any ratio will do.
    """

    target: Target
    unit: float | None

    @classmethod
    def drawn(cls, draw: st.DrawFn, target: Target) -> TargetScheme:
        """Return the scheme of a target with a unit."""
        if target.activation.only_powers_of_two:
            return cls(target, 1.0)
        return cls(target, draw(st.sampled_from((1.0, 0.7))) if target.requantize.only_shifts else None)

    def element(self, spread: Spread, least: float = 0.0, greatest: float = math.inf) -> Element:
        """Return an element for values of ``spread``, with a scale between two limits."""
        activation = self.target.activation
        dtype = activation.storage_for(spread.low >= 0.0)
        low_code, high_code = activation.code_range(dtype)
        low, high = min(spread.low, 0.0), max(spread.high, 0.0)
        if activation.symmetric:
            scale = max(high / high_code, low / low_code if low_code else 0.0)
        else:
            scale = (high - low) / (high_code - low_code)
        scale = self._on_grid(min(max(scale or 1.0, least), greatest))
        zero_point = 0
        if not activation.symmetric:
            zero_point = min(max(low_code - round(low / scale), low_code), high_code)
        return Element.per_tensor(dtype, scale, zero_point)

    def mean_element(self, source: Element, spread: Spread, count: int) -> tuple[Element, float]:
        """Return the element of a mean over ``count`` elements, and the factor that leads back to the grid."""
        support = self.target.ops["int.average_pool2d"]
        if support.same_scale:
            return source, 1.0
        element = self.element(spread)
        if self.unit is None or support.on == "host" or element.quantization is None or source.quantization is None:
            return element, 1.0
        # The sum is shifted alone: its scale has the count in it.
        ratio = element.quantization.scale * count / source.quantization.scale
        scale = source.quantization.scale * 2.0 ** max(math.ceil(math.log2(ratio)), 0) / count
        return Element.per_tensor(element.dtype, scale), self._on_grid(scale) / scale

    def fit_together(self, first: Value, second: Value) -> bool:
        """Return whether an addition can take two values."""
        support = self.target.ops["int.add"]
        assert first.type.quantization is not None
        assert second.type.quantization is not None
        apart = abs(math.log2(first.type.quantization.scale / second.type.quantization.scale))
        return apart <= (10 if support.operand_shift is None else support.operand_shift[1])

    def relabel_factor(self) -> float:
        """Return a factor that keeps scales what they must be."""
        return 1.3 if self.unit is None else 2.0

    def weight_scale(self, wanted: float) -> float:
        """Return a weight scale near the wanted one."""
        return single_precision(wanted) if self.unit is None else 2.0 ** round(math.log2(wanted))

    def _on_grid(self, scale: float) -> float:
        if self.unit is None:
            return single_precision(scale)
        if power_of_two_exponent(scale / self.unit, 1e-9) is not None:
            return self.unit * 2.0 ** round(math.log2(scale / self.unit))
        return self.unit * 2.0 ** math.ceil(math.log2(scale / self.unit))
