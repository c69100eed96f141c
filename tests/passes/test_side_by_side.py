"""Student and teacher run layer by layer: what is seen, what is held, and what a change does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from networks import Network, i8, residual_network, u8, weights

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.ir import FLOAT, DType, Module
from mrqc.ops import nn
from mrqc.passes.requantize import side_by_side
from mrqc.passes.requantize.correct_biases import bias_shift
from mrqc.passes.requantize.form import float_constant, layers_of
from mrqc.passes.requantize.side_by_side import LayerSamples, change_layers
from mrqc.testing import Scheme, nn_modules

START = "symmetrize,assign-scales,correct-weights,fold-rounding-error,clip-weights"


def student_and_teacher(source: Module, count: int = 11) -> tuple[Module, Teacher]:
    samples = CalibrationSamples.synthetic(source, count, seed=3)
    return mrqc.requantize(source, "pow2-npu", samples, passes=START), Teacher(source, samples)


def trace(module: Module, teacher: Teacher) -> Mapping[str, np.ndarray]:
    batches = list(teacher.samples.batches_for(module))
    inputs = {value.name: np.concatenate([batch[value.name] for batch in batches]) for value in module.graph.inputs}
    return ReferenceProgram(module).trace(inputs)


@given(nn_modules(scheme=Scheme(DType.U8)))
@settings(max_examples=30)
def test_layers_see_what_both_programs_compute(source: Module) -> None:
    student, teacher = student_and_teacher(source)
    expected, original = trace(student, teacher), trace(source, teacher)
    seen: list[str] = []

    def look(samples: LayerSamples) -> Mapping[str, nn.Constant]:
        name = samples.layer.name
        seen.append(name)
        assert np.array_equal(samples.input, expected[samples.layer.op.input.name])
        assert samples.original is not None
        assert samples.original_output is not None
        assert samples.original_input is not None
        assert np.array_equal(samples.original_output, original[name])
        assert np.array_equal(samples.original_input, original[samples.original.op.operands[0].name])
        return {}

    assert change_layers(student, teacher, "looking", look) == student
    # What depends on no input is known beforehand and needs no samples.
    known = {value.name for value in ReferenceProgram(student).known}
    assert seen == [layer.name for layer in layers_of(student) if layer.name not in known]


@given(nn_modules(scheme=Scheme(DType.I8, per_axis=True), layers=(nn.Conv2D, nn.FullyConnected, nn.Add)))
@settings(max_examples=20)
def test_later_layers_see_the_changes_of_earlier_ones(source: Module) -> None:
    """Each bias is moved by a part of a code; every layer's input is then that of the finished module."""
    student, teacher = student_and_teacher(source)
    inputs: dict[str, np.ndarray] = {}
    sums: dict[str, np.ndarray] = {}

    def move(samples: LayerSamples) -> Mapping[str, nn.Constant]:
        layer = samples.layer
        inputs[layer.op.input.name] = samples.input
        sums[layer.name] = samples.sums().copy()
        assert layer.bias is not None
        return {layer.bias.result.name: float_constant(layer.real_bias() + 0.3 * layer.output_scale)}

    moved = change_layers(student, teacher, "moving", move)
    expected = trace(moved, teacher)
    for name, codes in inputs.items():
        # Sums are kept in single precision, which decides now and then where a number lies on a border.
        assert np.mean(codes != expected[name]) <= 0.02, name
    for layer in layers_of(moved):
        if layer.name in sums:
            low, high = layer.op.element.real_range
            # A clamp may lie beyond the codes as a whole; the nearest code is all that is left then.
            low, high = max(low, min(layer.op.clamp[0], high)), min(high, max(layer.op.clamp[1], low))
            real = np.clip(sums[layer.name] + 0.3 * layer.output_scale, low, high)
            found = layer.op.element.quantization.dequantize(expected[layer.name])
            assert np.mean(np.abs(real - found) > 0.51 * layer.output_scale) <= 0.02


def test_the_size_of_a_slice_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = residual_network()

    def corrected() -> str:
        samples = CalibrationSamples.synthetic(source, 13)
        return str(mrqc.requantize(source, "pow2-npu", samples, passes=f"{START},round-weights,correct-biases"))

    expected = corrected()
    for size in (1, 3, 100):
        monkeypatch.setattr(side_by_side, "SLICE", size)
        assert corrected() == expected


def test_what_nothing_needs_any_more_is_given_up() -> None:
    """Along a chain each program holds what goes into a layer and what comes out of it, however long the chain."""
    net = Network()
    value = net.input((1, 4, 4, 8), 0.02, 128)
    for index in range(12):
        codes = weights((8, 1, 1, 8), index, low=-60, high=60)
        value = net.conv(value, codes, i8(0.005), u8(0.03, 128), name=f"layer{index}")
    student, teacher = student_and_teacher(net.finish(value))
    held: list[int] = []
    walk_type = side_by_side._Walk
    release = walk_type.release

    def counting(self: side_by_side._Walk, index: int) -> None:
        release(self, index)
        held.append(len(self.student.values) + len(self.original.values))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_type, "release", counting)
        change_layers(student, teacher, "counting", lambda _: {})
    assert len(held) >= 12
    assert max(held) <= 4
    assert held[-1] == 0


def test_progress_ends_where_it_should() -> None:
    seen: list[tuple[str, int, int]] = []
    source = residual_network()
    student, _ = student_and_teacher(source, 2)
    teacher = Teacher(source, CalibrationSamples.synthetic(source, 2), progress=lambda *step: seen.append(step))
    change_layers(student, teacher, "walking", lambda _: {})
    done = [step for description, step, _ in seen if description == "walking"]
    assert done == sorted(done)
    assert seen[-1] == ("walking", len(student.graph.statements), len(student.graph.statements))


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-3.0, 3.0), (-1e9, 1e9)])
def test_the_shift_of_a_bias_makes_means_equal(limits: tuple[float, float]) -> None:
    generator = np.random.default_rng(0)
    sums = generator.normal(1.0, 2.0, (4000, 6)).astype(np.float32)
    wanted = np.clip(sums + np.linspace(-0.8, 0.8, 6), *limits).mean(axis=0)
    shift = bias_shift(sums, wanted, limits)
    assert shift == pytest.approx(np.linspace(-0.8, 0.8, 6), abs=0.02)


def test_a_channel_that_the_clamp_hides_is_left_alone() -> None:
    sums = np.full((1000, 2), -50.0, np.float32)
    sums[:, 1] = 1.0
    assert bias_shift(sums, np.array([2.0, 2.0]), (0.0, 6.0)) == pytest.approx([0.0, 1.0], abs=1e-5)


def test_biases_corrected_on_their_own_samples_keep_every_mean() -> None:
    """The first layer's input is the same in both, so that its mean must be the original's to a fraction of a code."""
    source = residual_network(2)
    samples = CalibrationSamples.synthetic(source, 40, seed=3)
    names = [layer.name for layer in layers_of(source)][:1]
    moved = mrqc.requantize(source, "sym-npu", samples, passes=f"{START},round-weights,correct-biases")
    teacher = Teacher(source, samples)
    before, after = trace(source, teacher), trace(moved, teacher)
    types = [{value.name: value.type for value in module.graph.values()} for module in (source, moved)]
    for name in names:
        first, second = (
            type_[name].element.quantization.dequantize(codes[name]).reshape(-1, codes[name].shape[-1]).mean(axis=0)
            for type_, codes in zip(types, (before, after), strict=True)
        )
        assert types[1][name].element != FLOAT
        assert np.abs(first - second).max() <= 0.1 * types[1][name].element.quantization.scale
