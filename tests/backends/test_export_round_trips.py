"""Real models, imported and written again: the runtime's answers stay, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from litert import LiteRT
from numpy.typing import NDArray

import mrqc
from mrqc.ir import DType, Module

TFLITE = [
    "ad_autoencoder_s8",
    "kws_dscnn_f32",
    "kws_dscnn_s8",
    "mobilenet_v1_025_128_qat_u8",
    "mobilenet_v2_ptq_s8",
    "mobilenet_v2_qat_u8",
    "resnet8_f32",
    "resnet8_s8",
    "vww_mobilenet_s8",
]
QDQ = ["mobilenet_v2_ptq_s8", "mobilenet_v2_qat_u8", "resnet8.qdq.s8_pc", "resnet8.qdq.u8"]
FLOAT = [
    "ad_autoencoder_f32",
    "kws_dscnn_f32",
    "repvgg_cifar10_branches_f32",
    "repvgg_cifar10_deploy_f32",
    "resnet8_f32",
    "vww_mobilenet_f32",
]
QOPERATOR = ["resnet8.qoperator.s8_pc", "resnet8.qoperator.u8"]

SAMPLES = 4
FLOAT_SAMPLES = 12

pytestmark = pytest.mark.assets


def samples(module: Module, count: int = SAMPLES) -> list[dict[str, NDArray[Any]]]:
    """Random inputs: every code, or pixels for floats; the extremes first."""
    random = np.random.default_rng(3)
    rows: list[dict[str, NDArray[Any]]] = []
    for index in range(count):
        row: dict[str, NDArray[Any]] = {}
        for value in module.graph.inputs:
            dtype, shape = value.type.dtype, value.type.shape
            low, high = (0, 255) if dtype is DType.F32 else (dtype.minimum, dtype.maximum)
            codes = random.integers(low, high + 1, shape) if index > 1 else np.full(shape, (low, high)[index])
            row[value.name] = codes.astype(dtype.numpy)
        rows.append(row)
    return rows


def in_litert(content: bytes, rows: list[dict[str, NDArray[Any]]]) -> list[NDArray[Any]]:
    """The first output for each row."""
    return [next(iter(outputs.values())) for outputs in LiteRT(content).run_all(rows)]


def in_onnxruntime(content: bytes, rows: list[dict[str, NDArray[Any]]]) -> list[NDArray[Any]]:
    """The first output for each row."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return [session.run(None, row)[0] for row in rows]


def floats(module: Module) -> list[dict[str, NDArray[Any]]]:
    """Noise, pixels, extremes of several kinds, then noise of all sizes."""
    (value,) = module.graph.inputs
    random, shape = np.random.default_rng(7), value.type.shape
    rows: list[NDArray[Any]] = [
        random.normal(size=shape),
        random.choice([0.0, -0.0, 255.0, -255.0, 1e-30, 1e4], shape),
        random.uniform(0, 255, shape),
        np.full(shape, 1e6),
        *(np.full(shape, number) for number in (0.0, 1.0, 255.0, -1e-40)),
        random.choice([-1e6, 1e6], shape),
    ]
    rows += [random.normal(scale=2.0**index, size=shape) for index in (-4, 4, 10)]
    assert len(rows) == FLOAT_SAMPLES
    return [{value.name: row.astype(np.float32)} for row in rows]


def float_bits(content: bytes, level: object, rows: list[dict[str, NDArray[Any]]]) -> list[NDArray[np.uint32]]:
    """The bits of the first output for each row, in one thread."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [session.run(None, row)[0].view(np.uint32) for row in rows]


def different(found: list[NDArray[Any]], expected: list[NDArray[Any]]) -> int:
    assert [array.shape for array in found] == [array.shape for array in expected]
    assert [array.dtype for array in found] == [array.dtype for array in expected]
    return sum(int(np.count_nonzero(a != b)) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", TFLITE)
def test_tflite_to_tflite(assets: Path, name: str) -> None:
    path = assets / "models" / f"{name}.tflite"
    module = mrqc.load(path)
    rows = samples(module)
    written = mrqc.emit_tflite(module)
    assert different(in_litert(written, rows), in_litert(path.read_bytes(), rows)) == 0


@pytest.mark.parametrize(
    ("name", "form"), [*((name, "qdq") for name in QDQ), *((name, "qoperator") for name in QOPERATOR)]
)
def test_onnx_to_onnx(assets: Path, name: str, form: str) -> None:
    path = assets / "models" / f"{name}.onnx"
    module = mrqc.load(path)
    rows = samples(module)
    written = mrqc.emit_onnx(module, form)
    onnx.checker.check_model(onnx.load_from_string(written))
    assert different(in_onnxruntime(written, rows), in_onnxruntime(path.read_bytes(), rows)) == 0


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_ALL"])
@pytest.mark.parametrize("name", FLOAT)
def test_floats_keep_every_bit(assets: Path, name: str, level: str) -> None:
    path = assets / "models" / f"{name}.onnx"
    module = mrqc.load(path)
    rows = floats(module)
    written = mrqc.emit_onnx(module)
    onnx.checker.check_model(onnx.load_from_string(written))
    optimization = getattr(onnxruntime.GraphOptimizationLevel, level)
    expected = float_bits(path.read_bytes(), optimization, rows)
    assert different(float_bits(written, optimization, rows), expected) == 0
    assert len({bits.tobytes() for bits in expected}) > FLOAT_SAMPLES // 2


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_what_is_written_is_imported_as_the_same_statements(assets: Path, tmp_path: Path, suffix: str) -> None:
    module = mrqc.load(assets / "models" / "mobilenet_v2_qat_u8.tflite")
    written = tmp_path / f"again.{suffix}"
    emit: Callable[[Module], bytes] = mrqc.emit_tflite if suffix == "tflite" else mrqc.emit_onnx
    written.write_bytes(emit(module))
    assert parameters(mrqc.load(written)) == parameters(module)


def parameters(module: Module) -> Counter[tuple[str, object]]:
    """Every computed op with its element and attributes but no names, and every constant."""
    found: Counter[tuple[str, object]] = Counter()
    for statement in module.graph.statements:
        found[statement.op.mnemonic, statement.result.type.element] += 1
    return found
