"""Equalization over the reals: the function stays, only the weights share their ranges better."""

from __future__ import annotations

import numpy as np
from networks import Network, u8, weights

from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.ir import DType, Element, Module, Quantization
from mrqc.passes import Equalize, Symmetrize
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.form import layers_of
from mrqc.targets import load_target


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
