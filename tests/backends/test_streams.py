"""Modules with states: without these, batches are the runs of one stream, in every interpreter and in the C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.backends.c import CompiledKernel, emit_c, memory_report
from mrqc.backends.inputs import initial_states
from mrqc.backends.simulator import Program
from mrqc.errors import InputError, TargetError
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, State, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.report import extreme_and_random_inputs, verify_c
from mrqc.testing import (
    assert_c_matches_simulator,
    assert_same_arrays,
    int_modules,
    nn_modules,
    random_inputs,
    run_module,
    stateful_modules,
    with_memory,
)

STEPS = 5
CODES = Element.per_tensor(DType.I8, 0.5, 3)
WIDE = Element.per_tensor(DType.I16, 0.5)
SUM = ops.Requantize((1,), (1,), Rounding.HALF_UP, 3, -128, 127)


def data_of(module: Module, steps: int = STEPS) -> dict[str, NDArray[Any]]:
    arrays = random_inputs(module, steps, seed=7)
    return {value.name: arrays[value.name] for value in module.data_inputs}


def step_by_step(module: Module, data: dict[str, NDArray[Any]], steps: int = STEPS) -> dict[str, NDArray[Any]]:
    """What single runs give if their states are handed on by hand."""
    extents = {value.name: value.type.shape[0] for value in module.data_inputs}
    states = initial_states(module)
    found: list[dict[str, NDArray[Any]]] = []
    for step in range(steps):
        now = {name: array[step * extents[name] : (step + 1) * extents[name]] for name, array in data.items()}
        outputs = run_module(module, now | states)
        states = {state.input: outputs[state.output] for state in module.states}
        found.append(outputs)
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


@given(stateful_modules(st.one_of(nn_modules(float_io=None), int_modules())))
def test_a_stream_is_its_runs_one_after_the_other(module: Module) -> None:
    data = data_of(module)
    assert_same_arrays(step_by_step(module, data), run_module(module, data), "stream")


@given(st.data(), st.one_of(nn_modules(), int_modules()))
def test_a_module_with_memory_sees_what_the_module_sees_of_a_window(drawn: st.DataObject, module: Module) -> None:
    """The last rows of the stream, whatever came in which run: the oracle knows nothing of states."""
    wide = [value for value in module.graph.inputs if value.type.rank >= 2 and value.type.shape[1] > 1]
    if not wide:
        return
    value = drawn.draw(st.sampled_from(wide))
    rows = value.type.shape[1]
    kept = drawn.draw(st.integers(1, rows - 1))
    data = data_of(with_memory(module, value.name, kept))
    found = run_module(with_memory(module, value.name, kept), data)
    frame = next(
        name for name in data if name.startswith("frame") and name not in {v.name for v in module.graph.inputs}
    )
    batch, new = value.type.shape[0], rows - kept
    zero = 0 if value.type.quantization is None else value.type.quantization.zero_points[0]
    start = np.full((batch, kept, *value.type.shape[2:]), zero, data[frame].dtype)
    stream = np.concatenate([start, *np.split(data[frame], STEPS)], axis=1)
    windows = [stream[:, step * new : step * new + rows] for step in range(STEPS)]
    others = {name: array for name, array in data.items() if name != frame}
    expected = run_module(module, others | {value.name: np.concatenate(windows)})
    assert_same_arrays(expected, {name: found[name] for name in expected}, "window")


@settings(max_examples=12)
@given(stateful_modules(int_modules()))
def test_c_hands_states_on_as_the_simulator_does(module: Module) -> None:
    data = data_of(module)
    with CompiledKernel(module, sanitize=True) as kernel:
        assert_same_arrays(Program(module).run(data), kernel.run(data), "stream")
    assert_c_matches_simulator(module, random_inputs(module, 2))


def states_of(*pairs: tuple[str, str], initial: float = 0.0) -> tuple[State, ...]:
    return tuple(State(value, following, initial) for value, following in pairs)


def test_a_state_that_is_read_late_waits_in_the_arena() -> None:
    """The next content is known first, and the present one is used behind it."""
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((1, 6), CODES)) for name in ("x", "s"))
    following = builder.emit(ops.Add(x, x, 0, 0, SUM, CODES))
    y = builder.emit(ops.Add(following, s, 0, 0, SUM, CODES))
    module = Module("late", builder.finish([Output("y", y), Output("n", following)]), states=states_of(("s", "n")))
    assert "memcpy(state->s, tensor_0, 6);" in emit_c(module)["kernel.c"]
    check_stream(module)


def test_a_state_that_is_read_early_is_written_at_once() -> None:
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((1, 6), CODES)) for name in ("x", "s"))
    y = builder.emit(ops.Add(x, s, 0, 0, SUM, CODES))
    following = builder.emit(ops.Clamp(y, -9, 100))
    module = Module("early", builder.finish([Output("y", y), Output("n", following)]), states=states_of(("s", "n")))
    assert "memcpy(state" not in emit_c(module)["kernel.c"]
    check_stream(module)


def delay_line(length: int) -> tuple[GraphBuilder, list[Value], Value]:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 4), WIDE))
    values = [builder.add_input(f"s{index}", TensorType((1, 4), WIDE)) for index in range(length)]
    return builder, values, x


def test_states_that_take_over_each_other_move_in_the_right_order() -> None:
    builder, values, x = delay_line(3)
    outputs = [Output("y", values[-1]), Output("n0", x)]
    outputs += [Output(f"n{index + 1}", value) for index, value in enumerate(values[:-1])]
    pairs = [(value.name, f"n{index}") for index, value in enumerate(values)]
    module = Module("delay", builder.finish(outputs), states=states_of(*pairs, initial=-7.0))
    codes = np.arange(24, dtype=np.int16).reshape(6, 4)
    delayed = Program(module).run({"x": codes})["y"]
    assert np.array_equal(delayed, np.concatenate([np.full((3, 4), -14), codes[:3]]))
    check_stream(module)


def test_states_that_only_change_places_are_refused_in_c() -> None:
    builder, (first, second), x = delay_line(2)
    outputs = [Output("y", x), Output("n0", second), Output("n1", first)]
    module = Module("swap", builder.finish(outputs), states=states_of(("s0", "n0"), ("s1", "n1")))
    with pytest.raises(TargetError, match="only exchange their contents"):
        emit_c(module)


def test_a_state_that_never_changes_and_one_of_another_width() -> None:
    builder, (kept,), x = delay_line(1)
    y = builder.emit(ops.Clamp(x, -5, 5))
    module = Module("kept", builder.finish([Output("y", y), Output("n", kept)]), states=states_of(("s0", "n")))
    assert "(void)state;" in emit_c(module)["kernel.c"]
    check_stream(module)


def test_the_header_says_what_is_kept() -> None:
    builder, (kept,), x = delay_line(1)
    outputs = [Output("y", kept), Output("n", x)]
    module = Module("m", builder.finish(outputs), states=states_of(("s0", "n"), initial=2.0))
    header, source = emit_c(module, "k")["k.h"], emit_c(module, "k")["k.c"]
    assert "void k_reset(k_state *state);" in header
    assert "void k_run(const int16_t input[4], int16_t output[4], k_state *state, uint8_t arena" in header
    assert "8 bytes of state" in header
    assert "state->s0[i] = 4;" in source
    assert memory_report(module).state_bytes == 8


def test_states_are_given_all_or_none() -> None:
    builder, (first, second), x = delay_line(2)
    module = Module(
        "two",
        builder.finish([Output("y", first), Output("n0", x), Output("n1", second)]),
        states=states_of(("s0", "n0"), ("s1", "n1")),
    )
    codes = np.zeros((1, 4), np.int16)
    with pytest.raises(InputError, match="input 's1' is missing"):
        Program(module).run({"x": codes, "s0": codes})
    assert list(Program(module).run(codes)) == ["y", "n0", "n1"]


def test_values_of_a_stream_are_there_for_every_run() -> None:
    module = with_memory(adding(), "x", 2)
    data = data_of(module)
    program = Program(module)
    traced, outputs = program.trace(data), program.run(data)
    assert np.array_equal(traced["memory_next"], outputs["memory_next"])
    assert np.array_equal(traced["memory"][2:], outputs["memory_next"][:-2])


def adding() -> Module:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((2, 3, 2), CODES))
    return Module("adding", builder.finish([Output("y", builder.emit(ops.Add(x, x, 0, 0, SUM, CODES)))]))


def check_stream(module: Module) -> None:
    data = data_of(module)
    assert_same_arrays(step_by_step(module, data), Program(module).run(data), "stream")
    with CompiledKernel(module, sanitize=True) as kernel:
        assert_same_arrays(Program(module).run(data), kernel.run(data), "C")
    assert verify_c(module, extreme_and_random_inputs(module, 5)).differing_bytes == 0
    assert verify_c(module, data).samples == STEPS
