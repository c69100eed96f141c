"""``mrqc lower`` to ONNX and TFLite: files that the runtimes take, in the model's own scheme or in the target's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import CommandLine
from litert import LiteRT
from numpy.typing import NDArray


@pytest.fixture(scope="module")
def pixels(digits: Path) -> NDArray[Any]:
    """Twenty pictures as the float input takes them."""
    with np.load(digits / "test.npz") as data:
        return data["x"][:20].astype(np.float32)


def in_onnxruntime(path: Path, rows: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    return np.concatenate([session.run(None, {port.name: row.reshape(port.shape)})[0] for row in rows])


def test_a_conversion_keeps_what_the_runtime_computes(
    mrqc: CommandLine, digits: Path, pixels: NDArray[Any], tmp_path: Path
) -> None:
    source = digits / "digits.onnx"
    for form in ("qdq", "qoperator"):
        written = tmp_path / f"{form}.onnx"
        result = mrqc("lower", source, "-o", written, "--onnx-form", form, "--json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["files"] == [str(written)]
        kinds = {node.op_type for node in onnx.load(written).graph.node}
        assert ("QLinearConv" in kinds) == (form == "qoperator")
        found, expected = in_onnxruntime(written, pixels), in_onnxruntime(source, pixels)
        assert np.argmax(found, axis=-1).tolist() == np.argmax(expected, axis=-1).tolist()


def test_a_model_goes_to_tflite_and_back(mrqc: CommandLine, digits: Path, pixels: NDArray[Any], tmp_path: Path) -> None:
    written, again = tmp_path / "digits.tflite", tmp_path / "again.onnx"
    assert mrqc("lower", digits / "digits.onnx", "-o", written).code == 0
    assert mrqc("lower", written, "-o", again).code == 0
    program = LiteRT(written.read_bytes())
    (name,) = [value.name for value in onnx.load(again).graph.input]
    session = onnxruntime.InferenceSession(again.read_bytes(), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    for row in pixels:
        (in_tflite,) = program.run({name: row.reshape(shape)}).values()
        (in_onnx,) = session.run(None, {name: row.reshape(shape)})
        assert np.argmax(in_tflite) == np.argmax(in_onnx)


def test_a_target_moves_the_scheme_first(mrqc: CommandLine, digits: Path, tmp_path: Path) -> None:
    written = tmp_path / "moved.onnx"
    result = mrqc("lower", digits / "digits.onnx", "--target", "pow2-npu", "-o", written)
    assert result.code == 0, result.err
    model = onnx.load(written)
    zero_points = [onnx.numpy_helper.to_array(x) for x in model.graph.initializer if x.name.endswith("_zero_point")]
    assert zero_points
    assert not any(np.any(zero_point) for zero_point in zero_points)


def test_a_failed_export_leaves_the_old_file(mrqc: CommandLine, integer_model: Path, tmp_path: Path) -> None:
    written = tmp_path / "kept.tflite"
    written.write_text("old")
    result = mrqc("lower", integer_model, "-o", written)
    assert result.code == 3
    assert "is not an op over real numbers" in result.err
    assert written.read_text() == "old"
