"""Block reconstruction: codes and biases of a block's layers, learned together from what the block results in.

Li et al. 2021 (BRECQ, arXiv 2102.05426) learn the rounding of all layers of a residual block at once, each weight one of
two codes as in adaptive rounding; the mean absolute error in place of the squared one is from RepAPQ (arXiv
2402.16121). With y the block's result behind its clamp, on crops of the samples (docs/requantization.md equation 19):

    L = sum over channels c of E[|y_c - wanted_c|^p] / N
        + strength * sum over layers l of 1 / K_l * sum over its weights of (1 - |2 h - 1|^steepness)

N, what the first solution's rounding of weights costs in the mean of all channels, makes one strength serve every block.
Results inside the block are rounded to codes, as they will be, and pass gradients on as if they were not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.passes.requantize.adaptive_rounding import (
    Adam,
    Reals,
    by_undecided,
    inverse_rectified_sigmoid,
    rectified_sigmoid,
    regularisation,
    two_codes,
)
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork, Parameters
from mrqc.passes.requantize.form import float_constant
from mrqc.passes.requantize.side_by_side import BlockLayerState, BlockSamples

Loss = Literal["mse", "mae"]

STEPS = 600
"""Gradient steps for each block."""
BATCH = 8
"""Crops that one step looks at."""
RATE = 0.05
"""Length of a step in v, as in adaptive rounding."""
BIAS_RATE = 0.02
"""Length of a step in a bias, in codes of the layer's result."""
OFF_GRID = 1e-3
"""Weights further than this from a code, in codes, may be rounded either way."""
_JUDGED = 4
"""One sample of so many judges what is learned from the others."""


@dataclass(frozen=True)
class LayerVariables:
    """What is learned of a layer.

    Attributes:
        v: Of each weight, ``[O, KH, KW, C / groups]``.
        bias: What is added to the biases, in codes of the result, ``[O]``.
    """

    v: Reals
    bias: Reals


@dataclass(frozen=True)
class LayerCodes:
    """The codes that a layer's weights may have.

    Attributes:
        floor: The lower of the two codes of each weight, ``[O, KH, KW, C / groups]``; the only one where nothing is free.
        free: 1 where the next code is possible, else 0.
        scales: Of the codes, ``[O or 1, 1, 1, 1]``.
        bias: Where biases begin, real, ``[O]``.
        unit: The scale of the layer's result.
    """

    floor: Reals
    free: Reals
    scales: Reals
    bias: Reals
    unit: float

    def parameters(self, variables: LayerVariables) -> Parameters:
        """Return real weights and biases."""
        h, _ = rectified_sigmoid(variables.v)
        return Parameters((self.floor + self.free * h) * self.scales, self.bias + variables.bias * self.unit)

    def decided(self, variables: LayerVariables) -> Reals:
        """Return the codes that the variables stand for."""
        return self.floor + self.free * (rectified_sigmoid(variables.v)[0] >= 0.5)


@dataclass(frozen=True)
class Crops:
    """Some crops of a block.

    Attributes:
        inputs: Real values of its input, ``[B, h, w, C]``.
        wanted: Real values of what its result should be, ``[B, h, w, C]``.
        masks: What of each result's crops lies inside of it, ``[B, h, w, 1]``; None for all.
    """

    inputs: Reals
    wanted: Reals
    masks: Mapping[Value, Reals | None]

    def part(self, rows: slice) -> Crops:
        """Return some of them."""
        masks = {value: None if mask is None else mask[rows] for value, mask in self.masks.items()}
        return Crops(self.inputs[rows], self.wanted[rows], masks)


