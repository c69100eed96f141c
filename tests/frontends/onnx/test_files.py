"""Files that are no ONNX models, or were once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, numpy_helper
from onnx_models import Graph

from mrqc.errors import InputError
from mrqc.frontends.onnx import import_onnx
from mrqc.ir import Module, verify
from mrqc.passes.fold_qdq import FoldQdq


def small_model() -> ModelProto:
    graph = Graph()
    random = np.random.default_rng(1)
    image = graph.node("Transpose", graph.input("x", ("N", 4, 4, 3), TensorProto.UINT8), perm=[0, 3, 1, 2])
    image = graph.dequantize(image, 0.02, 128)
    weight = graph.weight(random.integers(-9, 9, (2, 3, 2, 2), np.int8), [0.1, 0.2], [0, 0], axis=0)
    bias = graph.weight(np.int32([5, -5]), 0.002)
    image = graph.node("Conv", image, weight, bias, pads=[1, 0, 0, 1], strides=[1, 2])
    image = graph.node("Clip", image, graph.constant(np.float32(0)), graph.constant(np.float32(6)))
    image = graph.node("AveragePool", graph.requantize(image, 0.05, 3), kernel_shape=[2, 1], ceil_mode=0)
    flat = graph.node("Reshape", graph.requantize(image, 0.05, 3), graph.constant(np.array([0, -1])))
    inner = graph.weight(random.integers(-9, 9, (12, 4), np.int8), 0.1)
    flat = graph.requantize(graph.node("Gemm", flat, inner, alpha=0.5), 0.05, 3)
    flat = graph.node("Softmax", graph.requantize(graph.node("Add", flat, flat), 0.05, 3), axis=-1)
    graph.output(graph.quantize(flat, 1 / 256), TensorProto.UINT8)
    return graph.model()


WHOLE = small_model().SerializeToString()


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_onnx(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_whole_model_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "whole.onnx"
    path.write_bytes(WHOLE)
    module = FoldQdq()(import_onnx(path))
    assert verify(module) == []
    assert all(value.type.dtype.is_integer for value in module.graph.values())


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be read: no such file or directory" in message_of(tmp_path / "none.onnx")


def test_a_directory(tmp_path: Path) -> None:
    assert message_of(tmp_path) == f"{tmp_path}: expected an ONNX file, found a directory"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    assert "found an empty file" in message_of(path)


def test_a_cut_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(WHOLE[:-100])
    assert "not an ONNX model, or cut short: found" in message_of(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x1c\0\0\0TFL3\0\0\0\0\0\0", "a TensorFlow Lite model"),
        (b"PK\x03\x04 and so on", "a zip archive"),
        (b"module @net { }", "15 bytes that begin with b'module @net { }'"),
        (b"\0" * 100, "100 bytes that begin with"),
    ],
)
def test_other_files(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    assert found in message_of(path)


def test_a_model_without_a_graph(tmp_path: Path) -> None:
    path = tmp_path / "hollow.onnx"
    path.write_bytes(ModelProto(ir_version=8, producer_name="nobody").SerializeToString())
    assert "there is no graph in it" in message_of(path)


def test_external_data(tmp_path: Path) -> None:
    model = small_model()
    whole = import_onnx(_written(tmp_path / "whole.onnx", model))
    path = tmp_path / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert import_onnx(path).graph == whole.graph
    (tmp_path / "weights.bin").unlink()
    assert "its external data cannot be read" in message_of(path)


def _written(path: Path, model: ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("dims", "raw", "reason"),
    [
        ([3, 4], b"\0" * 11, "11 bytes of data do not fill shape [3, 4] of int8"),
        ([-1, 4], b"", "its shape [-1, 4] is not one of a tensor"),
        ([2**41, 0], b"", "its shape [2199023255552, 0] is not one of a tensor"),
        ([2**30, 2**30], b"\0", "its shape [1073741824, 1073741824] is not one of a tensor"),
    ],
)
def test_initializers_that_do_not_add_up(dims: list[int], raw: bytes, reason: str, tmp_path: Path) -> None:
    model = small_model()
    broken = TensorProto(name=model.graph.initializer[2].name, data_type=TensorProto.INT8, dims=dims)
    broken.raw_data = raw
    model.graph.initializer[2].CopyFrom(broken)
    assert reason in message_of(_written(tmp_path / "broken.onnx", model))


def test_initializers_in_typed_fields(tmp_path: Path) -> None:
    model = small_model()
    whole = import_onnx(_written(tmp_path / "net.onnx", model))
    fields = {TensorProto.FLOAT: "float_data", TensorProto.INT64: "int64_data"}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        getattr(tensor, fields.get(tensor.data_type, "int32_data")).extend(array.reshape(-1).tolist())
    assert import_onnx(_written(tmp_path / "net.onnx", model)) == whole


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(WHOLE)),
    flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_are_refused_or_imported(cut: int, flips: list[tuple[int, int]], tmp_path: Path) -> None:
    content = bytearray(WHOLE)
    for position, byte in flips:
        content[position] = byte
    # Cuts are rarer than flips: nearly all of them stop at the first length that does not fit.
    damaged = bytes(content[:cut] if cut % 4 == 0 else content)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damaged)
    outcome = outcome_of(path)
    if isinstance(outcome, InputError):
        assert str(path) in str(outcome)
        assert str(outcome).encode("utf-8")
    else:
        assert verify(outcome) == []
        assert verify(FoldQdq()(outcome)) == []


def outcome_of(path: Path) -> Module | InputError:
    try:
        return import_onnx(path)
    except InputError as error:
        return error
