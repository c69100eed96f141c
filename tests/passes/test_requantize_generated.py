"""Every pass of re-quantization on generated modules of every kind of source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mrqc
from mrqc.backends import interpreter
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples, Teacher
from mrqc.calibration import samples as sampling
from mrqc.errors import TargetError
from mrqc.ir import DType, Module, verify
from mrqc.ir.rewrite import without_dead_statements
from mrqc.ops import nn
from mrqc.passes import RECIPES, CalibratedPass, Pass, Requantize
from mrqc.targets import BUILTIN_TARGETS, Target, load_target
from mrqc.testing import NN_LAYERS, Scheme, assert_c_matches_simulator, nn_modules, random_inputs, side_by_side

HARDWARE = {name: target for name in BUILTIN_TARGETS if not (target := load_target(name)).is_runtime}

SOURCES = {
    "u8": Scheme(DType.U8),
    "i8": Scheme(DType.I8),
    "i8 symmetric": Scheme(DType.I8, symmetric=True),
    "i8 per channel": Scheme(DType.I8, per_axis=True),
    "i16": Scheme(DType.I16, symmetric=True),
    "i16 per channel": Scheme(DType.I16, symmetric=True, per_axis=True),
}

LAYERS = (
    *NN_LAYERS,
    nn.Sub,
    nn.Concat,
    nn.Pad,
    nn.MirrorPad,
    nn.Slice,
    nn.Sum,
    nn.TransposeConv2D,
    nn.Mul,
    nn.Maximum,
    nn.LeakyRelu,
    nn.Sigmoid,
    nn.ResizeNearest,
    nn.ArgMax,
)

modules = st.sampled_from(sorted(SOURCES)).flatmap(lambda name: nn_modules(layers=LAYERS, scheme=SOURCES[name]))


def samples_of(module: Module, count: int = 3) -> CalibrationSamples:
    return CalibrationSamples.synthetic(module, count, seed=5)


def steps(module: Module, target: Target, recipe: str) -> Iterator[tuple[Pass, Module]]:
    """The module after each pass of a recipe; nothing where the target rightly says that it cannot."""
    source = module
    teacher = Teacher(source, samples_of(source))
    for pass_ in Requantize(target, recipe).passes:
        try:
            module = pass_.run(module, teacher) if isinstance(pass_, CalibratedPass) else pass_(module)
        except TargetError:
            return
        yield pass_, module


@pytest.mark.parametrize("recipe", RECIPES)
@given(module=modules, name=st.sampled_from(sorted(HARDWARE)))
@settings(max_examples=25)
def test_every_pass_leaves_a_well_formed_module_with_the_names_of_the_activations(
    recipe: str, module: Module, name: str
) -> None:
    alive = without_dead_statements(module).graph
    activations = [*alive.inputs, *(s.result for s in alive.statements if not isinstance(s.op, nn.Constant))]
    shapes = {value.name: value.type.shape for value in activations}
    for pass_, result in steps(module, HARDWARE[name], recipe):
        assert verify(result) == [], pass_.name
        found = {value.name: value.type.shape for value in result.graph.values()}
        assert {name: found.get(name) for name in shapes} == shapes, pass_.name
        assert [value.name for value in result.graph.inputs] == [value.name for value in module.graph.inputs]
        assert [output.name for output in result.graph.outputs] == [output.name for output in module.graph.outputs]


@pytest.mark.parametrize("recipe", RECIPES)
@given(module=modules, name=st.sampled_from(sorted(HARDWARE)))
@settings(max_examples=10)
def test_two_runs_and_other_slices_give_the_same_module(recipe: str, module: Module, name: str) -> None:
    expected = [str(result) for _, result in steps(module, HARDWARE[name], recipe)]
    assert [str(result) for _, result in steps(module, HARDWARE[name], recipe)] == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "SLICE_BYTES", 2000)
        patch.setattr(sampling, "_KEPT_BYTES", 0)
        patch.setattr(sampling, "_READ_BYTES", 100)
        assert [str(result) for _, result in steps(module, HARDWARE[name], recipe)] == expected


def lowered(module: Module, target: Target, io: str = "target") -> Module | None:
    """The int module; None where the target says that it cannot. Anything but a TargetError is a failure."""
    try:
        return mrqc.lower(module, target, samples_of(module), io=io, recipe="fast")
    except TargetError:
        return None


@pytest.mark.parametrize("name", HARDWARE)
@given(module=modules, io=st.sampled_from(("target", "original")))
@settings(max_examples=8)
def test_every_target_lowers_every_kind_of_source_or_says_why_not(name: str, module: Module, io: str) -> None:
    result = lowered(module, HARDWARE[name], io)
    if result is None:
        return
    assert verify(result) == []
    assert all(statement.op.mnemonic.startswith("int.") for statement in result.graph.statements)
    if io == "original":
        assert [value.type for value in result.graph.inputs] == [value.type for value in module.graph.inputs]
    assert Program(result).run(random_inputs(result, 2))


@pytest.mark.parametrize("name", HARDWARE)
@given(data=st.data())
@settings(max_examples=1, phases=[Phase.generate])
def test_what_was_requantized_runs_the_same_in_c(name: str, data: st.DataObject) -> None:
    drawn = [data.draw(nn_modules(scheme=scheme, awkward_names=False)) for scheme in SOURCES.values()]
    results = [result for module in drawn if (result := lowered(module, HARDWARE[name])) is not None]
    if not results:
        return
    together = side_by_side(results)
    assert_c_matches_simulator(together, random_inputs(together, 3))
