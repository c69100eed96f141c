"""Pairs of layers with an activation between them whose channels can be scaled: the layer behind takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrqc.calibration.observers import ValueStatistics
from mrqc.ir.graph import Module
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.passes.requantize.form import LayerForm, Real, float_constant, layers_of, limits_of
from mrqc.targets import Target

SATURATED = 1e-3
"""Share of results at the upper clamp above which a channel is taken to need it where it is."""
TAIL = 1e-4
"""Share of results that may be cut off where a channel is scaled up to the clamp."""
_LEAST_SHARE = 1e-9
_LEAST = 1e-30
"""What keeps a layer of zeros from a division by zero."""


@dataclass(frozen=True)
class ChannelPair:
    """A layer and those that use its result, all of them."""

    first: LayerForm
    behind: tuple[LayerForm, ...]

    @property
    def name(self) -> str:
        """The name of the activation between them."""
        return self.first.name

    @property
    def channels(self) -> int:
        """How many channels that has."""
        return self.first.op.weight.type.shape[0]


class ChannelPairs:
    """The pairs of a module, and the real weights of all layers while they change.

    Attributes:
        weights: Of each layer, by the name of its result.
        biases: Likewise.
    """

    def __init__(self, module: Module, target: Target) -> None:
        """Take the weights as they are.

        Args:
            module: In the form of re-quantization.
            target: A layer that has a scale for each channel there gains nothing and is in no pair.
        """
        self._module = module
        self._target = target
        self._layers = {layer.name: layer for layer in layers_of(module)}
        self.weights = {name: layer.real_weights() for name, layer in self._layers.items()}
        self.biases = {name: layer.real_bias() for name, layer in self._layers.items()}

    def pairs(self) -> Iterator[ChannelPair]:
        """Yield each layer whose result only layers use, pads in between apart."""
        for layer in self._layers.values():
            behind = list(self._readers(layer.statement.result))
            if not behind or any(one is None for one in behind) or not self._is_movable(layer):
                continue
            found = tuple(one for one in behind if one is not None)
            if all(self._is_movable(one) for one in found):
                yield ChannelPair(layer, found)

    def _is_movable(self, layer: LayerForm) -> bool:
        op = layer.op
        if layer.rounding is None or self._target.weight.is_per_channel_for(op.mnemonic):
            return False
        depthwise = isinstance(op, nn.Conv2D) and op.groups == op.weight.type.shape[0] == op.input.type.shape[-1]
        return isinstance(op, nn.FullyConnected) or (isinstance(op, nn.Conv2D) and (op.groups == 1 or depthwise))

    def _readers(self, value: Value) -> Iterator[LayerForm | None]:
        if value in self._module.graph.output_values:
            yield None
        for statement in self._module.graph.uses.get(value, ()):
            if isinstance(statement.op, nn.Pad) and statement.op.value == 0.0 and not any(statement.op.padding[-2:]):
                yield from self._readers(statement.result)
            elif statement.result.name in self._layers and self._layers[statement.result.name].op.input == value:
                yield self._layers[statement.result.name]
            else:
                yield None

    def scale(self, pair: ChannelPair, factor: Real) -> None:
        """Multiply the channels between the layers of a pair."""
        first = self.weights[pair.name]
        self.weights[pair.name] = first * factor.reshape(-1, *(1,) * (first.ndim - 1))
        self.biases[pair.name] = self.biases[pair.name] * factor
        for layer in pair.behind:
            self.weights[layer.name] = divided(layer, self.weights[layer.name], factor)

    def constants(self, factors: Mapping[str, Real]) -> dict[str, nn.Constant]:
        """Return the constants of all layers that changed."""
        moved = {name for name, factor in factors.items() if np.any(factor != 1.0)}
        found: dict[str, nn.Constant] = {}
        for name, layer in self._layers.items():
            if not np.array_equal(self.weights[name], layer.real_weights()):
                found[layer.source.result.name] = float_constant(self.weights[name])
            if name in moved and layer.bias is not None:
                found[layer.bias.result.name] = float_constant(self.biases[name])
        return found


def rows(weights: Real) -> Real:
    """Return the greatest weight of each output channel."""
    return np.abs(weights).reshape(len(weights), -1).max(axis=1)


def is_depthwise(layer: LayerForm) -> bool:
    """Whether each output channel of a movable layer has an input channel of its own."""
    return isinstance(layer.op, nn.Conv2D) and layer.op.groups > 1


def columns(layer: LayerForm, weights: Real) -> Real:
    """Return the greatest weight that each input channel meets."""
    return rows(weights) if is_depthwise(layer) else np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)


def divided(layer: LayerForm, weights: Real, factor: Real) -> Real:
    """Return the weights of a layer whose input channels are multiplied by ``factor``."""
    return weights / (factor[:, None, None, None] if is_depthwise(layer) else factor)


def pair_factor(work: ChannelPairs, pair: ChannelPair) -> Real:
    """Return what gives both sides of an activation the same share of their range."""
    return np.sqrt(_behind(work, pair) / _in_front(work, pair))


def triple_factors(work: ChannelPairs, first: ChannelPair, second: ChannelPair) -> tuple[Real, Real]:
    """Return what gives three layers the same share, for the activations in front of and behind the one between."""
    before, between, behind = _in_front(work, first), _behind(work, first), _behind(work, second)
    share = np.cbrt(before * between * behind)
    return share / before, behind / share


def _in_front(work: ChannelPairs, pair: ChannelPair) -> Real:
    """Return the share of its layer's range that each output channel has."""
    reach = rows(work.weights[pair.name])
    return np.maximum(reach / max(reach.max(), _LEAST), _LEAST_SHARE)