@dataclass(frozen=True)
class BlockReconstruction:
    """The error of a block, as a function of its codes and biases.

    Attributes:
        network: The block.
        layers: The codes to choose from, by the name of each layer's result.
        loss: The mean of squares, or of absolute values.
        noise: N.
    """

    network: BlockNetwork
    layers: Mapping[str, LayerCodes]
    loss: Loss
    noise: float

    def error(self, crops: Crops, parameters: Mapping[str, Parameters]) -> float:
        """Return the first part of L."""
        run = self.network.forward(crops.inputs, crops.masks, parameters)
        distance = np.abs(run.values[self.network.block.output] - crops.wanted)
        power = distance**2 if self.loss == "mse" else distance
        return float(power.mean(axis=(0, 1, 2), dtype=np.float64).sum() / self.noise)

    def value(
        self, crops: Crops, variables: Mapping[str, LayerVariables], strength: float, steepness: float
    ) -> float:
        """Return L: what :meth:`gradient` differentiates."""
        total = self.error(crops, {name: self.layers[name].parameters(mine) for name, mine in variables.items()})
        for name, mine in variables.items():
            h, _ = rectified_sigmoid(mine.v)
            undecided = self.layers[name].free * (1 - np.abs(2 * h - 1) ** steepness)
            total += strength / _weights_of_a_channel(mine.v) * float(undecided.sum())
        return total

    def gradient(
        self, crops: Crops, variables: Mapping[str, LayerVariables], strength: float, steepness: float
    ) -> Mapping[str, LayerVariables]:
        """Return the derivatives of L with respect to the variables.

        Args:
            crops: On which.
            variables: Where.
            strength: Of the regularisation.
            steepness: Its exponent.
        """
        parameters = {name: self.layers[name].parameters(mine) for name, mine in variables.items()}
        run = self.network.forward(crops.inputs, crops.masks, parameters)
        error = run.values[self.network.block.output] - crops.wanted
        by_output = 2 * error if self.loss == "mse" else np.sign(error)
        by_output *= error.shape[3] / error.size / self.noise
        found: dict[str, LayerVariables] = {}
        for name, by_layer in self.network.backward(run, by_output, crops.masks, parameters).items():
            codes, v = self.layers[name], variables[name].v
            h, slope = rectified_sigmoid(v)
            by_h = by_layer.weights * codes.scales
            if strength:
                by_h += strength / _weights_of_a_channel(v) * by_undecided(h, steepness)
            found[name] = LayerVariables(by_h * slope * codes.free, by_layer.bias * codes.unit)
        return found


def _weights_of_a_channel(v: Reals) -> int:
    return v.size // len(v)


def reconstructed(
    samples: BlockSamples, places: int, limits: tuple[int, int], loss: Loss, reference: Literal["original", "input"]
) -> Mapping[str, nn.Constant]:
    """Return new weights and biases of a block's layers if they have less error on samples that were held out.

    Args:
        samples: What enters the block, what should leave it, and its layers as they are.
        places: About how many places of the result are looked at.
        limits: The least and greatest code of a weight.
        loss: What is made small.
        reference: What the result should be: the ``original`` model's, or that of the real weights on this block's own
            ``input``.
    """
    areas = areas_of(samples.block)
    if areas is None or samples.original_output is None:
        return {}
    layers = {state.form.name: _codes(state, limits) for state in samples.layers}
    if not any(codes.free.any() for codes, _ in layers.values()):
        return {}
    spread = Places.spread((len(samples.input), *samples.block.output.type.shape[1:]), places)
    network, real = BlockNetwork(samples.block, areas), BlockNetwork(samples.block, areas, rounds=False)
    weights = {state.form.name: _real_parameters(state) for state in samples.layers}
    judging = spread.sample % _JUDGED == _JUDGED - 1
    learning, judged = (
        _crops(samples, network, spread.of(np.flatnonzero(mask)), None if reference == "original" else (real, weights))
        for mask in (~judging, judging)
    )
    start = {state.form.name: _parameters(state) for state in samples.layers}
    noise = _noise(real, learning, start, weights, loss)
    task = BlockReconstruction(network, {name: codes for name, (codes, _) in layers.items()}, loss, noise)
    variables = learn(task, learning, {name: variables for name, (_, variables) in layers.items()})
    found: dict[str, Parameters] = {}
    for name, mine in variables.items():
        codes = task.layers[name]
        found[name] = Parameters(codes.decided(mine) * codes.scales, codes.parameters(mine).bias)
    import os
    if os.environ.get("BK"):
        print(samples.block.output.name, len(learning.inputs), "start", task.error(judged, start), "found", task.error(judged, found), "learn", task.error(learning,start), task.error(learning,found), "free", [round(float(c.free.mean()),2) for c in task.layers.values()], "flipped", [round(float((np.abs(found[n].weights-start[n].weights)>0.5*task.layers[n].scales).mean()),3) for n in found], "noise", noise, flush=True)
    if task.error(judged, found) >= task.error(judged, start):
        return {}
    return _constants(samples, task, variables)


