"""Strategies for nn modules that are in the scheme of a target already, so that lowering has nothing to refuse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from mrqc.ir import Module, Op, Output, TensorType, Value
from mrqc.ir.rewrite import without_dead_statements
from mrqc.ops import nn
from mrqc.targets import Target
from mrqc.testing.draft import Draft, Limits, Spread
from mrqc.testing.pooling import pool_windows
from mrqc.testing.target_filters import drawn_filters
from mrqc.testing.target_scheme import TargetScheme

TARGET_LAYERS: tuple[type[Op], ...] = (
    *(nn.Conv2D,) * 4,
    *(nn.Add,) * 2,
    *(nn.FullyConnected,) * 2,
    nn.TransposeConv2D,
    nn.Sub,
    nn.Mul,
    nn.AveragePool2D,
    nn.Mean,
    nn.MaxPool2D,
    nn.Clip,
    nn.LeakyRelu,
    nn.Sigmoid,
    nn.Pad,
    nn.Concat,
    nn.Maximum,
    nn.Quantize,
    nn.Relabel,
)
"""What modules in a target's scheme consist of; what stands here more than once is drawn as much more often."""

_SPREADS = (Spread(0.0, 1.0), Spread(-1.0, 1.0), Spread(-2.1, 2.6))
_SMALL = Limits()


@st.composite
def target_modules(
    draw: st.DrawFn,
    target: Target,
    *,
    layers: Sequence[type[Op]] = TARGET_LAYERS,
    max_layers: int = 4,
    limits: Limits = _SMALL,
    softmax: bool | None = None,
) -> Module:
    """Return a strategy for nn modules as the requantization passes leave them for ``target``.

    Storage, zero points, ranges, granularity and scales are those of the target file; where it only shifts, every
    ratio of scales is a power of two. ``lower-to-int`` and ``legalize`` accept each of them.

    Args:
        draw: Supplied by hypothesis.
        target: Hardware, no runtime.
        layers: The ops to choose from, repeated ones more often.
        max_layers: Greatest number of those ops.
        limits: Size of the tensors.
        softmax: Whether a softmax comes at the end; None for either.
    """
    growth = _Growth(Draft(draw, limits), TargetScheme.drawn(draw, target))
    extents = st.integers(1, limits.spatial)
    shape = (draw(st.integers(1, limits.batch)), draw(extents), draw(extents), draw(st.integers(1, limits.channels)))
    for name in ("second", "input"):
        spread = draw(st.sampled_from(_SPREADS))
        value = growth.draft.add_input(name, TensorType(shape, growth.scheme.element(spread)))
        growth.draft.spreads[value] = spread
    for _ in range(draw(st.integers(1, max_layers))):
        growth.extend(draw(st.sampled_from(layers)), draw(st.sampled_from(growth.draft.values[-3:])))
    result = growth.draft.values[-1]
    if draw(st.booleans()) if softmax is None else softmax:
        result = growth.draft.emit(nn.Softmax(result, element=target.activation.probabilities))
    return without_dead_statements(Module("drawn", growth.draft.builder.finish([Output("output", result)])))


