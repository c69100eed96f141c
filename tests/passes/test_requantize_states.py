"""Modules that keep something from run to run, moved to the schemes of all targets."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Network, i8

import mrqc
from mrqc.analysis.scale_groups import TieConditions, scale_groups, state_edges
from mrqc.backends.inputs import initial_states
from mrqc.backends.simulator import Program
from mrqc.calibration import CalibrationSamples
from mrqc.errors import TargetError
from mrqc.ir import FLOAT, DType, Element, GraphBuilder, Module, Output, Quantization, State, TensorType, verify
from mrqc.ops import nn
from mrqc.passes import StripEdges
from mrqc.targets import BUILTIN_TARGETS, load_target
from mrqc.testing import NN_LAYERS, Scheme, assert_c_matches_simulator, nn_modules, random_inputs, stateful_modules

HARDWARE = [name for name in BUILTIN_TARGETS if not load_target(name).is_runtime]
SOURCES = (Scheme(DType.U8), Scheme(DType.I8), Scheme(DType.I8, symmetric=True), Scheme(DType.I8, per_axis=True))
LAYERS = (*NN_LAYERS, nn.Concat, nn.Slice, nn.Sigmoid, nn.Pad)

modules = stateful_modules(st.sampled_from(SOURCES).flatmap(lambda scheme: nn_modules(layers=LAYERS, scheme=scheme)))


def lowered(module: Module, target: str, io: Literal["target", "original"], recipe: str) -> Module | None:
    samples = CalibrationSamples.of({v.name: random_inputs(module, 6)[v.name] for v in module.data_inputs}, module)
    try:
        return mrqc.lower(module, target, samples, io=io, recipe=recipe)
    except TargetError:
        return None


@pytest.mark.parametrize("target", HARDWARE)
@given(module=modules, io=st.sampled_from(("target", "original")), recipe=st.sampled_from(("fast", "default")))
@settings(max_examples=8)
def test_states_keep_one_type_and_begin_with_the_code_of_their_number(
    target: str, module: Module, io: Literal["target", "original"], recipe: str
) -> None:
    result = lowered(module, target, io, recipe)
    if result is None:
        return
    assert verify(result) == []
    pairs = [(state.input, state.output) for state in result.states]
    assert pairs == [(state.input, state.output) for state in module.states]
    (state,), (old,) = result.states, module.states
    value = next(value for value in result.graph.inputs if value.name == state.input)
    assert value.type.quantization is not None
    if io == "original":
        assert (state, value) in [(old, before) for before in module.graph.inputs]
    if old.initial == 0.0:
        assert (initial_states(result)[state.input] == value.type.quantization.zero_points[0]).all()
    data = {name: array for name, array in random_inputs(result, 4).items() if name != state.input}
    assert Program(result).run(data)[state.output].shape[0] == 4 * value.type.shape[0]


@pytest.mark.parametrize("target", ["sym-npu", "pow2-npu", "pow2-scale-npu", "xint8", "asym-npu-u8", "pow2-npu-i16"])
@given(module=modules)
@settings(max_examples=2)
def test_what_was_lowered_runs_the_same_in_c(target: str, module: Module) -> None:
    result = lowered(module, target, "target", "fast")
    if result is not None:
        assert_c_matches_simulator(result, random_inputs(result, 3))


def streaming_network(initial: float = 0.0) -> Module:
    """A convolution over five rows of a spectrogram and one over three rows of its results, as wake words have it."""
    random = np.random.default_rng(3)
    net = Network()
    x = net.input((1, 3, 1, 12), 0.05, -128, DType.I8)
    memory = net.input((1, 2, 1, 12), 0.05, -128, DType.I8, "memory")
    hidden = net.input((1, 2, 1, 16), 0.045, -128, DType.I8, "hidden")
    rows = net.builder.emit(nn.Concat((memory, x), 1, x.type.element))
    first = Element(DType.I8, Quantization.per_axis(list(random.uniform(0.002, 0.01, 16)), [0] * 16, 0))
    kernel = random.integers(-127, 128, (16, 5, 1, 12), np.int8)
    bias = random.integers(-2000, 2000, 16).tolist()
    result = net.conv(rows, kernel, first, hidden.type.element, bias=bias, clamp=(0.0, np.inf), name="first")
    window = net.builder.emit(nn.Concat((hidden, result), 1, hidden.type.element))
    kernel = random.integers(-127, 128, (4, 3, 1, 16), np.int8)
    scores = net.conv(window, kernel, i8(0.004), i8(0.12, 5), bias=[0, 900, -500, 30], name="scores")
    ones = (1, 1, 1, 1)
    later = (
        net.builder.emit(nn.Slice(rows, (0, 3, 0, 0), memory.type.shape, ones)),
        net.builder.emit(nn.Slice(window, (0, 1, 0, 0), hidden.type.shape, ones)),
    )
    outputs = [Output("y", scores), Output("memory_next", later[0]), Output("hidden_next", later[1])]
    states = (State("memory", "memory_next", initial), State("hidden", "hidden_next", initial))
    return Module("wake", net.builder.finish(outputs), states=states)


def spectrogram(steps: int, seed: int = 1) -> np.ndarray:
    rows = np.cumsum(np.random.default_rng(seed).normal(0.0, 9.0, (steps * 3, 12)), axis=0) * 0.5
    return np.clip(rows, -128, 127).astype(np.int8).reshape(steps, 3, 1, 12)


def noise_db(module: Module, result: Module, data: np.ndarray) -> float:
    """Signal-to-noise ratio of a stream's real scores."""
    expected = mrqc.reference(module).dequantized(data)["y"]
    element = next(output.value.type for output in result.data_outputs).quantization
    assert element is not None
    found = element.dequantize(Program(result).run(data)["y"])
    return float(10.0 * np.log10((expected**2).sum() / ((expected - found) ** 2).sum()))


