"""Channels with weights that would be cut off: they are scaled until these fit, and the other side takes it back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from networks import Network, u8, weights

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.errors import TargetError
from mrqc.ir import Element, Module
from mrqc.ops import nn
from mrqc.passes import CalibratedPass, RescaleOutliers, Symmetrize, parse_pipeline, run_pipeline
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.form import Edits, edited, layers_of
from mrqc.passes.requantize.scale_weights import CorrectWeights
from mrqc.targets import load_target
from mrqc.testing import nn_modules

TARGET = load_target("sym-npu")
CENTRE = 5
"""The channel whose kernel is next to nothing but its centre, which does not fit."""


def depthwise_network(scale: float = 0.02, *, bias: int = 0, front_bias: int = 3000, centre: int = 180) -> Module:
    """A layer, a depthwise one with a weight of 160 steps, beyond 127, in one channel, and a layer behind."""
    net = Network()
    x = net.input((1, 6, 6, 4), 2.0**-6, 128)
    a = net.conv(
        x,
        weights((8, 1, 1, 4), 1, low=-60, high=60) + 120,
        u8(0.01, 120),
        u8(6 / 255),
        clamp=(0.0, 6.0),
        bias=[front_bias] * 8,
        name="a",
    )
    codes = weights((8, 3, 3, 1), 2, low=-4, high=4) + 20
    codes[CENTRE, 1, 1, 0] = centre
    b = net.conv(
        a,
        codes,
        u8(scale, 20),
        u8(6 / 255),
        clamp=(0.0, 6.0),
        padding=(1, 1, 1, 1),
        groups=8,
        bias=[bias] * 8,
        name="b",
    )
    c = net.conv(b, weights((5, 1, 1, 8), 3, low=-50, high=50) + 128, u8(0.01, 128), u8(0.1, 128), name="c")
    return net.finish(c)


def samples_of(module: Module, count: int = 32) -> CalibrationSamples:
    return CalibrationSamples.of(random_inputs(module, count)["x"], module)


def before_and_after(module: Module, samples: CalibrationSamples | None) -> tuple[Module, Module, Teacher]:
    teacher = Teacher(module) if samples is None else Teacher(module, samples)
    before = CorrectWeights(TARGET)(Symmetrize(TARGET)(module))
    return before, RescaleOutliers(TARGET).run(before, teacher), teacher


def cut_off(module: Module) -> list[int]:
    """How many weights of each layer lie beyond the codes."""
    limit = TARGET.weight.maximum + 0.5 + 1e-3
    return [int((np.abs(layer.real_weights()) / layer.weight_scales[0] > limit).sum()) for layer in layers_of(module)]


def test_an_outlier_fits_once_its_channel_is_halved() -> None:
    module = depthwise_network()
    before, after, teacher = before_and_after(module, samples_of(module))
    assert cut_off(before) == [0, 1, 0]
    assert cut_off(after) == [0, 0, 0]
    ((name, factor),) = teacher.scaled.items()
    assert list(np.flatnonzero(factor != 1.0)) == [CENTRE]
    (a0, b0, c0), (a1, b1, c1) = list(layers_of(before)), list(layers_of(after))
    if name == b0.name:
        assert factor[CENTRE] == 0.5
        assert np.allclose(b1.real_weights(), b0.real_weights() * factor.reshape(-1, 1, 1, 1), rtol=1e-6)
        assert np.allclose(c1.real_weights() * factor, c0.real_weights(), rtol=1e-6)
        # What it was taken from stays, and what takes it back is on its grid.
        codes = c1.real_weights() / c1.weight_scales[0]
        assert np.abs(codes - np.rint(codes)).max() < 1e-3
        assert np.array_equal(a1.real_weights(), a0.real_weights())
    else:
        assert factor[CENTRE] == 2.0
        assert np.allclose(b1.real_weights() * factor.reshape(-1, 1, 1, 1), b0.real_weights(), rtol=1e-6)


def test_a_channel_at_its_clamp_stays() -> None:
    # The results of the depthwise layer and of the one in front saturate.
    module = depthwise_network(0.2, bias=4000, front_bias=60000)
    before, after, teacher = before_and_after(module, samples_of(module))
    assert cut_off(before) == cut_off(after) == [0, 1, 0]
    assert not teacher.scaled


def least_outlier(stretched: float) -> int:
    """The least code in the middle of a kernel for whose sake the channel is halved, if the result has other codes."""
    for centre in range(160, 256, 5):
        module = depthwise_network(0.004, front_bias=60000, centre=centre)
        teacher = Teacher(module, samples_of(module))
        before = CorrectWeights(TARGET)(Symmetrize(TARGET)(module))
        _, depthwise, _ = layers_of(before)
        assert depthwise.op.element.quantization is not None
        scale, zero_point = depthwise.output_scale * stretched, depthwise.op.element.quantization.zero_point
        other = Element.per_tensor(depthwise.op.element.dtype, scale, zero_point)
        RescaleOutliers(TARGET).run(edited(before, Edits({depthwise.name: other})), teacher)
        if depthwise.name in teacher.scaled:
            return centre
    raise AssertionError("no outlier is worth it")


def test_a_channel_that_repeats_the_original_rounding_is_halved_for_more() -> None:
    assert least_outlier(1.0) > least_outlier(1.001)


def test_nothing_is_done_without_samples_and_where_channels_have_their_own_scales() -> None:
    module = depthwise_network()
    before, after, teacher = before_and_after(module, None)
    assert cut_off(after) == cut_off(before)
    assert not teacher.scaled
    target = load_target("sym-npu-per-channel")
    teacher = Teacher(module, samples_of(module))
    form = CorrectWeights(target)(Symmetrize(target)(module))
    assert list(layers_of(RescaleOutliers(target).run(form, teacher))) == list(layers_of(form))


def test_results_come_closer_to_the_original() -> None:
    module = depthwise_network()
    samples = samples_of(module)
    inputs = random_inputs(module, 64)
    quantization = module.graph.outputs[0].value.type.quantization
    assert quantization is not None
    wanted = quantization.dequantize(ReferenceProgram(module).run(inputs)["y"])
    errors: list[float] = []
    for step in ("", "rescale-outliers,"):
        text = f"symmetrize{{io=original}},assign-scales,correct-weights,{step}round-weights,quantize-biases"
        passes = parse_pipeline(f"{text},absorb-zero-points,align-scales,lower-to-int", TARGET)
        lowered = run_pipeline(module, passes, samples=samples)
        found = quantization.dequantize(Program(lowered).run(inputs)["y"])
        errors.append(float(((found - wanted) ** 2).mean()))
    assert errors[1] < 0.5 * errors[0]


@given(nn_modules(layers=(nn.Conv2D, nn.FullyConnected, nn.Pad)))
def test_no_weight_is_cut_off_that_fitted_and_factors_are_powers_of_two(module: Module) -> None:
    samples = CalibrationSamples.synthetic(module, 4, seed=3)
    teacher = Teacher(module, samples)
    try:
        before = CorrectWeights(TARGET)(Symmetrize(TARGET)(module))
    except TargetError:
        return
    step = RescaleOutliers(TARGET)
    assert isinstance(step, CalibratedPass)
    after = step.run(before, teacher)
    assert all(new <= old for new, old in zip(cut_off(after), cut_off(before), strict=True))
    for factor in teacher.scaled.values():
        assert np.array_equal(np.exp2(np.rint(np.log2(factor))), factor)
