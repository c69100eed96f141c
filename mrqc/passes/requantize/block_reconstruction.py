"""Block reconstruction: codes and biases of a block's layers, learned together from what the block results in.

Li et al. 2021 (BRECQ, arXiv 2102.05426) learn the rounding of all layers of a residual block at once, each weight one
of two codes as in adaptive rounding; the mean absolute error in place of the squared one is from RepAPQ (arXiv
2402.16121). With y the block's result behind its clamp, on crops of the samples (docs/requantization.md equation 19):

    L = sum over channels c of E[|y_c - wanted_c|^p] / N
        + strength * sum over layers l of 1 / K_l * sum over its weights of (1 - |2 h - 1|^steepness)

N, the error of a channel at the start, in the mean of all channels, makes one strength serve every block. It starts
from the codes that were found layer by layer: from the real weights, as for a single layer, it would have to find all
of that anew. Results inside the block are rounded to codes, as they will be, and pass gradients on as if they were not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mrqc.ir.data import Data
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.passes.requantize.adaptive_rounding import (
    RATE,
    Adam,
    Reals,
    by_undecided,
    inverse_rectified_sigmoid,
    rectified_sigmoid,
    regularisation,
    two_codes,
)
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork, Parameters, kernel_shape
from mrqc.passes.requantize.form import OFF_GRID, float_constant
from mrqc.passes.requantize.side_by_side import BlockLayerState, BlockSamples

Loss = Literal["mse", "mae"]

STEPS = 500
"""Gradient steps for each block."""
BATCH = 8
"""Crops that one step looks at."""
BIAS_RATE = 0.0005
"""Length of the first step in a bias, in codes of the layer's result; it falls to nothing."""
PLACES = 4
"""How many times as many places of a block's result are looked at as of a layer's: neighbours tell little new."""
JUDGED = 4
"""One sample of so many judges what is learned from the others."""
_START = 0.1
"""How far h begins from the code that was found layer by layer, towards the other one."""
_AT_ONCE = 32
"""Crops whose error is computed at a time."""


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
        floor: The lower of the two codes of each weight, ``[O, KH, KW, C / groups]``, or the only one.
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
        total = 0.0
        for first in range(0, len(crops.inputs), _AT_ONCE):
            part = crops.part(slice(first, first + _AT_ONCE))
            run = self.network.forward(part.inputs, part.masks, parameters)
            distance = np.abs(run.values[self.network.block.output] - part.wanted)
            power = distance**2 if self.loss == "mse" else distance
            total += float(power.sum(dtype=np.float64))
        return total * crops.wanted.shape[3] / crops.wanted.size / self.noise

    def decided(self, variables: Mapping[str, LayerVariables]) -> Mapping[str, Parameters]:
        """Return real weights and biases once the codes are chosen."""
        return {
            name: Parameters(codes.decided(variables[name]) * codes.scales, codes.parameters(variables[name]).bias)
            for name, codes in self.layers.items()
        }

    def value(self, crops: Crops, variables: Mapping[str, LayerVariables], strength: float, steepness: float) -> float:
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
    samples: BlockSamples, places: int, limits: tuple[int, int], loss: Loss = "mse"
) -> Mapping[str, nn.Constant]:
    """Return new weights and biases of a block's layers if they have less error on samples that were held out.

    Args:
        samples: What enters the block, what should leave it, and its layers as they are.
        places: How many places of the result of a layer are looked at.
        limits: The least and greatest code of a weight.
        loss: What is made small.
    """
    areas = areas_of(samples.block)
    if areas is None or samples.original_output is None or not all(map(_is_symmetric, samples.layers)):
        return {}
    layers = {state.form.name: codes_of(state, limits) for state in samples.layers}
    if not any(codes.free.any() for codes in layers.values()):
        return {}
    network = BlockNetwork(samples.block, areas)
    learning, judged = _parts(samples, network, places)
    if not (len(learning.inputs) and len(judged.inputs)):
        return {}
    start = {state.form.name: variables_of(state, layers[state.form.name]) for state in samples.layers}
    task = BlockReconstruction(network, layers, loss, 1.0)
    noise = task.error(learning, task.decided(start)) / learning.wanted.shape[3]
    if noise == 0.0:
        return {}
    task = replace(task, noise=noise)
    found = learn(task, learning, start)
    if task.error(judged, task.decided(found)) >= task.error(judged, task.decided(start)):
        return {}
    return _constants(samples, task, found)


