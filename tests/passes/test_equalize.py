"""Equalization over the reals: the function stays, only the weights share their ranges better."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, u8, weights
from numpy.typing import NDArray

from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.ir import DType, Element, Module, Quantization
from mrqc.passes import Equalize, Symmetrize
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.channel_pairs import ChannelPairs, columns, pair_factor, rows, triple_factors
from mrqc.passes.requantize.form import LayerForm, layers_of
from mrqc.passes.requantize.weights import WeightGrid
from mrqc.targets import Target, load_target


def uneven_network() -> Module:
    """Two layers; the channels between them have weights of very different sizes, each on a grid of its own."""
    net = Network()
    scales = [0.01, 0.0002, 0.0005, 0.003, 0.0002, 0.01]
    per_channel = Element(DType.I8, Quantization.per_axis(scales, [0] * 6, 0))
    x = net.input((1, 5, 5, 4), 2.0**-6, 128)
    y = net.conv(x, weights((6, 1, 1, 4), 1, low=-120, high=120), per_channel, u8(0.1, 128), name="a")
    y = net.conv(y, weights((3, 1, 1, 6), 2, low=-90, high=90) + 128, u8(0.01, 128), u8(0.1, 128), name="b")
    return net.finish(y)


def test_channels_move_and_results_stay() -> None:
    module = uneven_network()
    samples = CalibrationSamples.of(random_inputs(module, 16)["x"], module)
    target = load_target("sym-npu")
    teacher = Teacher(module, samples)
    before = Symmetrize(target)(module)
    after = Equalize(target).run(before, teacher)
    (name,) = teacher.scaled
    factor = teacher.scaled[name]
    assert factor.max() > 1.5
    (a0, b0), (a1, b1) = list(layers_of(before)), list(layers_of(after))
    assert np.allclose(a1.real_weights(), a0.real_weights() * factor.reshape(-1, 1, 1, 1), rtol=1e-6)
    assert np.allclose(b1.real_weights() * factor, b0.real_weights(), rtol=1e-6)
    assert np.allclose(a1.real_bias(), a0.real_bias() * factor, rtol=1e-6)


def depthwise_network() -> Module:
    """A depthwise layer between two others; only the first one's channels are uneven."""
    net = Network()
    uneven = Element(DType.I8, Quantization.per_axis([0.01, 0.0002, 0.0005, 0.003, 0.0002, 0.01], [0] * 6, 0))
    even = Element(DType.I8, Quantization.per_axis([0.01] * 6, [0] * 6, 0))
    x = net.input((1, 5, 5, 4), 2.0**-6, 128)
    y = net.conv(x, weights((6, 1, 1, 4), 1, low=-120, high=120), uneven, u8(0.1, 128), name="a")
    y = net.conv(y, weights((6, 3, 3, 1), 2, low=-120, high=120), even, u8(0.1, 128), groups=6, name="b")
    y = net.conv(y, weights((3, 1, 1, 6), 3, low=-90, high=90) + 128, u8(0.01, 128), u8(0.1, 128), name="c")
    return net.finish(y)


def test_results_stay_where_two_activations_are_scaled() -> None:
    module = depthwise_network()
    target = load_target("sym-npu")
    teacher = Teacher(module, CalibrationSamples.of(random_inputs(module, 16)["x"], module))
    before = Symmetrize(target)(module)
    after = Equalize(target).run(before, teacher)
    (a0, b0, c0), (a1, b1, c1) = list(layers_of(before)), list(layers_of(after))
    first, second = (teacher.scaled[layer.name] for layer in (a0, b0))
    assert np.allclose(a1.real_weights(), a0.real_weights() * first[:, None, None, None], rtol=1e-6)
    assert np.allclose(b1.real_weights(), b0.real_weights() * (second / first)[:, None, None, None], rtol=1e-6)
    assert np.allclose(c1.real_weights() * second, c0.real_weights(), rtol=1e-6)
    assert np.allclose(b1.real_bias(), b0.real_bias() * second, rtol=1e-6)


def shares(work: ChannelPairs, layer: LayerForm, *, of_inputs: bool) -> NDArray[np.float64]:
    """The part of its layer's range that each channel has."""
    real = work.weights[layer.name]
    return (columns(layer, real) if of_inputs else rows(real)) / np.abs(real).max()


def ratio(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """How shares compare, over the channels: what scaling one whole layer would change is left out."""
    found = some / others
    return found / found.max()


def test_factors_give_two_or_three_layers_the_same_shares() -> None:
    module, target = depthwise_network(), load_target("sym-npu")
    work = ChannelPairs(Symmetrize(target)(module), target)
    first, second = work.pairs()
    a, b, c = first.first, second.first, second.behind[0]
    work.scale(first, pair_factor(work, first))
    assert np.allclose(ratio(shares(work, a, of_inputs=False), shares(work, b, of_inputs=True)), 1.0, rtol=1e-6)
    factors = triple_factors(work, first, second)
    work.scale(first, factors[0])
    work.scale(second, factors[1])
    between = shares(work, b, of_inputs=True)
    assert np.allclose(ratio(shares(work, a, of_inputs=False), between), 1.0, rtol=1e-6)
    assert np.allclose(ratio(shares(work, c, of_inputs=True), between), 1.0, rtol=1e-6)


def errors_of(module: Module, target: Target) -> float:
    """The relative error of the channels of all layers, at the best of a few scales for each."""
    total = 0.0
    for layer in layers_of(module):
        real = layer.real_weights()
        scales = np.abs(real).max() / target.weight.maximum * np.array([1.0, 0.85, 0.7])
        total += WeightGrid.of_reals(real).relative_errors(scales, target.weight).mean(axis=0).min()
    return total


@given(seed=st.integers(0, 10_000), triples=st.booleans())
@settings(max_examples=10)
def test_weights_lose_no_more_than_before(seed: int, triples: bool) -> None:
    module, target = depthwise_network(), load_target("sym-npu")
    codes = np.random.default_rng(seed).integers(0, 256, (16, 5, 5, 4)).astype(np.uint8)
    before = Symmetrize(target)(module)
    after = Equalize(target, triples).run(before, Teacher(module, CalibrationSamples.of(codes, module)))
    assert errors_of(after, target) <= errors_of(before, target) * (1 + 1e-6)


def test_weights_on_their_own_grid_stay_there() -> None:
    net = Network()
    x = net.input((1, 5, 5, 4), 2.0**-6, 128)
    y = net.conv(x, weights((6, 1, 1, 4), 1, low=-100, high=100) + 128, u8(0.01, 128), u8(0.1, 128), name="a")
    y = net.conv(y, weights((3, 1, 1, 6), 2, low=-90, high=90) + 128, u8(0.01, 128), u8(0.1, 128), name="b")
    module, target = net.finish(y), load_target("sym-npu")
    teacher = Teacher(module)
    Equalize(target).run(Symmetrize(target)(module), teacher)
    assert not teacher.scaled


def test_nothing_moves_where_each_channel_has_its_own_scale() -> None:
    module = uneven_network()
    target = load_target("sym-npu-per-channel")
    before = Symmetrize(target)(module)
    teacher = Teacher(module)
    assert Equalize(target).run(before, teacher) is before
    assert not teacher.scaled
