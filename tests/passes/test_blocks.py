"""Which parts of a graph are blocks, what crops of them are, and how they are walked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from block_networks import KINDS, SCALE, chain, conv, residual
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.ops import nn
from mrqc.passes.requantize import block_crops
from mrqc.passes.requantize.block_crops import Places, areas_of
from mrqc.passes.requantize.block_network import BlockNetwork, Parameters, kernel_shape
from mrqc.passes.requantize.blocks import blocks_of
from mrqc.passes.requantize.contraction_gradients import Contraction
from mrqc.passes.requantize.form import float_constant
from mrqc.passes.requantize.side_by_side import BlockSamples, LayerSamples, change_layers


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


def test_what_a_block_is_changed_to_is_seen_behind_it() -> None:
    """Each bias of the block is moved by a few codes; what the last layer sees is then that of the finished module."""
    source = residual_network()
    samples = CalibrationSamples.synthetic(source, 11, seed=3)
    passes = "symmetrize,assign-scales,fold-rounding-error,round-weights"
    student, teacher = mrqc.requantize(source, "pow2-npu", samples, passes=passes), Teacher(source, samples)
    seen: list[str] = []
    inputs: dict[str, np.ndarray] = {}

    def look(samples: LayerSamples) -> Mapping[str, nn.Constant]:
        inputs[samples.layer.name] = samples.input
        return {}

    def move(samples: BlockSamples) -> Mapping[str, nn.Constant]:
        seen.append(samples.block.output.name)
        constants = {}
        for state in samples.layers:
            assert state.form.bias is not None
            moved = float_constant(state.bias + 3 * state.form.output_scale)
            constants[state.form.bias.result.name] = moved
        return constants

    moved = change_layers(student, teacher, "moving", look, block_change=move)
    (batch,) = teacher.samples.batches_for(moved, 11)
    expected = ReferenceProgram(moved).trace(batch)
    assert len(seen) == 1
    inside = {layer.result.name for block in blocks_of(student) for layer in block.layers}
    assert inputs.keys() > inside
    for name in inputs.keys() - inside:
        layer = next(statement for statement in moved.graph.statements if statement.result.name == name)
        assert np.array_equal(inputs[name], expected[layer.op.operands[0].name])