def _behind(work: ChannelPairs, pair: ChannelPair) -> Real:
    """Return the share of its layer's range that each input channel has, of the layer where that is most."""
    weights = [(layer, work.weights[layer.name]) for layer in pair.behind]
    shares = [columns(layer, real) / max(np.abs(real).max(), _LEAST) for layer, real in weights]
    return np.maximum(np.max(shares, axis=0), _LEAST_SHARE)


@dataclass(frozen=True)
class Room:
    """What a clamp leaves to the channels of an activation.

    Attributes:
        upper: By what each may be multiplied until it reaches the clamp, 1 to 64.
        saturated: Whether it often is at the clamp: such a channel has to stay as it is.
    """

    upper: Real
    saturated: NDArray[np.bool_]


def room_of(pair: ChannelPair, statistics: ValueStatistics | None) -> Room | None:
    """Return what the clamp between the layers of a pair leaves, by what was seen of each channel; None if nothing."""
    if statistics is None or statistics.histogram is None or statistics.histogram.channels is None:
        return None
    low, high = limits_of(pair.first)
    greatest, least, saturated = _tails(statistics, low, high)
    with np.errstate(divide="ignore"):
        upper = np.minimum(
            np.where(greatest > 0, high / np.maximum(greatest, 1e-30), np.inf),
            np.where(least < 0, low / np.minimum(least, -1e-30), np.inf) if low < 0 else np.inf,
        )
    return Room(np.where(saturated, 1.0, np.clip(upper, 1.0, 64.0)), saturated)


def _tails(statistics: ValueStatistics, low: float, high: float) -> tuple[Real, Real, NDArray[np.bool_]]:
    """Return, for each channel, the ends of what was seen less a small tail, and whether a limit was reached often."""
    histogram = statistics.histogram
    assert histogram is not None
    assert histogram.channels is not None
    counts = histogram.channels.astype(np.float64)
    reals = statistics.real(histogram.codes)
    share = np.cumsum(counts, axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    greatest = reals[np.argmax(share >= 1.0 - TAIL, axis=1)]
    least = reals[np.argmax(share > TAIL, axis=1)]
    step = reals[1] - reals[0]
    total = np.maximum(counts.sum(axis=1), 1.0)
    saturated = counts[:, reals >= high - 0.75 * step].sum(axis=1) / total > SATURATED
    if low < 0:
        saturated |= counts[:, reals <= low + 0.75 * step].sum(axis=1) / total > SATURATED
    return greatest, least, saturated
