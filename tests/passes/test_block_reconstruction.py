"""Rounding the layers of a block together: which blocks there are, the gradient, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_networks import KINDS, residual
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network
from numpy.typing import NDArray

import mrqc
from mrqc.backends import interpreter
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import CalibrationSamples, kl_divergences, open_data
from mrqc.ir import FLOAT, Data, Module
from mrqc.ops import nn
from mrqc.passes.requantize import adaptive_rounding, block_reconstruction, round_weights
from mrqc.passes.requantize.adaptive_rounding import inverse_rectified_sigmoid
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork, Parameters
from mrqc.passes.requantize.block_reconstruction import (
    BlockReconstruction,
    Crops,
    LayerCodes,
    LayerVariables,
    Loss,
)
from mrqc.passes.requantize.blocks import Block, blocks_of
from mrqc.passes.requantize.form import layers_of
from mrqc.passes.requantize.side_by_side import BlockLayerState, BlockSamples
from mrqc.report.scores import ScoredModule

LIMITS = (-127, 127)
WIDTH = 1e-6
"""Of a finite difference."""


def small(block: Block, seed: int, loss: Loss) -> tuple[BlockReconstruction, Crops, dict[str, LayerVariables]]:
    """In double precision, without rounding; every number is drawn."""
    areas = areas_of(block)
    assert areas is not None
    draw = np.random.default_rng(seed)
    places = Places.spread((3, *block.output.type.shape[1:]), 48)
    samples = draw.integers(0, 255, (3, *block.input.type.shape[1:]))
    network = BlockNetwork(block, areas, rounds=False)
    inputs = places.crops(samples, areas[block.input], block.input.type).astype(float)
    wanted = places.crops(
        draw.integers(-99, 99, (3, *block.output.type.shape[1:])), areas[block.output], block.output.type
    )
    codes: dict[str, LayerCodes] = {}
    variables: dict[str, LayerVariables] = {}
    for layer in block.layers:
        shape = layer.op.operands[1].type.shape
        shape = shape if len(shape) == 4 else (shape[0], 1, 1, shape[1])
        codes[layer.result.name] = LayerCodes(
            draw.integers(-3, 3, shape).astype(float),
            draw.integers(0, 1, shape, endpoint=True).astype(float),
            np.exp(draw.normal(size=(shape[0], 1, 1, 1)) - 2),
            draw.normal(size=shape[0]),
            0.1,
        )
        variables[layer.result.name] = LayerVariables(draw.normal(scale=2, size=shape), draw.normal(size=shape[0]))
    crops = Crops(inputs, wanted.astype(float), network.masks(places))
    return BlockReconstruction(network, codes, loss, 0.7), crops, variables


def is_smooth(task: BlockReconstruction, crops: Crops, variables: Mapping[str, LayerVariables]) -> bool:
    """Whether nothing is at a limit of a clamp, no error is none and no h is at 0, a half or 1."""
    parameters = {name: task.layers[name].parameters(mine) for name, mine in variables.items()}
    run = task.network.forward(crops.inputs, crops.masks, parameters)
    corners = [np.abs(run.values[task.network.block.output] - crops.wanted).min()]
    for mine in variables.values():
        sigmoid = 1 / (1 + np.exp(-mine.v))
        corners += [np.abs(1.2 * sigmoid - 0.1 - corner).min() for corner in (0.0, 0.5, 1.0)]
    return min(corners) > 1e-5


@given(
    st.sampled_from(KINDS),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["mse", "mae"]),
    st.sampled_from([0.0, 3.0]),
    st.floats(2.0, 20.0),
)
@settings(max_examples=40, deadline=None)
def test_the_gradient_is_that_of_the_loss(kind: str, seed: int, loss: Loss, strength: float, steepness: float) -> None:
    (block,) = blocks_of(residual(kind))
    task, crops, variables = small(block, seed, loss)
    assume(is_smooth(task, crops, variables))
    found = task.gradient(crops, variables, strength, steepness)
    draw = np.random.default_rng(seed)
    for name, mine in variables.items():
        for part in ("v", "bias"):
            array, gradient = getattr(mine, part), getattr(found[name], part)
            for flat in draw.permutation(array.size)[:6]:
                index = np.unravel_index(flat, array.shape)
                before = array[index]
                ends: list[float] = []
                for sign in (1, -1):
                    array[index] = before + sign * WIDTH
                    ends.append(task.value(crops, variables, strength, steepness))
                array[index] = before
                assert gradient[index] == pytest.approx((ends[0] - ends[1]) / (2 * WIDTH), rel=1e-3, abs=1e-3)


def samples_of(module: Module, count: int = 24) -> CalibrationSamples:
    shape = module.graph.inputs[0].type.shape[1:]
    array = np.random.default_rng(5).integers(0, 256, (count, *shape)).astype(np.uint8)
    return CalibrationSamples.of(array, module)


PASSES = "symmetrize,assign-scales,fold-rounding-error,round-weights{{{}}},quantize-biases"


def rounded(module: Module, samples: CalibrationSamples, parameters: str) -> str:
    return str(mrqc.requantize(module, "pow2-npu", samples, passes=PASSES.format(parameters)))


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_rounding, "STEPS", 60)
    monkeypatch.setattr(block_reconstruction, "STEPS", 60)


@pytest.mark.usefixtures("few_steps")
def test_the_same_samples_give_the_same_codes_however_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    module = residual_network()
    samples = samples_of(module)
    # Whatever comes of the few steps is to be taken.
    monkeypatch.setattr(BlockReconstruction, "error", lambda *_: next(rising))
    found: list[str] = []
    for slice_bytes in (2**24, 2**24, 1, 5000):
        rising = iter(np.linspace(1.0, 9.0, 99))
        monkeypatch.setattr(interpreter, "SLICE_BYTES", slice_bytes)
        found.append(rounded(module, samples, "method=block"))
    assert len(set(found)) == 1
    assert found[0] != rounded(module, samples, "method=adaptive")


def test_what_was_learned_is_kept_only_if_the_error_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_reconstruction, "STEPS", 200)
    module = residual_network()
    seen: list[tuple[BlockSamples, Mapping[str, nn.Constant]]] = []
    errors: list[float] = []
    change, error = block_reconstruction.reconstructed, BlockReconstruction.error

    def watched(samples: BlockSamples, *arguments: Any) -> Mapping[str, nn.Constant]:
        seen.append((samples, change(samples, *arguments)))
        return seen[-1][1]

    def noted(self: BlockReconstruction, crops: Crops, parameters: Mapping[str, Parameters]) -> float:
        errors.append(error(self, crops, parameters))
        return errors[-1]

    monkeypatch.setattr(round_weights, "reconstructed", watched)
    monkeypatch.setattr(BlockReconstruction, "error", noted)
    rounded(module, samples_of(module), "method=block")
    assert len(seen) == 1
    (_, constants), (_, found, start) = seen[0], errors
    assert bool(constants) == (found < start)


@pytest.mark.usefixtures("few_steps")
def test_codes_are_neighbours_of_those_found_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever comes of the few steps is to be taken.
    rising = iter(np.linspace(1.0, 9.0, 99))
    monkeypatch.setattr(BlockReconstruction, "error", lambda *_: next(rising))
    distances: list[NDArray[Any]] = []
    change = block_reconstruction.reconstructed

    def watched(samples: BlockSamples, *arguments: Any) -> Mapping[str, nn.Constant]:
        constants = change(samples, *arguments)
        for state in samples.layers:
            if state.op.weight.name not in constants:
                # All its weights are codes.
                continue
            codes = constants[state.op.weight.name].value.array.astype(int)
            assert codes.min() >= LIMITS[0]
            assert codes.max() <= LIMITS[1]
            distances.append(np.abs(codes - state.codes).ravel())
        return constants

    monkeypatch.setattr(round_weights, "reconstructed", watched)
    module = residual_network()
    rounded(module, samples_of(module), "method=block")
    assert np.concatenate(distances).max() == 1


def state_of(real: NDArray[Any], codes: NDArray[Any]) -> BlockLayerState:
    """A layer whose weights are to be codes at scale 1."""
    net = Network()
    x = net.input((1, 1, 1, real.shape[3]), 0.0213, 128)
    source = net.builder.emit(nn.Constant(Data(real.astype(np.float32)), FLOAT))
    kernel = net.emit(nn.Quantize(source, i8(1.0)))
    module = net.finish(net.emit(nn.Conv2D(x, kernel, element=i8(0.1))))
    (form,) = layers_of(module)
    return BlockLayerState(form, form.op, codes, np.zeros(len(real)))


def test_weights_that_are_codes_or_beyond_them_are_not_free() -> None:
    real = np.array([3.0, -127.0, 160.0, 2.3, 2.3, -0.5]).reshape(1, 1, 1, 6)
    codes = np.array([3, -127, 127, 2, 3, 0]).reshape(1, 1, 1, 6)
    state = state_of(real, codes)
    found = block_reconstruction.codes_of(state, LIMITS)
    assert found.free.reshape(-1).tolist() == [0, 0, 0, 1, 1, 1]
    assert found.floor.reshape(-1).tolist() == [3, -127, 127, 2, 2, -1]
    # Learning begins where the layer is.
    assert np.array_equal(found.decided(block_reconstruction.variables_of(state, found)), codes)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_learning_makes_the_error_less(loss: Loss) -> None:
    """From the nearest codes, on what real weights would give."""
    (block,) = blocks_of(residual("inverted"))
    areas = areas_of(block)
    assert areas is not None
    draw = np.random.default_rng(0)
    places = Places.spread((40, *block.output.type.shape[1:]), 40 * 42)
    samples = draw.integers(0, 256, (40, *block.input.type.shape[1:]))
    inputs = places.crops(samples, areas[block.input], block.input.type)
    network = BlockNetwork(block, areas)
    real: dict[str, Parameters] = {}
    codes: dict[str, LayerCodes] = {}
    start: dict[str, LayerVariables] = {}
    for layer in block.layers:
        shape = layer.op.operands[1].type.shape
        found = draw.normal(size=shape).astype(np.float32)
        real[layer.result.name] = Parameters(found, np.zeros(shape[0], np.float32))
        ones = np.ones(shape, np.float32)
        floor, scales = np.floor(found / 0.4), np.full((shape[0], 1, 1, 1), 0.4, np.float32)
        codes[layer.result.name] = LayerCodes(floor, ones, scales, np.zeros(shape[0], np.float32), 0.1)
        h = np.where(found / 0.4 - floor > 0.5, 0.9, 0.1).astype(np.float32)
        start[layer.result.name] = LayerVariables(inverse_rectified_sigmoid(h), np.zeros(shape[0], np.float32))
    masks = network.masks(places)
    crops = Crops(inputs, network.forward(inputs, masks, real).values[block.output], masks)
    task = BlockReconstruction(network, codes, loss, 1.0)
    before = task.error(crops, task.decided(start))
    task = BlockReconstruction(network, codes, loss, before / 4)
    learned = block_reconstruction.learn(task, crops, start)
    assert task.error(crops, task.decided(learned)) < 0.85 * task.error(crops, task.decided(start))


@pytest.mark.assets
def test_a_real_model_is_no_further_from_the_original(assets: Path) -> None:
    """On samples that nothing was learned from."""
    original = mrqc.load(assets / "models" / "kws_dscnn_s8.tflite")
    data = open_data(assets / "data" / "kws" / "calib.npz", original.graph.inputs[0])
    features = np.concatenate([batch.samples for batch in data.batches(50, 100)])
    seen, held_out = features[:50], features[50:]

    def logits(module: Module) -> NDArray[Any]:
        scored = ScoredModule.of(module)
        return scored.scores(ReferenceProgram(scored.module).run(held_out)).logits

    def divergences(method: str) -> NDArray[Any]:
        passes = f"symmetrize,assign-scales,fold-rounding-error,round-weights{{method={method}}}"
        found = mrqc.requantize(original, "pow2-npu", CalibrationSamples.of(seen, original), passes=passes)
        return kl_divergences(logits(original), logits(found))

    further = divergences("block") - divergences("adaptive")
    # As far as so few samples can tell: two standard errors of the difference.
    assert further.mean() <= 2 * further.std() / np.sqrt(len(further))
