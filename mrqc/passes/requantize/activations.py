"""The real interval that each activation can occupy, without data."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mrqc.ir.graph import Module
from mrqc.ir.op import Op, Value
from mrqc.ops import nn

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
