"""Rounding the layers of a block together: which blocks there are, the gradient, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network, weights
from numpy.typing import NDArray

import mrqc
from mrqc.backends import interpreter
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import CalibrationSamples, kl_divergences, open_data
from mrqc.ir import FLOAT, Data, Module, Value
from mrqc.ops import nn
from mrqc.passes.requantize import adaptive_rounding, block_crops, block_reconstruction, round_weights
from mrqc.passes.requantize.adaptive_rounding import inverse_rectified_sigmoid
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork, Parameters, kernel_shape
from mrqc.passes.requantize.block_reconstruction import (
    BlockReconstruction,
    Crops,
    LayerCodes,
    LayerVariables,
    Loss,
)
from mrqc.passes.requantize.blocks import Block, blocks_of
from mrqc.passes.requantize.contraction_gradients import Contraction
from mrqc.passes.requantize.form import layers_of
from mrqc.passes.requantize.side_by_side import BlockLayerState, BlockSamples
from mrqc.report.scores import ScoredModule

LIMITS = (-127, 127)
WIDTH = 1e-6
"""Of a finite difference."""
SCALE = 0.0097
"""Of weights; with it no sum is a tie between two codes."""


def conv(net: Network, x: Value, shape: tuple[int, int, int, int], name: str, **geometry: Any) -> Value:
    return net.conv(x, weights(shape, len(name)), i8(SCALE), i8(0.1), name=name, **geometry)


def depthwise(net: Network, x: Value, channels: int, **geometry: Any) -> Value:
    padded = net.emit(nn.Pad(x, (0, 0, 1, 1, 1, 1, 0, 0)))
    return conv(net, padded, (channels, 3, 3, 1), "depthwise", groups=channels, **geometry)


def chain(layers: str) -> Module:
    """Layers one behind the other: d for a depthwise one, m for one that mixes channels, - for a mean of pixels."""
    net = Network()
    x = net.input((1, 9, 9, 4), 0.0213, 128)
    for layer in layers:
        if layer == "d":
            x = depthwise(net, x, 4)
        elif layer == "m":
            x = conv(net, x, (4, 1, 1, 4), "mixing")
        else:
            x = net.emit(nn.AveragePool2D(x, (1, 1), element=x.type.element))
    return net.finish(x)


def residual(kind: str) -> Module:
    """One block that is nothing but that: what a module consists of between its input and its output."""
    net = Network()
    x = net.input((1, 7, 6, 4), 0.0213, 128)
    if kind == "strided":
        deep = conv(net, x, (6, 3, 3, 4), "one", padding=(1, 0, 1, 1), strides=(2, 2), clamp=(0.0, 9.0))
        deep = conv(net, deep, (6, 3, 3, 3), "two", padding=(1, 1, 1, 1), groups=2)
        short = conv(net, x, (6, 1, 1, 4), "short", strides=(2, 2))
        return net.finish(net.emit(nn.Add(short, deep, (0.0, 9.0), i8(0.2))))
    if kind == "dilated":
        deep = conv(net, x, (8, 2, 3, 1), "one", padding=(1, 2, 1, 2), dilations=(2, 2), groups=4)
        deep = conv(net, deep, (4, 1, 1, 2), "two", groups=4)
        return net.finish(net.emit(nn.Add(x, deep, element=i8(0.2))))
    if kind == "flat":
        flat = net.emit(nn.Reshape(x, (1, 7 * 6 * 4)))
        wide = net.emit(nn.FullyConnected(flat, net.constant(weights((6, 168), 1), i8(SCALE)), element=i8(0.1)))
        kernel = net.constant(weights((6, 6), 2), i8(SCALE))
        deep = net.emit(nn.FullyConnected(wide, kernel, clamp=(0.0, 9.0), element=i8(0.1)))
        deep = net.emit(nn.FullyConnected(deep, kernel, element=i8(0.1)))
        return net.finish(net.emit(nn.Add(wide, deep, element=i8(0.2))))
    deep = conv(net, x, (8, 1, 1, 4), "expand", clamp=(0.0, 6.0))
    deep = conv(net, depthwise(net, deep, 8, clamp=(0.0, 6.0)), (4, 1, 1, 8), "project")
    return net.finish(net.emit(nn.Add(deep, x, element=i8(0.2))))


KINDS = ("strided", "dilated", "flat", "inverted")


@pytest.mark.parametrize(("kind", "layers"), [("strided", 3), ("dilated", 2), ("flat", 2), ("inverted", 3)])
def test_what_has_a_path_around_it_is_a_block(kind: str, layers: int) -> None:
    module = residual(kind)
    (block,) = blocks_of(module)
    assert block.output == module.graph.outputs[0].value
    assert len(block.layers) == layers
    assert isinstance(block.statements[-1].op, nn.Add)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("m", []),
        ("mmm", []),
        ("mdm", ["mdm"]),
        ("mdmdmdm", ["mdm", "dm", "dm"]),
        ("mdmmdm", ["mdm", "mdm"]),
        ("mmdm-dmm", ["mdm", "dm"]),
        ("md-m", ["md"]),
        ("dddddm", []),
        ("dddm", ["dddm"]),
    ],
)
def test_blocks_of_a_chain(layers: str, expected: list[str]) -> None:
    found = [
        "".join("m" if layer.op.operands[1].type.shape[3] > 1 else "d" for layer in block.layers)
        for block in blocks_of(chain(layers))
    ]
    assert found == expected


def test_a_block_begins_with_its_pads_and_ends_with_a_layer() -> None:
    for block in blocks_of(chain("mdmdmd-")):
        assert not isinstance(block.statements[-1].op, nn.Pad)
        assert isinstance(block.input.type.shape[1], int)
        assert block.input.type.shape[1] == 9


def test_a_result_of_the_module_within_it_makes_no_block() -> None:
    net = Network()
    x = net.input((1, 5, 5, 4), 0.0213, 128)
    inner = conv(net, x, (4, 1, 1, 4), "one")
    deep = conv(net, inner, (4, 1, 1, 4), "two")
    total = net.emit(nn.Add(x, deep, element=i8(0.2)))
    assert len(blocks_of(net.finish(total))) == 1
    assert blocks_of(net.finish(total, inner)) == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_crops_are_parts_of_what_the_module_computes(kind: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own weights and rounding inside, a block gives the module's result, up to the rounding of that."""
    monkeypatch.setattr(block_crops, "SIDE", side)
    module = residual(kind)
    (block,) = blocks_of(module)
    areas = areas_of(block)
    assert areas is not None
    program = ReferenceProgram(module)
    samples = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 4)).astype(np.uint8)
    trace = program.trace({"x": samples})
    places = Places.spread((5, *block.output.type.shape[1:]), 90)
    parameters = {
        layer.result.name: Parameters(
            SCALE * program.known[layer.op.operands[1]].reshape(kernel_shape(layer.op.operands[1].type.shape)),
            np.zeros(layer.result.type.shape[-1]),
        )
        for layer in block.layers
    }
    network = BlockNetwork(block, areas)
    inputs = places.crops(trace[block.input.name], areas[block.input], block.input.type).astype(float)
    found = network.forward(inputs, network.masks(places), parameters).values[block.output]
    expected = places.crops(trace[block.output.name], areas[block.output], block.output.type)
    half = 0.5 * block.output.type.quantization.scale
    assert np.abs(found - expected).max() <= half + 1e-4