def learn(
    task: BlockReconstruction, crops: Crops, variables: Mapping[str, LayerVariables]
) -> Mapping[str, LayerVariables]:
    """Return variables that make L small, learned from those given, which are changed; always the same ones."""
    optimizers = {name: (Adam(mine.v, RATE), Adam(mine.bias, BIAS_RATE)) for name, mine in variables.items()}
    count = len(crops.inputs)
    ends = np.linspace(0, count, max(round(count / BATCH), 1) + 1).astype(int).tolist()
    parts = [crops.part(slice(*pair)) for pair in itertools.pairwise(ends)]
    for step, part in enumerate(itertools.islice(itertools.cycle(parts), STEPS)):
        gradient = task.gradient(part, variables, *regularisation(step / STEPS))
        for name, (of_v, of_bias) in optimizers.items():
            of_v.move(variables[name].v, gradient[name].v)
            of_bias.move(variables[name].bias, gradient[name].bias)
    return variables


def _codes(state: BlockLayerState, limits: tuple[int, int]) -> tuple[LayerCodes, LayerVariables]:
    """Return the codes that a layer may have, and where to begin."""
    scales, now = _scales(state), _as_kernel(state.codes)
    real = _as_kernel(state.form.real_weights()) / scales
    free = (np.abs(real - now) > OFF_GRID) & (np.abs(real - np.clip(np.rint(real), *limits)) > OFF_GRID)
    floor, h = two_codes(now, real, limits)
    codes = LayerCodes(
        np.where(free, floor, now).astype(np.float32),
        free.astype(np.float32),
        scales,
        state.bias.astype(np.float32),
        state.form.output_scale,
    )
    v = inverse_rectified_sigmoid(h.astype(np.float32))
    return codes, LayerVariables(v, np.zeros(len(now), np.float32))


def _scales(state: BlockLayerState) -> Reals:
    quantization = state.op.weight.type.quantization
    assert quantization is not None
    return np.asarray(quantization.scales, np.float32).reshape(-1, 1, 1, 1)


def _as_kernel(array: Reals) -> Reals:
    """Return weights as those of a convolution, in single precision."""
    return array.astype(np.float32).reshape(array.shape[0], *(array.shape[1:3] if array.ndim == 4 else (1, 1)), -1)


def _parameters(state: BlockLayerState) -> Parameters:
    return Parameters(_as_kernel(state.codes) * _scales(state), state.bias.astype(np.float32))


def _real_parameters(state: BlockLayerState) -> Parameters:
    return Parameters(_as_kernel(state.form.real_weights()), state.form.real_bias().astype(np.float32))


def _crops(
    samples: BlockSamples,
    network: BlockNetwork,
    places: Places,
    reference: tuple[BlockNetwork, Mapping[str, Parameters]] | None,
) -> Crops:
    """Return crops at some places; without a reference the original's result is wanted."""
    block = samples.block
    # Neighbours in this order make a batch.
    places = places.of(np.random.default_rng(1).permutation(len(places.sample)))
    inputs, masks = places.crops(samples.input, network.areas[block.input], block.input.type), network.masks(places)
    if reference is None:
        assert samples.original_output is not None
        assert samples.original_type is not None
        output = places.crops(samples.original_output, network.areas[block.output], samples.original_type)
        wanted = (output * samples.output_factors).astype(np.float32)
        return Crops(inputs, wanted, masks)
    real, parameters = reference
    return Crops(inputs, real.forward(inputs, masks, parameters).values[block.output], masks)


def _noise(
    real: BlockNetwork,
    crops: Crops,
    start: Mapping[str, Parameters],
    weights: Mapping[str, Parameters],
    loss: Loss,
) -> float:
    """Return N: what the rounding of weights costs at the start."""
    first, second = (
        real.forward(crops.inputs, crops.masks, parameters).values[real.block.output] for parameters in (start, weights)
    )
    distance = first - second
    distance -= distance.mean(axis=(0, 1, 2))
    power = distance**2 if loss == "mse" else np.abs(distance)
    return max(float(power.mean(dtype=np.float64)), 1e-30)


def _constants(
    samples: BlockSamples, task: BlockReconstruction, variables: Mapping[str, LayerVariables]
) -> Mapping[str, nn.Constant]:
    found: dict[str, nn.Constant] = {}
    for state in samples.layers:
        codes, mine = task.layers[state.form.name], variables[state.form.name]
        element, shape = state.op.weight.type.element, state.op.weight.type.shape
        found[state.op.weight.name] = nn.Constant(Data.of(codes.decided(mine).reshape(shape), element.dtype), element)
        if state.form.bias is not None:
            found[state.form.bias.result.name] = float_constant(codes.parameters(mine).bias)
    return found