def learn(task: BlockReconstruction, crops: Crops, start: Mapping[str, LayerVariables]) -> Mapping[str, LayerVariables]:
    """Return variables that make L small, learned from where others are; always the same ones."""
    variables = {name: LayerVariables(mine.v.copy(), mine.bias.copy()) for name, mine in start.items()}
    optimizers = {name: (Adam(mine.v, RATE), Adam(mine.bias, BIAS_RATE)) for name, mine in variables.items()}
    count = len(crops.inputs)
    ends = np.linspace(0, count, max(round(count / BATCH), 1) + 1).astype(int).tolist()
    parts = [crops.part(slice(*pair)) for pair in itertools.pairwise(ends)]
    for step, part in enumerate(itertools.islice(itertools.cycle(parts), STEPS)):
        gradient = task.gradient(part, variables, *regularisation(step / STEPS))
        for name, (of_v, of_bias) in optimizers.items():
            of_v.move(variables[name].v, gradient[name].v)
            # Codes are drawn to one of two ends; biases have none, and only smaller steps let them settle.
            of_bias.move(variables[name].bias, gradient[name].bias, 1 - step / STEPS)
    return variables


def codes_of(state: BlockLayerState, limits: tuple[int, int]) -> LayerCodes:
    """Return the codes that a layer may have: where a weight is off its grid, the present one and its neighbour."""
    scales, now = _scales(state), _as_kernel(state.codes)
    real = _as_kernel(state.form.real_weights()) / scales
    # Weights that are codes already stay, and so do those that only the limits keep from their code.
    free = np.abs(np.clip(real, *limits) - now) > OFF_GRID
    floor, _ = two_codes(now, real, limits)
    return LayerCodes(
        np.where(free, floor, now).astype(np.float32),
        free.astype(np.float32),
        scales,
        state.bias.astype(np.float32),
        state.form.output_scale,
    )


def variables_of(state: BlockLayerState, codes: LayerCodes) -> LayerVariables:
    """Return variables that stand for a layer as it is."""
    h = np.where(_as_kernel(state.codes) > codes.floor, 1 - _START, _START).astype(np.float32)
    return LayerVariables(inverse_rectified_sigmoid(h), np.zeros(len(h), np.float32))


def _is_symmetric(state: BlockLayerState) -> bool:
    quantization = state.op.weight.type.quantization
    return quantization is not None and quantization.is_symmetric


def _scales(state: BlockLayerState) -> Reals:
    quantization = state.op.weight.type.quantization
    assert quantization is not None
    return np.asarray(quantization.scales, np.float32).reshape(-1, 1, 1, 1)


def _as_kernel(weights: Reals) -> Reals:
    """Return weights as those of a convolution, in single precision."""
    return weights.astype(np.float32).reshape(kernel_shape(weights.shape))


def _parts(samples: BlockSamples, network: BlockNetwork, places: int) -> tuple[Crops, Crops]:
    """Return crops to learn from and crops that judge."""
    shape = (len(samples.input), *samples.block.output.type.shape[1:])
    spread = Places.spread(shape, PLACES * places)
    # Neighbours in this order make a batch.
    spread = spread.of(np.random.default_rng(0).permutation(len(spread.sample)))
    judging = spread.sample % JUDGED == JUDGED - 1
    return _crops(samples, network, spread.of(~judging)), _crops(samples, network, spread.of(judging))


def _crops(samples: BlockSamples, network: BlockNetwork, places: Places) -> Crops:
    assert samples.original_output is not None
    assert samples.original_type is not None
    block, areas = samples.block, network.areas
    inputs = places.crops(samples.input, areas[block.input], block.input.type)
    wanted = places.crops(samples.original_output, areas[block.output], samples.original_type)
    wanted *= np.asarray(samples.output_factors, np.float32)
    return Crops(inputs, wanted, network.masks(places))


def _constants(
    samples: BlockSamples, task: BlockReconstruction, variables: Mapping[str, LayerVariables]
) -> Mapping[str, nn.Constant]:
    found: dict[str, nn.Constant] = {}
    for state in samples.layers:
        codes, mine = task.layers[state.form.name], variables[state.form.name]
        weight = state.op.weight.type
        if codes.free.any():
            rounded = codes.decided(mine).reshape(weight.shape)
            found[state.op.weight.name] = nn.Constant(Data.of(rounded, weight.dtype), weight.element)
        if state.form.bias is not None:
            found[state.form.bias.result.name] = float_constant(codes.parameters(mine).bias)
    return found
