"""Staying on the original's grid: what rounding adds to a difference, and which results of layers gain by it."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, i8, u8, weights

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.ir import DType, Element, Module, Quantization
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.assign_scales import AssignScales
from mrqc.passes.requantize.form import scale_of
from mrqc.passes.requantize.repeated_rounding import RepeatedRounding, added_by_rounding
from mrqc.passes.requantize.symmetrize import Symmetrize
from mrqc.targets import Target, load_target
from mrqc.testing import Scheme, nn_modules

TARGET = load_target("pow2-npu")


@given(st.floats(0.0, 2.0))
def test_what_rounding_adds_is_that_of_numbers_that_are_rounded(difference: float) -> None:
    # Every place between two codes, and every quantile of the difference.
    places = (np.arange(1000) + 0.5) / 1000
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]) * difference
    rounded = np.floor(places[:, None] + quantiles + 0.5) - np.floor(places[:, None] + 0.5)
    added = float((rounded**2).mean() - (quantiles**2).mean())
    assert added_by_rounding(difference) == pytest.approx(added, abs=2e-3)


def test_equal_numbers_are_rounded_alike_and_distant_ones_independently() -> None:
    assert added_by_rounding(0.0) == 0.0
    assert added_by_rounding(3.0) == pytest.approx(2 / 12)


def network(weight: Element, *, spread: int = 110, result: float = 0.07) -> Module:
    """Two layers; the scales of the first one, whose other channels use few codes, are not a power of two apart."""
    net = Network()
    x = net.input((1, 8, 8, 4), 2.0**-6, 128)
    codes = weights((6, 3, 3, 4), 1, low=-spread, high=spread)
    codes[0] = weights((3, 3, 4), 3)
    a = net.conv(x, codes, weight, u8(result), clamp=(0.0, math.inf), padding=(1, 1, 1, 1), name="a")
    b = net.conv(a, weights((5, 1, 1, 6), 2), i8(0.0071), u8(0.2, 128), name="b")
    return net.finish(b)


def smooth_samples(module: Module, count: int = 24) -> CalibrationSamples:
    """Pictures whose pixels resemble their neighbours, so that errors of weights can make up for each other."""
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 256, (count, 2, 2, 1))
    tint = generator.uniform(-6, 6, (count, 1, 1, 4))
    along = np.linspace(0, 1, 8)
    ramp = np.stack([1 - along, along])
    pictures = np.einsum("ncdt,ch,dw->nhwt", corners, ramp, ramp) + tint
    return CalibrationSamples.of(np.clip(np.rint(pictures), 0, 255).astype(np.uint8), module)


def assigned(
    module: Module, samples: CalibrationSamples | None, target: Target = TARGET, repeat: bool = True
) -> Module:
    start = Symmetrize(target)(module)
    return AssignScales(target, repeat=repeat).run(start, Teacher(module, samples))


def layers(module: Module) -> list[str]:
    """The names of the results of convolutions."""
    return [s.result.name for s in module.graph.statements if s.op.mnemonic in ("nn.conv2d", "nn.depthwise_conv2d")]


def scale(module: Module, index: int = 0) -> float:
    """The scale of the result of a convolution."""
    name = layers(module)[index]
    return next(scale_of(value.type.element) for value in module.graph.values() if value.name == name)


PER_CHANNEL = Element(DType.I8, Quantization.per_axis([0.0113 * 1.17**k for k in range(6)], [0] * 6, 0))
"""Weights that are on no grid any more once the layer has one scale: nothing is lost by any other one."""


def test_a_result_stays_on_its_grid_and_repeats_the_rounding() -> None:
    module = network(PER_CHANNEL)
    samples = smooth_samples(module)
    assert scale(assigned(module, samples)) == scale(module)
    assert scale(assigned(module, samples, repeat=False)) != scale(module)
    different = {repeat: share_of_other_codes(module, samples, repeat) for repeat in (True, False)}
    assert different[True] < 0.1
    assert different[True] < 0.5 * different[False]


def share_of_other_codes(module: Module, samples: CalibrationSamples, repeat: bool) -> float:
    """How many results of the first layer are not the original's, once they are rounded to its codes."""
    name = layers(module)[0]
    passes = (
        f"symmetrize,assign-scales{{repeat={str(repeat).lower()}}},correct-weights,merge-channels,fold-rounding-error,"
        "clip-weights,round-weights{method=closed-form}"
    )
    result = mrqc.requantize(module, TARGET, samples, passes=passes)
    found: list[np.ndarray] = []
    for one in (module, result):
        inputs = {
            value.name: np.concatenate([batch[value.name] for batch in samples.batches_for(one)])
            for value in one.graph.inputs
        }
        element = next(value.type.element for value in one.graph.values() if value.name == name)
        assert element.quantization is not None
        real = element.quantization.dequantize(ReferenceProgram(one).trace(inputs)[name])
        found.append(np.rint(real / scale(module)))
    return float((found[0] != found[1]).mean())


