"""The strategies reach what they are meant to reach, and stay within what they promise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from mrqc.ir import DType, Module
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing import (
    code_arrays,
    inputs_for,
    int_modules,
    nn_modules,
    op_modules,
    qdq_modules,
    random_inputs,
    run_module,
)

Predicate = Callable[[Module], bool]

DRAWS = settings(
    max_examples=500,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def drawn(strategy: st.SearchStrategy[Module]) -> list[Module]:
    """Return some hundred modules, the same ones as long as hypothesis finds the same constants in what is loaded."""
    modules: list[Module] = []

    @DRAWS
    @given(strategy)
    def collect(module: Module) -> None:
        modules.append(module)

    collect()
    return modules


@pytest.fixture(scope="module")
def some_int_modules() -> list[Module]:
    return drawn(int_modules(awkward_names=False))


@pytest.fixture(scope="module")
def some_nn_modules() -> list[Module]:
    return drawn(nn_modules(awkward_names=False))


def some(kind: type, condition: Callable[..., bool] = lambda _: True) -> Predicate:
    """Return whether a module holds an op of ``kind`` that meets the condition."""
    return lambda module: any(
        isinstance(statement.op, kind) and condition(statement.op) for statement in module.graph.statements
    )


def requantizes(condition: Callable[[int_ops.Requantize], bool]) -> Predicate:
    return lambda module: any(
        condition(requantize)
        for statement in module.graph.statements
        if (requantize := getattr(statement.op, "requantize", None)) is not None
    )


INT_SHAPES: dict[str, Predicate] = {
    **{str(rounding): requantizes(lambda r, rounding=rounding: r.rounding is rounding) for rounding in Rounding},
    "shift only": requantizes(lambda r: r.only_shifts and r.shift != (0,)),
    "31-bit multiplier": requantizes(lambda r: max(r.multiplier) >= 1 << 30),
    "multipliers per channel": requantizes(lambda r: len(r.multiplier) > 1),
    "shifts per channel": requantizes(lambda r: len(r.shift) > 1),
    "narrow clamp": requantizes(lambda r: 0 < r.maximum - r.minimum < 100),
    "zero point": requantizes(lambda r: r.zero_point != 0),
    "depthwise": some(int_ops.Conv2D, lambda op: op.is_depthwise),
    "groups": some(int_ops.Conv2D, lambda op: op.groups > 1 and not op.is_depthwise),
    "dilation": some(int_ops.Conv2D, lambda op: op.dilations != (1, 1) and op.weight.type.shape[1:3] != (1, 1)),
    "strides": some(int_ops.Conv2D, lambda op: op.strides != (1, 1)),
    "padding": some(int_ops.Conv2D, lambda op: any(op.padding)),
    "convolution with bias": some(int_ops.Conv2D, lambda op: op.bias is not None),
    "wide input": some(int_ops.Conv2D, lambda op: op.input.type.dtype is DType.I16),
    "unsigned input": some(int_ops.Conv2D, lambda op: op.input.type.dtype is DType.U8),
    "residual addition": some(int_ops.Add, lambda op: op.lhs != op.rhs),
    "addition to itself": some(int_ops.Add, lambda op: op.lhs == op.rhs),
    "mixed addition": some(int_ops.Add, lambda op: op.lhs.type.dtype is not op.rhs.type.dtype),
    "two outputs": lambda module: len(module.graph.outputs) > 1,
    "two inputs": lambda module: len(module.graph.inputs) > 1,
    "batch of two": lambda module: module.graph.inputs[0].type.shape[0] == 2,
    "softmax": some(int_ops.Softmax),
}

NN_SHAPES: dict[str, Predicate] = {
    "weights per channel": some(
        nn.Conv2D,
        lambda op: not op.weight.type.quantization.is_per_tensor and len(op.weight.type.quantization.scales) > 1,
    ),
    "weights with a zero point": some(nn.Conv2D, lambda op: not op.weight.type.quantization.is_symmetric),
    "unsigned activations": some(nn.Conv2D, lambda op: op.element.dtype is DType.U8),
    "symmetric activations": some(nn.Conv2D, lambda op: op.element.quantization.is_symmetric),
    "depthwise": some(nn.Conv2D, lambda op: op.is_depthwise),
    "relu6": some(nn.Conv2D, lambda op: op.clamp == (0.0, 6.0)),
    "bias": some(nn.Conv2D, lambda op: op.bias is not None),
    "residual addition": some(nn.Add, lambda op: op.lhs != op.rhs),
    "fully connected": some(nn.FullyConnected),
    "average pool": some(nn.AveragePool2D),
    "global pool": some(nn.AveragePool2D, lambda op: op.kernel == op.input.type.shape[1:3] != (1, 1)),
    "softmax": some(nn.Softmax),
    "requantization": some(nn.Quantize, lambda op: op.input.type.element.is_quantized),
}


@pytest.mark.parametrize("wanted", INT_SHAPES.values(), ids=INT_SHAPES.keys())
def test_int_modules_contain(wanted: Predicate, some_int_modules: list[Module]) -> None:
    assert any(map(wanted, some_int_modules))
    assert not all(map(wanted, some_int_modules))


@pytest.mark.parametrize("wanted", NN_SHAPES.values(), ids=NN_SHAPES.keys())
def test_nn_modules_contain(wanted: Predicate, some_nn_modules: list[Module]) -> None:
    assert any(map(wanted, some_nn_modules))
    assert not all(map(wanted, some_nn_modules))


def test_failures_shrink_to_something_small() -> None:
    module = find(
        op_modules(int_ops.Rescale),
        lambda module: module.graph.inputs[0].type.size > 1,
        settings=settings(
            max_examples=20,
            phases=[Phase.generate, Phase.shrink],
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    (statement,) = module.graph.statements
    assert isinstance(statement.op, int_ops.Rescale)
    assert statement.result.type.size == 2
    # The shift that takes nine bits to eight.
    assert statement.op.requantize == int_ops.Requantize((1,), (1,), Rounding.HALF_UP, 0, -128, 127)


def test_scales_fit_the_values() -> None:
    saturated: list[float] = []
    used: list[int] = []

    @settings(max_examples=60, derandomize=True, database=None)
    @given(nn_modules(awkward_names=False, layers=(nn.Conv2D, nn.Add), max_layers=4))
    def run(module: Module) -> None:
        outputs = run_module(module, random_inputs(module, 6))
        for output in module.graph.outputs:
            codes, dtype = outputs[output.name], output.value.type.dtype
            if codes.size >= 100:
                saturated.append(float(((codes == dtype.minimum) | (codes == dtype.maximum)).mean()))
                used.append(len(np.unique(codes)))

    run()
    assert len(saturated) > 10
    assert np.median(saturated) < 0.5
    assert np.median(used) > 8


def test_layers_of_int_modules_keep_some_of_what_they_are_given(some_int_modules: list[Module]) -> None:
    codes = [
        len(np.unique(array))
        for module in some_int_modules
        for array in run_module(module, random_inputs(module, 6)).values()
        if array.size >= 40
    ]
    assert len(codes) > 40
    assert np.mean(np.array(codes) <= 4) < 0.3


@given(qdq_modules())
def test_a_qdq_module_computes_in_floats(module: Module) -> None:
    for statement in module.graph.statements:
        if not isinstance(statement.op, nn.Constant | nn.Quantize | nn.Dequantize):
            assert not statement.result.type.element.is_quantized
            assert (
                getattr(statement.op, "clamp", None) is None
                or isinstance(statement.op, nn.Clip)
                or not np.isfinite(statement.op.clamp).any()
            )


@given(st.data())
def test_arrays_stay_within_their_codes(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), max_size=3)))
    minimum, maximum = sorted(data.draw(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000))))
    codes = data.draw(code_arrays(shape, minimum, maximum))
    assert codes.shape == shape
    assert codes.min() >= minimum
    assert codes.max() <= maximum


@given(st.data())
def test_inputs_have_the_types_of_the_module(data: st.DataObject) -> None:
    module = data.draw(st.one_of(int_modules(), nn_modules(float_io=None)))
    inputs = data.draw(inputs_for(module, max_batches=3))
    for value in module.graph.inputs:
        array = inputs[value.name]
        assert array.dtype == value.type.dtype.numpy
        assert array.shape[1:] == value.type.shape[1:]
        assert array.shape[0] in {value.type.shape[0] * batches for batches in (1, 2, 3)}


def test_seeded_inputs_repeat_and_begin_with_the_extremes(some_int_modules: list[Module]) -> None:
    module = some_int_modules[-1]
    first, again, other = (random_inputs(module, 5, seed) for seed in (1, 1, 2))
    (name, *_) = first
    type_ = module.graph.inputs[0].type
    assert (first[name] == again[name]).all()
    assert first[name].tobytes() != other[name].tobytes()
    assert first[name].shape[0] == 5 * type_.shape[0]
    assert (first[name][: type_.shape[0]] == type_.dtype.minimum).all()
