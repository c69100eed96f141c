"""Zero points on symmetric hardware: what biases absorb, and what additions, means and pads make of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, i8, residual_network, u8, weights

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples
from mrqc.errors import TargetError
from mrqc.ir import DType, Module, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.passes import AbsorbZeroPoints, LowerToInt, Pass, Requantize, format_pass
from mrqc.passes.bit_check import random_inputs
from mrqc.targets import BUILTIN_TARGETS, Target, load_target
from mrqc.testing import Scheme, nn_modules

SYMMETRIC = {
    name: target
    for name in BUILTIN_TARGETS
    if not (target := load_target(name)).is_runtime and target.activation.symmetric
}
ONLY_CODES = (*(nn.Conv2D,) * 4, nn.FullyConnected, nn.MaxPool2D, nn.Clip, nn.Reshape, nn.Pad, nn.Slice)
"""Ops that have no share in another rounding: what biases absorb there changes no code."""


def until_absorbed(module: Module, target: Target) -> tuple[Pass, Module]:
    """The pass, and the module that it is given."""
    samples = CalibrationSamples.synthetic(module, 2)
    passes = Requantize(target, "fast").passes
    last = next(index for index, pass_ in enumerate(passes) if isinstance(pass_, AbsorbZeroPoints))
    text = ",".join(map(format_pass, passes[:last]))
    return passes[last], mrqc.requantize(module, target, samples, passes=text)


def inner_zero_points(module: Module) -> dict[str, tuple[int, ...]]:
    """The zero points of all but what only the host sees."""
    graph = module.graph
    edges: set[Value] = {*graph.inputs, *graph.output_values}
    edges |= {value for s in graph.statements if isinstance(s.op, nn.Quantize) for value in (s.op.input, s.result)}
    return {
        value.name: value.type.quantization.zero_points
        for value in graph.values()
        if value not in edges and value.type.quantization is not None and any(value.type.quantization.zero_points)
    }


@given(nn_modules(layers=ONLY_CODES, scheme=Scheme(DType.U8)), st.sampled_from(("pow2-npu", "pow2-npu-per-channel")))
@settings(max_examples=40)
def test_with_shifts_no_code_changes(module: Module, name: str) -> None:
    """On the same hardware, but for one that knows zero points: half up is half up wherever zero lies."""
    content = SYMMETRIC[name].model_dump()
    knowing = Target.model_validate({**content, "activation": {**content["activation"], "symmetric": False}})
    absorb, before = until_absorbed(module, SYMMETRIC[name])
    inputs = random_inputs(before, 4)
    expected = Program(LowerToInt(knowing)(before)).run(inputs)
    found = Program(LowerToInt(SYMMETRIC[name])(absorb(before))).run(inputs)
    for output in module.graph.outputs:
        difference = np.abs(expected[output.name].astype(np.int64) - found[output.name].astype(np.int64))
        assert difference.max(initial=0) == 0


@given(nn_modules(scheme=Scheme(DType.U8)), st.sampled_from(sorted(SYMMETRIC)))
@settings(max_examples=60)
def test_hardware_sees_no_zero_point(module: Module, name: str) -> None:
    try:
        absorb, before = until_absorbed(module, SYMMETRIC[name])
        after = absorb(before)
    except TargetError:
        return
    assert inner_zero_points(after) == {}
    for old, new in zip((*before.graph.inputs,), after.graph.inputs, strict=True):
        assert old.type == new.type
    assert [o.value.type for o in before.graph.outputs] == [o.value.type for o in after.graph.outputs]


def test_a_residual_network_keeps_zero_points_until_then() -> None:
    """So that the test above can fail."""
    absorb, before = until_absorbed(residual_network(), SYMMETRIC["pow2-npu"])
    assert len(inner_zero_points(before)) >= 4
    assert inner_zero_points(absorb(before)) == {}


Combine = Callable[[Value, Value], Any]

ADDITIONS: dict[str, Combine] = {
    "add": lambda a, b: nn.Add(a, b, element=u8(0.03, 120)),
    "add, other way round": lambda a, b: nn.Add(b, a, element=u8(0.03, 120)),
    "subtract": lambda a, b: nn.Sub(a, b, element=u8(0.03, 130)),
    "subtract, other way round": lambda a, b: nn.Sub(b, a, element=u8(0.03, 130)),
    "add, with a ReLU": lambda a, b: nn.Add(a, b, element=u8(0.02, 0)),
    "add, with a clamp": lambda a, b: nn.Add(a, b, clamp=(-0.5, 2.0), element=u8(0.03, 90)),
}


def branches(seed: int) -> tuple[Network, Value, Value]:
    """A ReLU and a layer without, of one input."""
    net = Network()
    x = net.input((1, 4, 4, 4), 0.02, 100)
    first = net.conv(x, weights((4, 1, 1, 4), seed), i8(0.004), u8(0.011, 0), name="first")
    second = net.conv(x, weights((4, 1, 1, 4), seed + 1), i8(0.004), u8(0.022, 150), name="second")
    return net, first, second


@pytest.mark.parametrize("name", ["sym-npu", "pow2-npu"])
@pytest.mark.parametrize("combine", ADDITIONS)
@pytest.mark.parametrize("seed", [3, 14])
def test_an_addition_is_balanced_to_a_code_of_its_operands(name: str, combine: str, seed: int) -> None:
    net, first, second = branches(seed)
    module = net.finish(net.emit(ADDITIONS[combine](first, second), "sum"))
    absorb, before = until_absorbed(module, SYMMETRIC[name])
    assert len(inner_zero_points(before)) >= 2
    after = absorb(before)
    inputs = random_inputs(before, 16)
    expected, found = ReferenceProgram(before).run(inputs)["y"], ReferenceProgram(after).run(inputs)["y"]
    # The operand that balances is rounded to its own codes, which may be coarser than those of the sum.
    (addition,) = [s for s in before.graph.statements if isinstance(s.op, nn.Add | nn.Sub)]
    coarsest = max(value.type.quantization.scale for value in addition.op.operands)
    bound = 1 + math.ceil(coarsest / addition.result.type.quantization.scale)
    assert np.abs(expected.astype(np.int64) - found.astype(np.int64)).max() <= bound


def largest_error(module: Module, name: str) -> float:
    """Of the real outputs of the lowered module, in old codes; weights on their own grid cost nothing on sym-npu."""
    result = mrqc.lower(module, name, passes=WITHOUT_SAMPLES)
    inputs = random_inputs(module, 16)
    real = {value.name: value.type.quantization.dequantize(inputs[value.name]) for value in module.graph.inputs}
    expected, found = ReferenceProgram(module).run(inputs), Program(result).run(real)
    errors = [
        np.abs(
            old.value.type.quantization.dequantize(expected[old.name])
            - new.value.type.quantization.dequantize(found[new.name])
        ).max()
        / old.value.type.quantization.scale
        for old, new in zip(module.graph.outputs, result.graph.outputs, strict=True)
    ]
    return float(max(errors))


WITHOUT_SAMPLES = (
    "symmetrize,assign-scales,correct-weights,fold-rounding-error,round-weights,quantize-biases,absorb-zero-points,"
    "canonicalize,lower-to-int,legalize"
)


@pytest.mark.parametrize("name", ["sym-npu", "sym-npu-unsigned", "sym-npu-restricted"])
@pytest.mark.parametrize("combine", ADDITIONS)
def test_sums_keep_their_values_whatever_the_storage(name: str, combine: str) -> None:
    """With unsigned storage a ReLU has no offset to balance with."""
    net, first, second = branches(5)
    module = net.finish(net.emit(ADDITIONS[combine](first, second), "sum"))
    assert largest_error(module, name) <= 4.0


@pytest.mark.parametrize("name", ["sym-npu", "sym-npu-unsigned"])
def test_an_operand_that_a_mean_uses_too_does_not_balance(name: str) -> None:
    net, first, second = branches(6)
    total = net.emit(nn.Add(first, second, element=u8(0.03, 120)), "sum")
    mean = net.emit(nn.Mean(second, (1, 2), False, u8(0.022, 150)), "mean")
    other = net.emit(nn.Mean(first, (1, 2), False, u8(0.011, 0)), "other")
    assert largest_error(net.finish(total, mean, other), name) <= 4.0


def test_an_operand_of_two_additions() -> None:
    net, first, second = branches(7)
    third = net.conv(net.builder.finish(()).inputs[0], weights((4, 1, 1, 4), 9), i8(0.004), u8(0.011, 0), name="third")
    sums = [
        net.emit(nn.Add(a, b, element=u8(0.03, 120)))
        for a, b in ((first, second), (second, third), (third, first), (first, first))
    ]
    assert largest_error(net.finish(*sums), "sym-npu") <= 4.0


def test_a_constant_operand_keeps_its_zero() -> None:
    net, first, _ = branches(8)
    constant = net.constant(np.arange(4).reshape(1, 1, 1, 4) * 60, u8(0.01, 20))
    total = net.emit(nn.Add(first, constant, element=u8(0.03, 20)), "sum")
    module = net.finish(total)
    assert largest_error(module, "sym-npu") <= 3.0


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_pad_in_front_of_a_convolution_pads_with_what_zero_is(kernel: int) -> None:
    """A padded convolution of a ReLU: the pad holds the code of zero, the convolution has no padding of its own."""
    net = Network()
    x = net.input((1, 5, 5, 2), 0.02, 128)
    hidden = net.conv(x, weights((4, 1, 1, 2), 1), i8(0.004), u8(0.008, 0), name="hidden")
    padding = (1, 0, 2, 1)
    y = net.conv(hidden, weights((3, kernel, kernel, 4), 2), i8(0.002), u8(0.02, 90), padding=padding, name="padded")
    module = net.finish(y)
    result = mrqc.lower(module, "sym-npu", passes=WITHOUT_SAMPLES)
    (pad,) = [s.op for s in result.graph.statements if isinstance(s.op, int_ops.Pad)]
    assert pad.code == -128
    assert all(not any(s.op.padding) for s in result.graph.statements if isinstance(s.op, int_ops.Conv2D))
    assert largest_error(module, "sym-npu") <= 2.0


def test_pads_and_centring_are_options() -> None:
    target = SYMMETRIC["sym-npu"]

    def pads_and_zero_points(options: str) -> tuple[bool, bool]:
        net = Network()
        x = net.input((1, 5, 5, 2), 0.02, 128)
        hidden = net.conv(x, weights((4, 1, 1, 2), 1), i8(0.004), u8(0.008, 0), name="hidden")
        y = net.conv(hidden, weights((3, 3, 3, 4), 2), i8(0.002), u8(0.02, 90), padding=(1, 1, 1, 1), name="padded")
        moved = mrqc.requantize(net.finish(y), target, passes=f"symmetrize{{{options}}}")
        hidden_type = next(v.type for v in moved.graph.values() if v.name == hidden.name)
        return any(isinstance(s.op, nn.Pad) for s in moved.graph.statements), hidden_type.quantization.zero_point != 0

    assert pads_and_zero_points("centre=true") == (True, True)
    assert pads_and_zero_points("pads=false") == (False, False)
    assert pads_and_zero_points("centre=false") == (False, False)


def test_a_relu_has_all_256_levels() -> None:
    net = Network()
    x = net.input((1, 5, 5, 2), 0.02, 128)
    hidden = net.conv(x, weights((4, 1, 1, 2), 1), i8(0.004), u8(6 / 255, 0), clamp=(0.0, 6.0), name="hidden")
    y = net.conv(hidden, weights((3, 1, 1, 4), 2), i8(0.002), u8(0.02, 90), name="last")
    moved = mrqc.requantize(net.finish(y), "sym-npu", passes="symmetrize")
    element = next(v.type.element for v in moved.graph.values() if v.name == hidden.name)
    assert element == i8(6 / 255, -128)


def test_biases_that_grow_too_wide_are_all_named() -> None:
    net = Network()
    x = net.input((1, 1, 1, 8), 1 / 64, 0)
    y = net.conv(x, np.full((1, 1, 1, 8), 127), i8(0.01), u8(0.5, 128), name="wide")
    content = load_target("sym-npu").model_dump()
    content["bias"] = {**content["bias"], "bits": 32}
    _, before = until_absorbed(net.finish(y), Target.model_validate(content))
    narrow = Target.model_validate({**content, "bias": {**content["bias"], "bits": 12}})
    with pytest.raises(TargetError, match=r"wide: a bias of \d+ with zero points does not fit \(bias.bits\)"):
        AbsorbZeroPoints(narrow)(before)


def codes_changed(module: Module) -> float:
    """The share of codes in which hardware that knows no zero points differs from hardware that does."""
    target = SYMMETRIC["sym-npu"]
    content = target.model_dump()
    knowing = Target.model_validate({**content, "activation": {**content["activation"], "symmetric": False}})
    absorb, before = until_absorbed(module, target)
    inputs = random_inputs(before, 256)
    expected = Program(LowerToInt(knowing)(before)).run(inputs)["y"].astype(np.int64)
    found = Program(LowerToInt(target)(absorb(before))).run(inputs)["y"].astype(np.int64)
    return float((expected != found).mean())


def test_multipliers_make_up_for_what_biases_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight small weights a channel: a code of the accumulator is a good part of one of the result."""
    net = Network()
    x = net.input((1, 4, 4, 8), 0.02, 128)
    hidden = net.conv(x, weights((8, 1, 1, 8), 3, low=-6, high=6), i8(0.05), u8(6 / 255, 0), name="hidden")
    y = net.conv(hidden, np.eye(8, dtype=np.int64).reshape(8, 1, 1, 8), i8(1.0), u8(6 / 255, 0), name="same")
    module = net.finish(y)
    changed = codes_changed(module)
    monkeypatch.setattr("mrqc.passes.requantize.absorb_zero_points._SPREAD", 1e9)
    without = codes_changed(module)
    assert without > 0.005
    assert changed < 0.5 * without
