"""Rounding half up adds to sums on average; the bias of an operand takes it away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import Network, u8, weights

import mrqc
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir import Module
from mrqc.numerics import Rounding
from mrqc.ops import nn
from mrqc.passes import BalanceRounding, Symmetrize, parse_pipeline, run_pipeline
from mrqc.passes.bit_check import random_inputs
from mrqc.passes.requantize.balance_rounding import mean_of_rounding
from mrqc.passes.requantize.form import layers_of
from mrqc.targets import load_target

TARGET = load_target("pow2-npu")
STEPS = "symmetrize,assign-scales{method=joint samples=false},correct-weights,fold-rounding-error,round-weights"
BACK = "canonicalize,lower-to-int,canonicalize,legalize"


def sum_of_layers(kind: type[nn.Add | nn.Sub] = nn.Add, *, clamp: tuple[float, float] = nn.UNBOUNDED) -> Module:
    net = Network()
    x = net.input((1, 12, 12, 8), 2.0**-6, 128)
    element = u8(0.02, 128)
    parts = [
        net.conv(x, weights((8, 1, 1, 8), seed, low=-60, high=60) + 128, u8(0.005, 128), element, clamp=clamp)
        for seed in (1, 2)
    ]
    return net.finish(net.emit(kind(parts[0], parts[1], element=u8(0.04, 128)), "sum"))


def bits_shifted_out(module: Module) -> tuple[float, float]:
    """What rounding adds on average, and the scale of the sum."""
    (statement,) = [s for s in module.graph.statements if isinstance(s.op, nn.Add | nn.Sub)]
    assert isinstance(statement.op, nn.Add | nn.Sub)
    quantization = statement.result.type.quantization
    assert quantization is not None
    return mean_of_rounding(statement.op, statement.result), quantization.scale


def mean_error(module: Module, step: str) -> tuple[float, float, float]:
    """The mean of the integers less that of the reals that they stand for; what is expected of it; the scale."""
    form = run_pipeline(module, parse_pipeline(STEPS, TARGET))
    added, scale = bits_shifted_out(form)
    done = run_pipeline(form, parse_pipeline(f"{step}quantize-biases,absorb-zero-points,align-scales", TARGET))
    plain = run_pipeline(form, parse_pipeline("quantize-biases,absorb-zero-points,align-scales", TARGET))
    inputs = random_inputs(done, 64)
    # Over the reals nothing is rounded with a direction.
    exact = ReferenceProgram(plain).run(inputs)["y"]
    found = Program(run_pipeline(done, parse_pipeline(BACK, TARGET))).run(inputs)["y"]
    quantization = done.graph.outputs[0].value.type.quantization
    assert quantization is not None
    real = quantization.dequantize(found) - quantization.dequantize(exact)
    return float(real.mean()), added, scale


@pytest.mark.parametrize("kind", [nn.Add, nn.Sub])
def test_the_mean_of_a_sum_is_that_of_the_reals(kind: type[nn.Add | nn.Sub]) -> None:
    module = sum_of_layers(kind)
    before, added, scale = mean_error(module, "")
    after, _, _ = mean_error(module, "balance-rounding,")
    assert added >= 2**-4 * scale
    assert before == pytest.approx(added, abs=0.03 * scale)
    assert after == pytest.approx(0.0, abs=0.03 * scale)


def test_scales_that_are_no_powers_of_two_apart_have_no_ties() -> None:
    module = sum_of_layers()
    (statement,) = [s for s in module.graph.statements if isinstance(s.op, nn.Add)]
    assert isinstance(statement.op, nn.Add)
    assert mean_of_rounding(statement.op, statement.result) == pytest.approx(0.01)
    element = u8(0.05, 128)
    result = replace(statement.result, type=statement.result.type.with_element(element))
    assert mean_of_rounding(replace(statement.op, element=element), result) == 0.0


def test_only_the_bias_of_one_operand_changes() -> None:
    form = run_pipeline(sum_of_layers(), parse_pipeline(STEPS, TARGET))
    after = BalanceRounding(TARGET)(form)
    added, _ = bits_shifted_out(form)
    shifts = [new.real_bias() - old.real_bias() for old, new in zip(layers_of(form), layers_of(after), strict=True)]
    moved = [shift for shift in shifts if np.any(shift != 0)]
    assert len(moved) == 1
    assert np.allclose(moved[0], -added, rtol=1e-4)


def test_a_relu_in_front_of_a_sum_keeps_its_bias() -> None:
    form = run_pipeline(sum_of_layers(clamp=(0.0, 2.0)), parse_pipeline(STEPS, TARGET))
    assert BalanceRounding(TARGET)(form) == form


def test_nothing_is_to_do_where_ties_go_to_the_even_code_or_multipliers_are_free() -> None:
    even = TARGET.requantize.model_copy(update={"rounding": Rounding.HALF_EVEN})
    form = run_pipeline(sum_of_layers(), parse_pipeline(STEPS, TARGET))
    assert BalanceRounding(TARGET.model_copy(update={"requantize": even}))(form) is form
    free = load_target("sym-npu")
    form = Symmetrize(free)(sum_of_layers())
    assert BalanceRounding(free)(form) is form


def test_a_module_for_a_model_file_is_not_balanced() -> None:
    # Whatever runs the file rounds ties both ways, as the reference does.
    module = sum_of_layers()
    lowered = mrqc.run_passes(module, "strip-edges,canonicalize,requantize{recipe=fast}", TARGET)
    added, scale = bits_shifted_out(lowered)
    written = mrqc.requantize(module, TARGET, recipe="fast")
    inputs = random_inputs(written, 16)
    results = [ReferenceProgram(moved).run(inputs)["y"].astype(np.float64).mean() for moved in (lowered, written)]
    assert added >= 2**-4 * scale
    assert results[1] - results[0] == pytest.approx(added / scale, abs=0.03)
