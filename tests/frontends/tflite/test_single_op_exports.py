"""Generated files of one operator each, imported and written again: as TFLite byte for byte, as ONNX to a code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from all_cases import ALL_CASES, BUILTINS
from closeness import assert_close
from hypothesis import HealthCheck, Phase, given, settings
from litert import Arrays, LiteRT
from single_ops import SingleOpCase, assert_same_bytes

import mrqc
from mrqc.ir import Module

EXAMPLES = 8
"""Files for each operator and type."""


def check_tflite(module: Module, drawn: SingleOpCase) -> None:
    expected = LiteRT(drawn.content).run_all(drawn.rows)
    found = LiteRT(mrqc.emit_tflite(module)).run_all(drawn.rows)
    for row, outputs in zip(found, expected, strict=True):
        assert row.keys() == outputs.keys()
        for name, array in outputs.items():
            assert_same_bytes(row[name], array, module, f"output {name!r}")


def misread_by_onnxruntime(module: Module) -> bool:
    """Whether a quantized softmax has rows of one element, for which the runtime gives 0 in place of 1."""
    return any(
        statement.op.mnemonic == "nn.softmax" and statement.result.type.shape[-1] == 1
        for statement in module.graph.statements
    )


def session(content: bytes, row: Arrays) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(onnx.load_from_string(content))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # Products of unsigned and signed bytes saturate in 16 bits on processors without dot products: keep unsigned
    # activations from signed weights, and signed activations signed.
    is_unsigned = any(array.dtype == np.uint8 for array in row.values())
    entry = "session.x64quantprecision" if is_unsigned else "session.qdqisint8allowed"
    options.add_session_config_entry(entry, "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def check_onnx(module: Module, drawn: SingleOpCase, form: str) -> None:
    """Compare with the reals, rounded once: TFLite's own kernels are farther from them for 16-bit codes."""
    program, runtime = mrqc.reference(module), session(mrqc.emit_onnx(module, form), drawn.rows[0])
    names = [output.name for output in module.graph.outputs]
    for row in drawn.rows:
        expected = program.run(dict(row))
        for name, array in zip(names, runtime.run(None, dict(row)), strict=True):
            assert_close(array, expected[name], f"{module}\n{form}, output {name!r}")


@pytest.mark.parametrize("builtin", BUILTINS)
def test_a_file_is_written_as_it_was_and_as_onnx(builtin: str, tmp_path: Path) -> None:
    for cases in ALL_CASES:
        if cases.builtin != builtin:
            continue

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(cases.strategy)
        def compare(drawn: SingleOpCase) -> None:
            path = tmp_path / "single.tflite"
            path.unlink(missing_ok=True)
            path.write_bytes(drawn.content)
            module = mrqc.load(path)
            check_tflite(module, drawn)
            if not misread_by_onnxruntime(module):
                check_onnx(module, drawn, "qdq")
                check_onnx(module, drawn, "qoperator")

        compare()