@pytest.mark.parametrize(("target", "least"), [("sym-npu", 30.0), ("pow2-npu", 25.0), ("pow2-npu-per-channel", 30.0)])
def test_a_stream_is_calibrated_on_the_states_that_it_comes_to(target: str, least: float) -> None:
    module = streaming_network()
    result = mrqc.lower(module, target, spectrogram(40, seed=2))
    assert noise_db(module, result, spectrogram(60)) > least


def test_states_keep_all_codes_of_a_relu_on_symmetric_hardware() -> None:
    """A concatenation only moves codes, so it may have a zero point that biases absorb."""
    result = mrqc.lower(streaming_network(), "pow2-npu", spectrogram(40))
    zero_points = {v.name: v.type.quantization.zero_point for v in result.graph.inputs if v.type.quantization}
    assert zero_points["hidden"] < -100


@pytest.mark.parametrize("target", ["pow2-npu", "pow2-scale-npu", "sym-npu"])
def test_other_labels_leave_states_at_the_codes_that_they_had(target: str) -> None:
    """An initial number is a code of the original's grid, and the code nearest to it afterwards."""
    result = mrqc.lower(streaming_network(initial=1.0), target, recipe="fast")
    first = initial_states(result)
    for state in result.states:
        value = next(value for value in result.graph.inputs if value.name == state.input)
        quantization = value.type.quantization
        assert quantization is not None
        label = state.initial / 1.0
        assert (first[state.input] == round(1.0 / (quantization.scale / label)) + quantization.zero_point).all()
    assert noise_db(streaming_network(initial=1.0), result, spectrogram(60)) > 20.0


def test_both_ends_of_a_state_are_one_group() -> None:
    module = streaming_network()
    groups = scale_groups(module, TieConditions.of(only_shifts=True)).group_of
    assert [groups[value] == groups[following] for value, following in state_edges(module)] == [True, True]


def float_state(second_scale: float) -> Module:
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((1, 2), FLOAT)) for name in ("x", "s"))
    codes = [builder.emit(nn.Quantize(value, i8(0.5))) for value in (x, s)]
    total = builder.emit(nn.Add(codes[0], codes[1], element=i8(second_scale)))
    result = builder.emit(nn.Dequantize(total))
    return Module("m", builder.finish([Output("y", result), Output("n", result)]), states=(State("s", "n"),))


def test_a_float_state_becomes_codes_where_both_ends_have_the_same() -> None:
    stripped = StripEdges()(float_state(0.5))
    assert verify(stripped) == []
    assert [value.type.element for value in stripped.graph.inputs] == [i8(0.5), i8(0.5)]
    kept = StripEdges()(float_state(0.25))
    assert verify(kept) == []
    assert [value.type.element for value in kept.graph.inputs] == [i8(0.5), FLOAT]
