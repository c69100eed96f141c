"""Commands on a model that keeps something from run to run: samples are one stream."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine

import mrqc as library
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, State, TensorType
from mrqc.ops import nn

CODES = Element.per_tensor(DType.I8, 0.5, 3)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """y = s = s + x over four numbers, beginning at 1."""
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((1, 4), CODES)) for name in ("x", "kept/sum"))
    y = builder.emit(nn.Add(x, s, element=CODES))
    states = (State("kept/sum", "kept/sum_next", 1.0),)
    module = Module("sums", builder.finish([Output("y", y), Output("kept/sum_next", y)]), states=states)
    path = tmp_path / "sums.mrq"
    path.write_text(str(module))
    np.savez(tmp_path / "x.npz", x=stream())
    return path


def stream() -> np.ndarray:
    return np.random.default_rng(2).integers(-9, 16, (30, 4)).astype(np.int8)


def sums() -> np.ndarray:
    total, found = np.full(4, 5), []
    for row in stream().astype(int):
        total = np.clip(total + row - 3, -128, 127)
        found.append(total)
    return np.array(found)


def test_lower_tells_states_apart(mrqc: CommandLine, model: Path, tmp_path: Path) -> None:
    found = mrqc("lower", model, "--target", "asym-npu-i8", "-o", tmp_path / "k.c", "--json")
    facts = json.loads(found.out)
    assert [entry["name"] for entry in facts["inputs"]] == ["x"]
    assert [entry["name"] for entry in facts["outputs"]] == ["y"]
    (state,) = facts["states"]
    assert (state["name"], state["next"], state["initial"], state["shape"]) == (
        "kept/sum",
        "kept/sum_next",
        1.0,
        [1, 4],
    )
    assert "int8_t kept_sum[4];" in (tmp_path / "k.h").read_text()
    shown = mrqc("lower", model, "--target", "asym-npu-i8", "-o", tmp_path / "k.c")
    assert "  state   kept/sum  i8 [1, 4]" in shown.err


@pytest.mark.parametrize("engine", ["simulator", "c"])
def test_run_gives_every_step_of_a_stream(engine: str, mrqc: CommandLine, model: Path, tmp_path: Path) -> None:
    arguments = ("run", model, "--target", "asym-npu-i8", "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert mrqc(*arguments, "--engine", engine).code == 0
    with np.load(tmp_path / "y.npz") as arrays:
        assert sorted(arrays) == ["kept/sum_next", "y"]
        np.testing.assert_array_equal(arrays["y"], sums())


def test_run_takes_states_as_well(mrqc: CommandLine, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", **{"x": stream(), "kept/sum": np.full((30, 4), 3, np.int8)})
    assert mrqc("run", model, "--input", tmp_path / "both.npz", "-o", tmp_path / "y.npz").code == 0
    with np.load(tmp_path / "y.npz") as arrays:
        np.testing.assert_array_equal(arrays["y"], stream())


def test_verify_and_evaluate_run_the_stream(mrqc: CommandLine, model: Path, tmp_path: Path) -> None:
    data = ("--data", tmp_path / "x.npz", "--json")
    verified = json.loads(mrqc("verify", model, "--target", "sym-npu", "--samples", "20", *data).out)
    assert (verified["samples"], verified["differing_bytes"]) == (20, 0)
    assert verified["total_bytes"] == 20 * 8
    evaluated = json.loads(mrqc("evaluate", model, "--target", "asym-npu-i8", *data).out)
    assert (evaluated["images"], evaluated["agreement"], evaluated["kl"]) == (30, 1.0, 0.0)


def test_a_file_of_variables_comes_out(mrqc: CommandLine, model: Path, tmp_path: Path) -> None:
    assert mrqc("lower", model, "--target", "sym-npu", "-o", tmp_path / "k.tflite").code == 0
    assert [state.input for state in library.load(tmp_path / "k.tflite").states] == ["kept/sum"]
