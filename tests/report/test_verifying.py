from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.calibration import ArraySource, DataSet, InputConverter
from mrqc.errors import InputError
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, TensorType, Value
from mrqc.ops import int as int_ops
from mrqc.report import extreme_and_random_inputs, inputs_from_data, verify_c
from mrqc.report.verification import compare_outputs
from mrqc.testing import int_modules


def clamp_model(dtype: DType = DType.I8, zero_point: int = 0, batch: int = 1) -> Module:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((batch, 5), Element.per_tensor(dtype, 0.5, zero_point)))
    return Module("clamp", builder.finish([Output("y", builder.emit(int_ops.Clamp(x, 0, 50)))]))


def test_the_first_inputs_are_extreme() -> None:
    codes = extreme_and_random_inputs(clamp_model(DType.U8, 7), 6)["x"]
    assert codes.dtype == np.uint8
    assert codes.shape == (6, 5)
    assert codes[:3].tolist() == [[0] * 5, [255] * 5, [7] * 5]
    assert len(np.unique(codes[3:])) > 3
    assert extreme_and_random_inputs(clamp_model(), 1)["x"].tolist() == [[-128] * 5]


def test_inputs_come_in_whole_batches() -> None:
    assert extreme_and_random_inputs(clamp_model(batch=4), 3)["x"].shape == (12, 5)


def data_for(value: Value, samples: NDArray[Any]) -> DataSet:
    return DataSet(Path("d.npz"), ArraySource(samples), None, InputConverter(value))


@settings(max_examples=5)
@given(st.data())
def test_generated_modules_keep_their_bits_in_c(data: st.DataObject) -> None:
    module = data.draw(int_modules())
    result = verify_c(module, extreme_and_random_inputs(module, 5))
    assert result.differing_bytes == 0, result.first_difference
    assert result.samples == 5
    assert result.total_bytes == 5 * sum(output.value.type.bytes for output in module.graph.outputs)


def test_progress_counts_the_samples() -> None:
    told: list[tuple[int, int]] = []
    module = clamp_model()
    verify_c(module, extreme_and_random_inputs(module, 20), progress=lambda done, total: told.append((done, total)))
    assert told == [(8, 20), (16, 20), (20, 20)]


def test_a_difference_is_counted_in_bytes_and_described() -> None:
    module = clamp_model()
    expected = {"y": np.zeros((3, 5), np.int8)}
    found = {"y": expected["y"].copy()}
    found["y"][1, 3], found["y"][2, 0] = 9, 1
    result = compare_outputs(module, expected, found, first_sample=8, samples=3)
    assert (result.samples, result.total_bytes, result.differing_bytes) == (3, 15, 2)
    assert result.first_difference == "output 'y', sample 9, element 3 of 5: simulator 0, C 9"


def test_bytes_of_wider_elements() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", TensorType((1, 2), Element.per_tensor(DType.I16, 1.0)))
    module = Module("wide", builder.finish([Output("y", builder.emit(int_ops.Clamp(x, 0, 500)))]))
    expected: Mapping[str, NDArray[Any]] = {"y": np.array([[0, 256]], np.int16)}
    result = compare_outputs(module, expected, {"y": np.array([[257, 256]], np.int16)}, 0, 1)
    assert (result.total_bytes, result.differing_bytes) == (4, 2)


def test_real_inputs_are_the_first_samples_as_real_values() -> None:
    module = clamp_model(zero_point=1)
    codes = np.arange(20, dtype=np.int8).reshape(4, 5)
    data = data_for(module.graph.inputs[0], codes)
    assert inputs_from_data(module, data, 2)["x"].tolist() == ((codes[:2] - 1) * 0.5).tolist()
    assert len(inputs_from_data(module, data, 16)["x"]) == 4


def test_data_that_does_not_fill_a_batch() -> None:
    module = clamp_model(batch=4)
    data = data_for(module.graph.inputs[0], np.zeros((7, 5), np.int8))
    assert len(inputs_from_data(module, data, 16)["x"]) == 4
    with pytest.raises(InputError, match="3 samples do not fill a batch of 4"):
        inputs_from_data(module, data_for(module.graph.inputs[0], np.zeros((3, 5), np.int8)), 16)
