"""Calibration of models with states: samples are one stream, and the original says what it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrqc.calibration import CalibrationSamples, Teacher, only_input
from mrqc.errors import InputError
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, State, TensorType
from mrqc.ops import nn

CODES = Element.per_tensor(DType.I8, 0.5, 3)


def running_sum(batch: int = 1) -> Module:
    builder = GraphBuilder()
    x, s = (builder.add_input(name, TensorType((batch, 2), CODES)) for name in ("x", "s"))
    y = builder.emit(nn.Add(x, s, element=CODES))
    return Module("sums", builder.finish([Output("y", y), Output("n", y)]), states=(State("s", "n", 1.0),))


def stream(steps: int, batch: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(-4, 12, (steps * batch, 2)).astype(np.int8)


@pytest.mark.parametrize("batch", [1, 3])
def test_states_are_those_that_the_stream_comes_to(batch: int) -> None:
    module, x = running_sum(batch), stream(7, batch)
    samples = CalibrationSamples.of(x, module)
    assert len(samples) == 7
    total = np.full((batch, 2), 5, np.int64)
    for step in range(7):
        found = samples.read(step, step + 1)
        np.testing.assert_array_equal(found["s"], total)
        total = np.clip(total + found["x"] - 3, -128, 127)


def test_fewer_samples_are_taken_of_the_whole_stream(tmp_path: Path) -> None:
    module, x = running_sum(), stream(40)
    np.savez(tmp_path / "x.npz", x=x)
    every = CalibrationSamples.open(tmp_path / "x.npz", module, limit=None)
    some = CalibrationSamples.open(tmp_path / "x.npz", module, limit=4)
    assert (len(every), len(some)) == (40, 4)
    np.testing.assert_array_equal(some.read(3, 4)["s"], every.read(30, 31)["s"])
    assert Teacher(module, some).statistics["s"].moments.count == 4


def test_given_states_are_taken_as_they_are() -> None:
    module = running_sum()
    samples = CalibrationSamples.of({"x": stream(3), "s": np.full((3, 2), 9, np.int8)}, module)
    assert (samples.read(0, 3)["s"] == 9).all()


def test_other_inputs_than_states_must_be_there() -> None:
    assert only_input(running_sum()).name == "x"
    with pytest.raises(InputError, match="input 'x' is missing"):
        CalibrationSamples.of({"s": np.zeros((3, 2), np.int8)}, running_sum())
