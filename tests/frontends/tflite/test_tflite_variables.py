"""Variables that a model keeps from run to run, against LiteRT, which keeps them itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import imported
from litert import LiteRT
from tflite_files import Scales
from variable_files import CODES, SHAPE, Variables, codes, running_sum

import mrqc
from mrqc.errors import InputError
from mrqc.frontends.tflite import import_tflite
from mrqc.ir import Module, State
from mrqc.ops import nn


def assert_stream_agrees(model: Variables, folder: Path, dtype: type[np.generic] = np.int8) -> Module:
    """Assert that LiteRT, run by run, gives what the module gives of the whole stream, over the reals and lowered."""
    module = imported(model.file, folder)
    random = np.random.default_rng(1)
    steps = [random.integers(-20, 20, SHAPE).astype(dtype) for _ in range(12)]
    runtime = LiteRT(model.file.content())
    expected = np.concatenate([runtime.run({"x": step})["y"] for step in steps])
    stream = np.concatenate(steps)
    assert len(np.unique(expected)) > 8
    np.testing.assert_array_equal(mrqc.reference(module).run({"x": stream})["y"], expected)
    if dtype is np.int8:
        lowered = mrqc.lower(module, "tflite")
        np.testing.assert_array_equal(mrqc.simulate(lowered).run({"x": stream})["y"], expected)
    return module


def test_a_variable_is_an_input_and_an_output(tmp_path: Path) -> None:
    module = assert_stream_agrees(running_sum(codes(13)), tmp_path)
    assert module.states == (State("sum", "sum_next", 5.0),)
    assert [value.name for value in module.data_inputs] == ["x"]
    assert [output.name for output in module.data_outputs] == ["y"]


def test_bytes_mean_what_they_mean_where_they_are_read(tmp_path: Path) -> None:
    """The graph that sets a variable up may say nothing of scales, or something else."""
    for scales in (None, Scales.one(0.25)):
        model = running_sum(codes(13), scales)
        assert assert_stream_agrees(model, tmp_path).states == (State("sum", "sum_next", 5.0),)


def test_a_float_variable(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("sum", np.full(SHAPE, -1.5, np.float32), None)
    x = model.file.input("f32", SHAPE, name="x")
    handle = model.handle("sum")
    total = model.add(model.read(handle, "f32", None), x, model.file.output("f32", SHAPE, name="y"), "f32")
    model.write(handle, total)
    module = assert_stream_agrees(model, tmp_path, np.float32)
    assert module.states == (State("sum", "sum_next", -1.5),)


def test_what_is_read_behind_a_write_is_what_was_written(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("sum", codes(3))
    x = model.file.input("i8", SHAPE, CODES, "x")
    handle = model.handle("sum")
    model.write(handle, model.add(model.read(handle), x))
    again = model.read(model.handle("sum"))
    model.add(again, x, model.file.output("i8", SHAPE, CODES, "y"))
    module = assert_stream_agrees(model, tmp_path)
    assert sum(isinstance(s.op, nn.Add) for s in module.graph.statements) == 2
    assert len(module.states) == 1


def test_the_last_write_is_what_the_next_run_reads(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("sum", codes(3))
    x = model.file.input("i8", SHAPE, CODES, "x")
    handle = model.handle("sum")
    total = model.add(model.read(handle), x, model.file.output("i8", SHAPE, CODES, "y"))
    model.write(handle, total)
    model.write(handle, x)
    module = assert_stream_agrees(model, tmp_path)
    assert [output.value.name for output in module.graph.outputs] == ["0", "x"]


def test_names_in_two_containers_are_two_variables(tmp_path: Path) -> None:
    model = Variables()
    x = model.file.input("i8", SHAPE, CODES, "x")
    value = x
    for container, start in (("a", 5), ("b", 9)):
        model.set_up("s", codes(start), container=container)
        handle = model.handle("s", container)
        value = model.add(model.read(handle), value)
        model.write(handle, value)
    model.add(value, x, model.file.output("i8", SHAPE, CODES, "y"))
    module = assert_stream_agrees(model, tmp_path)
    assert module.states == (State("a/s", "a/s_next", 1.0), State("b/s", "b/s_next", 3.0))


def test_what_nothing_writes_is_a_constant_and_what_is_written_first_no_state(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("offset", np.arange(4, dtype=np.int8).reshape(SHAPE))
    model.set_up("scratch", codes(0))
    model.set_up("sum", codes(3))
    x = model.file.input("i8", SHAPE, CODES, "x")
    scratch, handle = model.handle("scratch"), model.handle("sum")
    model.write(scratch, model.add(model.read(model.handle("offset")), x))
    total = model.add(model.read(scratch), model.read(handle), model.file.output("i8", SHAPE, CODES, "y"))
    model.write(handle, total)
    module = assert_stream_agrees(model, tmp_path)
    assert [state.input for state in module.states] == ["sum"]


def test_names_of_states_do_not_clash_with_those_of_inputs_and_outputs(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("x", codes(3))
    x = model.file.input("i8", SHAPE, CODES, "x")
    handle = model.handle("x")
    total = model.add(model.read(handle), x, model.file.output("i8", SHAPE, CODES, "y"))
    model.write(handle, total)
    assert assert_stream_agrees(model, tmp_path).states == (State("x_1", "x_1_next", 0.0),)


def message_of(model: Variables, folder: Path) -> str:
    path = folder / "model.tflite"
    path.write_bytes(model.file.content())
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    return str(caught.value)


def test_a_variable_that_starts_with_several_numbers(tmp_path: Path) -> None:
    message = message_of(running_sum(np.arange(4, dtype=np.int8).reshape(SHAPE)), tmp_path)
    assert (
        "variable 'sum' starts with 4 different numbers (states that start at one number throughout can be" in message
    )


def test_a_variable_that_nothing_sets_up(tmp_path: Path) -> None:
    model = running_sum()
    model.setup.graph.operators = []
    assert "variable 'sum' is read before anything has been written to it" in message_of(model, tmp_path)


def test_a_variable_that_is_set_up_as_something_else(tmp_path: Path) -> None:
    model = running_sum(np.zeros((1, 5), np.int8))
    assert "variable 'sum' is set up as INT8 [1, 5] and read as INT8 [1, 4]" in message_of(model, tmp_path)


def test_a_variable_that_is_written_at_another_scale(tmp_path: Path) -> None:
    model = Variables()
    model.set_up("sum", codes(3))
    x = model.file.input("i8", SHAPE, CODES, "x")
    handle = model.handle("sum")
    other = model.file.output("i8", SHAPE, Scales.one(0.25), "y")
    model.add(model.read(handle, name="old"), x, other)
    model.write(handle, other)
    message = message_of(model, tmp_path)
    assert "variable 'sum' has another shape, type or quantization in 'old' than in 'y'" in message


def test_a_graph_that_does_more_than_to_set_variables_up(tmp_path: Path) -> None:
    model = running_sum()
    constant = model.setup.constant(codes(0), CODES)
    model.setup.operator("RELU", [constant], [model.setup.tensor("i8", SHAPE, CODES, "r")])
    message = message_of(model, tmp_path)
    assert "the graph that it runs has RELU operator 2 'r', only variables can be set up there" in message


def test_a_variable_that_is_set_up_with_what_is_computed(tmp_path: Path) -> None:
    model = Variables()
    handle = model.handle("sum", file=model.setup)
    model.setup.operator("ASSIGN_VARIABLE", [handle, model.setup.tensor("i8", SHAPE, CODES)], [])
    x = model.file.input("i8", SHAPE, CODES, "x")
    model.add(model.read(model.handle("sum")), x, model.file.output("i8", SHAPE, CODES, "y"))
    assert "writes no constant to variable 'sum'" in message_of(model, tmp_path)


@pytest.mark.parametrize("number", [7, -1])
def test_a_graph_that_is_not_in_the_file(number: int, tmp_path: Path) -> None:
    model = running_sum()
    model.file.graph.operators[0].builtinOptions.initSubgraphIndex = number
    assert "it runs a graph that is not in the file" in message_of(model, tmp_path)


def test_reads_of_what_is_no_variable(tmp_path: Path) -> None:
    model = Variables()
    x = model.file.input("i8", SHAPE, CODES, "x")
    model.add(model.read(x), x, model.file.output("i8", SHAPE, CODES, "y"))
    model.file.operator("READ_VARIABLE", [x, x], [model.file.tensor("i8", SHAPE, CODES)])
    message = message_of(model, tmp_path)
    assert "its first operand is no handle of a variable" in message
    assert "it has 2 operands and 1 results, expected 1 and 1" in message


def test_a_handle_that_is_used_as_a_tensor(tmp_path: Path) -> None:
    model = running_sum()
    handle = model.handle("sum")
    model.file.operator("RELU", [handle], [model.file.tensor("i8", SHAPE, CODES, "r")])
    model.file.graph.outputs.append(handle)
    message = message_of(model, tmp_path)
    assert "RELU operator 6 'r': uses a handle of variable 'sum', which can only be read and written" in message
    assert "output 'sum_handle': uses a handle of variable 'sum'" in message
