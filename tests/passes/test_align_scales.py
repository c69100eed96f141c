"""``align-scales``: other labels, the same codes, and ratios that are exact in the files that are written."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network, u8, weights
from shift_ratios import is_power_of_two, onnx_ratios, tflite_ratios

import mrqc
from mrqc.backends.simulator import Program
from mrqc.errors import TargetError
from mrqc.ir import DType, Module, verify
from mrqc.ops import nn
from mrqc.passes import AlignScales, Pass, Requantize
from mrqc.passes.requantize.short_labels import shortened
from mrqc.targets import BUILTIN_TARGETS, Target, load_target
from mrqc.testing import NN_LAYERS, Scheme, nn_modules, random_inputs

SHIFTING = {
    name: target
    for name in BUILTIN_TARGETS
    if not (target := load_target(name)).is_runtime and target.requantize.only_shifts
}
SHORT = {name: target for name, target in SHIFTING.items() if not target.activation.only_powers_of_two}
SCHEMES = (Scheme(DType.U8), Scheme(DType.I8), Scheme(DType.I8, per_axis=True), Scheme(DType.I16, symmetric=True))
MOVES = (nn.Sub, nn.Concat, nn.Pad, nn.Slice, nn.Mean, nn.Sum, nn.TransposeConv2D, nn.Maximum, nn.ArgMax)
FUNCTIONS = (nn.Sigmoid, nn.Mul, nn.LeakyRelu, nn.HardSwish)
LOWERING = "canonicalize,lower-to-int,canonicalize"


def modules(*more: type) -> st.SearchStrategy[Module]:
    return st.sampled_from(SCHEMES).flatmap(lambda scheme: nn_modules(layers=(*NN_LAYERS, *more), scheme=scheme))


def passes_until_labels(target: Target) -> tuple[list[Pass], AlignScales]:
    *before, last = Requantize(target, "fast").passes
    assert isinstance(last, AlignScales)
    return before, last


def before_and_after(module: Module, target: Target) -> tuple[Module, Module] | None:
    """A module in front of the pass and behind it; None where the target cannot run the module."""
    passes, align = passes_until_labels(target)
    try:
        for pass_ in passes:
            module = pass_(module)
        mrqc.run_passes(module, LOWERING, target)
    except TargetError:
        return None
    return module, align(module)


@pytest.mark.parametrize("name", SHIFTING)
@given(data=st.data())
@settings(max_examples=25)
def test_no_code_changes(name: str, data: st.DataObject) -> None:
    target = SHIFTING[name]
    found = before_and_after(data.draw(modules(*MOVES, *FUNCTIONS)), target)
    if found is None:
        return
    assert verify(found[1]) == []
    before, after = (Program(mrqc.run_passes(module, LOWERING, target)) for module in found)
    inputs = random_inputs(found[0], 4)
    expected, computed = before.run(inputs), after.run(inputs)
    assert expected.keys() == computed.keys()
    for key, codes in expected.items():
        np.testing.assert_array_equal(codes, computed[key])


def test_the_files_of_generated_models_have_exact_ratios() -> None:
    compared: Counter[str] = Counter()

    @given(module=modules(*MOVES), name=st.sampled_from(sorted(SHORT)))
    @settings(max_examples=120, phases=[Phase.reuse, Phase.generate])
    def check(module: Module, name: str) -> None:
        found = before_and_after(module, SHORT[name])
        # A conversion at the edge runs on the host, which has multipliers.
        if found is None or any(isinstance(statement.op, nn.Quantize) for statement in found[1].graph.statements):
            return
        for form, emit, ratios in FORMATS:
            try:
                content = emit(found[1])
            except TargetError:
                continue
            # An input that is relabelled has a scale to which no other is a ratio that single precision has.
            entries = {f"MUL {value.name}_label" for value in found[1].graph.inputs}
            inexact = [each for each in ratios(content) if not is_power_of_two(each[1]) and each[0] not in entries]
            assert not inexact, (name, form, inexact, str(found[1]))
            compared[form] += 1

    check()
    assert min(compared["onnx"], compared["tflite"]) > 30, compared


FORMATS = (("tflite", mrqc.emit_tflite, tflite_ratios), ("onnx", mrqc.emit_onnx, onnx_ratios))


@pytest.mark.parametrize("name", SHORT)
def test_a_network_with_every_structure_has_exact_ratios(name: str) -> None:
    module = mrqc.requantize(residual_network(), name, recipe="fast")
    for _, emit, ratios in FORMATS:
        found = list(ratios(emit(module)))
        assert len(found) > 10
        assert all(is_power_of_two(ratio) for _, ratio in found), found


@pytest.mark.assets
@pytest.mark.parametrize("model", ["resnet8_s8", "kws_dscnn_s8", "mobilenet_v2_qat_u8", "vww_mobilenet_s8"])
def test_real_models_have_exact_ratios_and_the_same_codes(assets: Path, model: str) -> None:
    source, target = mrqc.load(assets / "models" / f"{model}.tflite"), load_target("pow2-npu")
    found = before_and_after(source, target)
    assert found is not None
    for _, emit, ratios in FORMATS:
        assert all(is_power_of_two(ratio) for _, ratio in ratios(emit(found[1])))
    before, after = (Program(mrqc.run_passes(module, LOWERING, target)) for module in found)
    inputs = random_inputs(found[0], 2)
    for name, codes in before.run(inputs).items():
        np.testing.assert_array_equal(codes, after.run(inputs)[name])


@given(scale=st.floats(1e-4, 10.0), zero_point=st.integers(0, 255), out=st.floats(1e-4, 10.0))
@settings(max_examples=40)
def test_inputs_and_outputs_keep_their_scales_to_twelve_bits(scale: float, zero_point: int, out: float) -> None:
    net = Network()
    x = net.input((1, 4, 4, 3), scale, zero_point)
    hidden = net.conv(x, weights((4, 1, 1, 3), 1) + 128, u8(0.01, 128), u8(3 * scale, 120), name="first")
    last = net.conv(hidden, weights((2, 1, 1, 4), 2) + 128, u8(0.01 * out / scale, 128), u8(9 * out, 99), name="last")
    found = before_and_after(net.finish(last), SHORT["pow2-npu"])
    assert found is not None
    before, after = found
    pairs = [
        (before.graph.inputs[0], after.graph.inputs[0]),
        (before.graph.outputs[0].value, after.graph.outputs[0].value),
    ]
    for old, new in pairs:
        assert old.type.quantization is not None
        assert new.type.quantization is not None
        assert new.type.quantization.scale == pytest.approx(old.type.quantization.scale, rel=2.0**-12)
        assert new.type.quantization.zero_point == old.type.quantization.zero_point


def test_a_clamp_stays_the_codes_that_it_is() -> None:
    """ReLU6 whose top is not the last code, in front of a layer: at its label the top is not 6."""
    net = Network()
    x = net.input((1, 4, 4, 3), 0.02, 0, DType.I8)
    relu = net.conv(
        x, weights((4, 3, 3, 3), 1), i8(0.01), i8(0.05), clamp=(0.0, 6.0), padding=(1, 1, 1, 1), name="relu"
    )
    last = net.conv(relu, weights((2, 1, 1, 4), 2), i8(0.01), i8(0.3), name="last")
    target = SHORT["pow2-npu"]
    found = before_and_after(net.finish(last), target)
    assert found is not None
    limits = [
        [
            op.requantize
            for s in mrqc.run_passes(module, LOWERING, target).graph.statements
            if hasattr(op := s.op, "requantize")
        ]
        for module in found
    ]
    assert [(each.minimum, each.maximum) for each in limits[0]] == [(each.minimum, each.maximum) for each in limits[1]]


def test_a_second_input_at_another_scale_and_an_output_in_the_middle_are_relabelled() -> None:
    net = Network()
    first, second = net.input((1, 4, 4, 3), 0.013, 0, DType.I8), net.input((1, 4, 4, 3), 0.017, 0, DType.I8, name="z")
    branches = [
        net.conv(x, weights((4, 1, 1, 3), seed), i8(0.01), i8(0.05), name=f"branch{seed}")
        for seed, x in enumerate((first, second))
    ]
    middle = net.emit(nn.Add(*branches, element=i8(0.09)), "sum")
    last = net.conv(middle, weights((2, 1, 1, 4), 2), i8(0.01), i8(0.3), name="last")
    found = before_and_after(net.finish(middle, last), SHORT["pow2-npu"])
    assert found is not None
    before, after = found
    for old, new in zip(before.graph.outputs, after.graph.outputs, strict=True):
        assert old.value.type.quantization is not None
        assert new.value.type.quantization is not None
        assert new.value.type.quantization.scale == pytest.approx(old.value.type.quantization.scale, rel=2.0**-12)
    assert sum(isinstance(statement.op, nn.Relabel) for statement in after.graph.statements) >= 1
    assert all(is_power_of_two(ratio) for _, ratio in onnx_ratios(mrqc.emit_onnx(after)))


def test_a_relabelling_inside_becomes_one_by_a_power_of_two() -> None:
    net = Network()
    x = net.input((1, 4, 4, 3), 0.013, 0, DType.I8)
    first = net.conv(x, weights((4, 1, 1, 3), 1), i8(0.01), i8(0.05), name="first")
    second = net.conv(net.emit(nn.Relabel(first, (1.37,))), weights((2, 1, 1, 4), 2), i8(0.01), i8(0.3), name="second")
    found = before_and_after(net.finish(second), SHORT["pow2-npu"])
    assert found is not None
    factors = [s.op.factors for s in found[1].graph.statements if isinstance(s.op, nn.Relabel)]
    assert len(factors) <= 1
    assert all(is_power_of_two(Fraction(factor)) for (factor,) in factors)
    assert all(is_power_of_two(ratio) for _, ratio in tflite_ratios(mrqc.emit_tflite(found[1])))
    before, after = (Program(mrqc.run_passes(module, LOWERING, SHORT["pow2-npu"])) for module in found)
    inputs = random_inputs(found[0], 4)
    np.testing.assert_array_equal(before.run(inputs)["y"], after.run(inputs)["y"])


def test_a_module_without_labels_to_choose_stays_as_it_is() -> None:
    module = residual_network()
    assert AlignScales(load_target("sym-npu"))(module) is module
    passes, align = passes_until_labels(SHORT["pow2-npu"])
    unrounded = passes[0](module)
    assert align(unrounded) is unrounded


@given(number=st.floats(1e-30, 1e30), bits=st.integers(1, 24))
def test_a_short_number_is_the_nearest(number: float, bits: int) -> None:
    short = shortened(number, bits)
    mantissa, _ = np.frexp(short)
    assert mantissa * 2.0**bits == int(mantissa * 2.0**bits)
    assert short == pytest.approx(number, rel=2.0**-bits)