def test_paths_of_different_strides_make_no_crops() -> None:
    """One of one place is as large whatever its stride."""
    net = Network()
    x = net.input((1, 1, 1, 4), 0.0213, 128)
    deep = conv(net, x, (4, 1, 1, 4), "one", strides=(2, 2))
    deep = conv(net, deep, (4, 1, 1, 4), "two")
    (block,) = blocks_of(net.finish(net.emit(nn.Add(x, deep, element=i8(0.2)))))
    assert areas_of(block) is None


@given(st.integers(1, 9), st.integers(1, 30), st.integers(1, 30), st.integers(1, 3000))
def test_crops_lie_inside_and_every_sample_has_as_many(count: int, height: int, width: int, wanted: int) -> None:
    places = Places.spread((count, height, width, 3), wanted)
    sides = min(height, block_crops.SIDE), min(width, block_crops.SIDE)
    assert places.row.min() >= 0
    assert places.row.max() <= height - sides[0]
    assert places.column.min() >= 0
    assert places.column.max() <= width - sides[1]
    of_samples = np.bincount(places.sample, minlength=count)
    assert of_samples.max() - of_samples.min() <= 1
    assert len(set(zip(places.sample, places.row, places.column, strict=True))) == len(places.sample)


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


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.sampled_from([(1, 1, 1), (1, 3, 2), (4, 1, 1), (4, 1, 2), (2, 3, 1), (2, 2, 2)]),
)
@settings(max_examples=60, deadline=None)
def test_the_derivatives_of_a_convolution(
    seed: int,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    channels: tuple[int, int, int],
) -> None:
    """It is linear in its input and in its weights: a derivative is the transpose."""
    groups, depth, per_group = channels
    draw = np.random.default_rng(seed).normal
    contraction = Contraction(kernel, strides, dilations, groups)
    x = draw(size=(2, 7, 8, groups * depth))
    weights_ = draw(size=(groups * per_group, *kernel, depth))
    result = contraction.result(x, weights_)
    by_result = draw(size=result.shape)
    total = float((by_result * result).sum())
    assert float((contraction.by_weights(x, by_result) * weights_).sum()) == pytest.approx(total)
    assert float((contraction.by_input(by_result, weights_, x.shape) * x).sum()) == pytest.approx(total)


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


def test_codes_are_neighbours_of_those_found_layer_by_layer_and_no_error_grows(monkeypatch: pytest.MonkeyPatch) -> None:
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
    (samples, constants), (_, found, start) = seen[0], errors
    assert bool(constants) == (found < start)
    for state in samples.layers:
        if not constants:
            continue
        codes = constants[state.op.weight.name].value.array.astype(int)
        assert codes.min() >= LIMITS[0]
        assert codes.max() <= LIMITS[1]
        assert np.abs(codes - state.codes).max() <= 1


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

    def divergence(method: str) -> float:
        passes = f"symmetrize,assign-scales,fold-rounding-error,round-weights{{method={method}}}"
        found = mrqc.requantize(original, "pow2-npu", CalibrationSamples.of(seen, original), passes=passes)
        return float(kl_divergences(logits(original), logits(found)).mean())

    assert divergence("block") <= divergence("adaptive")
