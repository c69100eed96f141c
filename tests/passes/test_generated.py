"""Every pass and the whole pipeline on generated modules."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.errors import TargetError
from mrqc.ir import Module, verify
from mrqc.numerics import power_of_two_exponent
from mrqc.passes import (
    Canonicalize,
    EliminateCommonSubexpressions,
    EliminateDeadCode,
    Instruments,
    Legalize,
    Pass,
    parse_pipeline,
    run_pipeline,
)
from mrqc.targets import load_target
from mrqc.testing import assert_c_matches_simulator, assert_pass_exact, int_modules, nn_modules, random_inputs

TARGETS = {name: load_target(name) for name in ("sym-npu", "pow2-npu")}
SIMPLIFICATIONS: tuple[Pass, ...] = (Canonicalize(), EliminateCommonSubexpressions(), EliminateDeadCode())
RIGHT_REFUSALS = ("border average fewer", "cannot have scales whose ratios", "too far apart", "does not fit 32 bits")


def lowered(module: Module, name: str) -> Module:
    """The lowered module; one that the target rightly refuses is not drawn."""
    result: Module | None = None
    refusal = ""
    try:
        result = run_pipeline(module, parse_pipeline("default", TARGETS[name]), Instruments(check_bits=True))
    except TargetError as error:
        refusal = str(error)
    assert result is not None or any(reason in refusal for reason in RIGHT_REFUSALS), refusal
    assume(result is not None)
    assert result is not None
    return result


@given(st.one_of(nn_modules(float_io=None), int_modules()), st.sampled_from(SIMPLIFICATIONS))
def test_simplifications_keep_every_bit(module: Module, pass_: Pass) -> None:
    assert_pass_exact(pass_, module)
    once = pass_(module)
    assert pass_(once) == once


@given(nn_modules(float_io=None), st.sampled_from(sorted(TARGETS)))
def test_what_the_pipeline_makes_is_well_formed_and_legal(module: Module, name: str) -> None:
    result = lowered(module, name)
    assert verify(result) == []
    assert all(statement.op.mnemonic.startswith("int.") for statement in result.graph.statements)
    assert Legalize(TARGETS[name])(result) is result
    assert [output.name for output in result.graph.outputs] == [output.name for output in module.graph.outputs]
    assert Program(result).run(random_inputs(result, 1))


@given(nn_modules(), st.sampled_from(sorted(TARGETS)))
@settings(max_examples=8)
def test_lowered_modules_run_the_same_in_c(module: Module, name: str) -> None:
    result = lowered(module, name)
    assert_c_matches_simulator(result, random_inputs(result, 4))


@given(nn_modules())
def test_every_multiplier_of_a_shift_only_target_is_a_power_of_two(module: Module) -> None:
    result = lowered(module, "pow2-npu")
    for statement in result.graph.statements:
        requantize = getattr(statement.op, "requantize", None)
        if requantize is not None:
            assert all(power_of_two_exponent(float(m)) is not None for m in requantize.multiplier)


@given(nn_modules())
def test_real_outputs_stay_close_where_multipliers_are_free(module: Module) -> None:
    """Requantized to 8 symmetric bits, a generated module's outputs keep most of their signal."""
    result = lowered(module, "sym-npu")
    inputs = random_inputs(module, 16)
    real_inputs = {value.name: value.type.quantization.dequantize(inputs[value.name]) for value in module.graph.inputs}
    before, after = ReferenceProgram(module).run(inputs), Program(result).run(real_inputs)
    for old, new in zip(module.graph.outputs, result.graph.outputs, strict=True):
        expected = old.value.type.quantization.dequantize(before[old.name])
        found = new.value.type.quantization.dequantize(after[new.name])
        low, high = old.value.type.element.real_range
        assert np.sqrt(np.mean((expected - found) ** 2)) <= 0.15 * (high - low)
