"""What an activation scale costs, without data: rounding noise against clipped range."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mrqc.analysis.scale_groups import ScaleGroups
from mrqc.ir.graph import Module
from mrqc.ir.op import Op, Value
from mrqc.ops import nn
from mrqc.targets import ActivationScheme

CLIP_MARGIN = 0.97
"""Share of the range that may be cut off for nothing: the last codes of a calibrated range are rarely seen."""


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """The real interval that an activation can occupy.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float

    def join(self, other: ActivationRange) -> ActivationRange:
        """Return the smallest interval that holds both."""
        return ActivationRange(min(self.low, other.low), max(self.high, other.high))

    def scale(self, scheme: ActivationScheme) -> float:
        """Return the least symmetric scale that clips nothing (min-max, docs/numerics.md equation 5)."""
        span = max(self.high / scheme.maximum, self.low / scheme.minimum, 0.0)
        return span if span > 0 else 1.0 / scheme.maximum

    def cost(self, scales: NDArray[np.float64], scheme: ActivationScheme) -> NDArray[np.float64]:
        """Return the cost of each of ``scales``: rounding noise over signal power, and a price for clipped range.

        One-sided ranges (ReLU) are taken to have their power at a sixth of the range and clip hard, because a clamp
        sits where many values are; two-sided ones at an eighth, and clip softly.
        """
        full = self.scale(scheme)
        one_sided = self.low >= 0 or self.high <= 0
        sigma = full * scheme.maximum / (6.0 if one_sided else 8.0)
        price = 0.2 if one_sided else 0.05
        return scales**2 / 12.0 / sigma**2 + price * np.maximum(0.0, CLIP_MARGIN - scales / full)


_PASSING = (
    nn.Reshape,
    nn.Transpose,
    nn.Pad,
    nn.MirrorPad,
    nn.Concat,
    nn.Slice,
    nn.Take,
    nn.ResizeBilinear,
    nn.ResizeNearest,
    nn.MaxPool2D,
    nn.Clip,
    nn.Quantize,
    nn.AveragePool2D,
    nn.Mean,
)
"""Ops whose result lies within the joint range of their operands."""


def activation_ranges(
    module: Module, known: Mapping[str, ActivationRange] = MappingProxyType({})
) -> dict[Value, ActivationRange]:
    """Return the real range of every quantized activation: what its codes can hold, cut by its clamp.

    A ReLU whose zero point clamped for free shows here as a range that begins at 0.

    Args:
        module: An ``nn`` module.
        known: Ranges by name, which take the place of what the codes can hold.
    """
    ranges: dict[Value, ActivationRange] = {}
    for value in module.graph.values():
        if not value.type.element.is_quantized or not _is_per_tensor(value):
            continue
        low, high = value.type.element.real_range
        if value.name in known:
            low, high = known[value.name].low, known[value.name].high
        definition = module.graph.definitions.get(value)
        if definition is not None:
            low, high = _narrow(definition.op, low, high, ranges)
        ranges[value] = ActivationRange(low, high)
    return ranges


def _is_per_tensor(value: Value) -> bool:
    quantization = value.type.quantization
    return quantization is not None and quantization.is_per_tensor


def _narrow(op: Op, low: float, high: float, ranges: dict[Value, ActivationRange]) -> tuple[float, float]:
    """Return the range cut by the op's clamp, and by its input's range where codes pass through."""
    clamp: tuple[float, float] = getattr(op, "clamp", nn.UNBOUNDED)
    low, high = _clamped(low, clamp), _clamped(high, clamp)
    if isinstance(op, _PASSING):
        sources = [ranges.get(operand) for operand in op.operands]
        if isinstance(op, nn.Pad) and any(op.padding):
            sources.append(ActivationRange(op.value, op.value))
        known = [source for source in sources if source is not None]
        if known and len(known) == len(sources):
            joint = functools.reduce(ActivationRange.join, known)
            # A mean or a maximum over padding may also be 0, which every range of codes contains.
            low, high = max(low, min(joint.low, high)), min(high, max(joint.high, low))
    return low, high


def _clamped(number: float, clamp: tuple[float, float]) -> float:
    return min(max(number, clamp[0]), clamp[1])


def group_ranges(groups: ScaleGroups, ranges: dict[Value, ActivationRange]) -> list[ActivationRange]:
    """Return the joint range of each exact group."""
    found: list[ActivationRange] = []
    for members in groups.members:
        joint = ranges[members[0]]
        for value in members[1:]:
            joint = joint.join(ranges[value])
        found.append(joint)
    return found


def lossless_scale(value: Value, scheme: ActivationScheme) -> float | None:
    """Return the value's own scale where all its codes, less the zero point, are codes of the target; else None."""
    quantization = value.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        return None
    low = value.type.dtype.minimum - quantization.zero_point
    high = value.type.dtype.maximum - quantization.zero_point
    fits = scheme.minimum - 1 <= low and high <= scheme.maximum + 1
    return quantization.scale if fits and math.isfinite(quantization.scale) else None