class _Growth:
    """A module that grows layer by layer within a target's scheme."""

    def __init__(self, draft: Draft, scheme: TargetScheme) -> None:
        self.draft = draft
        self.scheme = scheme

    def extend(self, op: type[Op], operand: Value) -> None:
        """Append one layer; one that needs an image does nothing to other tensors."""
        if op in (nn.Conv2D, nn.TransposeConv2D, nn.AveragePool2D, nn.Mean, nn.MaxPool2D) and operand.type.rank != 4:
            return
        if op in (nn.Conv2D, nn.TransposeConv2D, nn.FullyConnected):
            self._contraction(op, operand)
        elif op in (nn.AveragePool2D, nn.Mean):
            self._average(op, operand)
        elif issubclass(op, nn.Add | nn.Sub | nn.Mul):
            self._arithmetic(op, operand)
        else:
            self._pointwise_or_move(op, operand)

    def _contraction(self, op: type[Op], operand: Value) -> None:
        draft = self.draft
        if op is nn.FullyConnected and operand.type.rank != 2:
            spread = draft.spreads[operand]
            batch = operand.type.shape[0]
            operand = draft.emit(nn.Reshape(operand, (batch, operand.type.size // batch)), spread)
        filters = drawn_filters(draft, self.scheme, op, operand)
        if filters.geometry is None:
            layer = nn.FullyConnected(operand, filters.weight, filters.bias)
        else:
            convolution = nn.Conv2D if op is nn.Conv2D else nn.TransposeConv2D
            layer = convolution(operand, filters.weight, filters.bias, **filters.geometry.attributes)
        clamp = draft.clamp_for(filters.spread)
        spread = filters.spread.clamped(clamp)
        element = self.scheme.element(spread, filters.least_scale, filters.greatest_scale)
        draft.emit(replace(layer, clamp=clamp, element=element), spread)

    def _average(self, op: type[Op], operand: Value) -> None:
        draft, scheme = self.draft, self.scheme
        source = draft.spreads[operand]
        if op is nn.Mean:
            kernel = operand.type.shape[1:3]
            layer = nn.Mean(operand, (1, 2), draft.draw(st.booleans()))
        else:
            window = draft.draw(pool_windows(operand))
            kernel = window["kernel"]
            layer = nn.AveragePool2D(operand, **window, count_include_pad=True)
        spread = Spread(min(source.low, 0.0), max(source.high, 0.0))
        element, factor = scheme.mean_element(operand.type.element, spread, math.prod(kernel))
        value = draft.emit(replace(layer, element=element), spread)
        if factor != 1.0:
            draft.values.remove(value)
            draft.emit(nn.Relabel(value, (factor,)), Spread(spread.low * factor, spread.high * factor))

    def _arithmetic(self, op: type[nn.Add | nn.Sub | nn.Mul], operand: Value) -> None:
        draft, scheme = self.draft, self.scheme
        other = draft.draw(st.sampled_from([v for v in draft.alike(operand) if scheme.fit_together(operand, v)]))
        first, second = draft.spreads[operand], draft.spreads[other]
        least = 0.0
        if op is nn.Add:
            spread = Spread(first.low + second.low, first.high + second.high)
        elif op is nn.Sub:
            spread = Spread(first.low - second.high, first.high - second.low)
        else:
            products = [a * b for a in (first.low, first.high) for b in (second.low, second.high)]
            spread = Spread(min(products), max(products))
            least = scale_of(operand) * scale_of(other)
        clamp = draft.clamp_for(spread)
        spread = spread.clamped(clamp)
        element = scheme.element(spread, least)
        draft.emit(op(operand, other, clamp=clamp, element=element), spread)

    def _pointwise_or_move(self, op: type[Op], operand: Value) -> None:
        draft, scheme = self.draft, self.scheme
        spread, element = draft.spreads[operand], operand.type.element
        twins = [value for value in draft.alike(operand) if value.type.element == element]
        other = draft.draw(st.sampled_from(twins))
        clamp = draft.clamp_for(spread)
        if op is nn.MaxPool2D:
            window = draft.draw(pool_windows(operand))
            draft.emit(nn.MaxPool2D(operand, **window, clamp=clamp, element=element), spread.clamped(clamp))
        elif op is nn.Clip:
            draft.emit(nn.Clip(operand, clamp, element), spread.clamped(clamp))
        elif op is nn.LeakyRelu:
            bent = Spread(0.125 * spread.low if spread.low < 0 else spread.low, spread.high)
            draft.emit(nn.LeakyRelu(operand, 0.125, scheme.element(bent)), bent)
        elif op is nn.Sigmoid:
            draft.emit(nn.Sigmoid(operand, scheme.element(Spread(0.0, 1.0))), Spread(0.0, 1.0))
        elif op is nn.Pad:
            padding = (0, 0, *(draft.draw(st.integers(0, 2)) for _ in operand.type.shape[1:] for _ in range(2)))
            draft.emit(nn.Pad(operand, padding, draft.draw(st.sampled_from((0.0, 0.3)))), spread)
        elif op is nn.Concat:
            draft.emit(nn.Concat((operand, other), operand.type.rank - 1, element), spread)
        elif op is nn.Maximum:
            draft.emit(nn.Maximum(operand, other, element), spread)
        elif op is nn.Quantize:
            wider = Spread(spread.low * 1.5, spread.high * 1.5)
            draft.emit(nn.Quantize(operand, scheme.element(wider)), spread)
        else:
            assert op is nn.Relabel, op
            factor = scheme.relabel_factor()
            draft.emit(nn.Relabel(operand, (factor,)), Spread(spread.low * factor, spread.high * factor))


def scale_of(value: Value) -> float:
    """Return the scale of a per-tensor value."""
    assert value.type.quantization is not None
    return value.type.quantization.scale