def test_weights_that_would_be_ruined_by_another_grid_keep_theirs() -> None:
    # A handful of codes in all channels but one, which needs the range: any other grid rounds most weights anew.
    module = network(i8(0.0113), spread=3, result=0.003)
    samples = smooth_samples(module)
    assert scale(assigned(module, samples)) == scale(assigned(module, samples, repeat=False)) != scale(module)


def test_differences_that_are_large_are_not_looked_at() -> None:
    """Deep inside a network no rounding is repeated."""
    net = Network()
    x = net.input((1, 8, 8, 4), 2.0**-6, 128)
    for index in range(8):
        name = f"layer{index}"
        x = net.conv(x, weights((4, 1, 1, 4), index), i8(0.009), u8(0.021, 128), name=name)
    module = net.finish(x)
    samples = smooth_samples(module)
    search = RepeatedRounding(Teacher(module, samples), TARGET)
    start = assigned(module, samples, repeat=False)
    kept: list[str] = []
    while (name := search.next(start, kept)) is not None:
        kept.append(name)
    assert kept == layers(module)[: len(kept)]
    assert 1 <= len(kept) <= 3


@pytest.mark.parametrize("case", ["synthetic noise", "scaled channels", "no samples"])
def test_nothing_is_kept_where_nothing_is_known(case: str) -> None:
    module = network(PER_CHANNEL)
    teacher = Teacher(module, None if case == "synthetic noise" else smooth_samples(module))
    start = Symmetrize(TARGET)(module)
    if case == "scaled channels":
        teacher.scaled[layers(module)[0]] = np.full(6, 2.0)
    found = AssignScales(TARGET, samples=case != "no samples").run(start, teacher)
    assert found == AssignScales(TARGET, samples=case != "no samples", repeat=False).run(start, teacher)


def test_codes_that_the_target_has_not_are_not_kept() -> None:
    # 20 bits of bias have no room for a zero point, and 255 codes above zero do not fit into signed bytes.
    module = network(PER_CHANNEL)
    target = load_target("esp32-s3")
    samples = smooth_samples(module)
    assert scale(assigned(module, samples, target)) != scale(module)


@given(nn_modules(scheme=Scheme(DType.U8)))
@settings(max_examples=20)
def test_results_are_kept_one_after_the_other_and_always_the_same_ones(module: Module) -> None:
    samples = CalibrationSamples.of(random_inputs(module, 8), module)
    found = assigned(module, samples)
    assert found == assigned(module, samples)
    start = assigned(module, samples, repeat=False)
    search = RepeatedRounding(Teacher(module, samples), TARGET)
    kept: list[str] = []
    while (name := search.next(start, kept)) is not None:
        assert name not in kept, "a name that comes again would never end"
        kept.append(name)
    order = {statement.result.name: index for index, statement in enumerate(start.graph.statements)}
    assert sorted(kept, key=order.__getitem__) == kept
    if not kept:
        assert found == start


def test_keyword_spotting_repeats_the_rounding_of_its_first_layers(assets: Path) -> None:
    module = mrqc.load(assets / "models" / "kws_dscnn_s8.tflite")
    samples = CalibrationSamples.open(assets / "data" / "kws" / "calib.npz", module, limit=50)
    start = Symmetrize(TARGET)(module)
    teacher = Teacher(module, samples)
    kept = AssignScales(TARGET).run(start, teacher)
    free = AssignScales(TARGET, repeat=False).run(start, teacher)
    for index in (0, 1):
        assert scale(kept, index) == scale(module, index) != scale(free, index)


def test_layers_in_front_of_scaled_channels_are_kept_and_none_from_there_on(assets: Path) -> None:
    module = mrqc.load(assets / "models" / "kws_dscnn_s8.tflite")
    samples = CalibrationSamples.open(assets / "data" / "kws" / "calib.npz", module, limit=50)
    start = assigned(module, samples, repeat=False)

    def kept(*scaled: str) -> list[str]:
        teacher = Teacher(module, samples)
        teacher.scaled.update(dict.fromkeys(scaled, np.full(64, 2.0)))
        search, found = RepeatedRounding(teacher, TARGET), list[str]()
        while (name := search.next(start, found)) is not None:
            found.append(name)
        return found

    names = layers(module)
    assert kept()[:2] == names[:2]
    assert kept(names[1]) == names[:1]
    assert kept(names[0]) == []
