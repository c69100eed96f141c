"""Generated ONNX files of one operator each, imported and written again: as ONNX byte for byte, as TFLite to a code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from closeness import assert_close
from hypothesis import HealthCheck, Phase, given, settings
from litert import LiteRT
from numpy.typing import NDArray
from onnx_all_cases import ALL_ONNX_CASES
from onnx_single_ops import SAFE_SESSION, Arrays, OnnxCases, SingleOnnxCase, session_of

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import Module

EXAMPLES = 8
"""Files for each operator and type."""

NOT_ALWAYS_IN_TFLITE = {
    "QLinearConv": "a scale for each channel",
    "QLinearMatMul": "a scale for each channel",
    "QGemm": "a scale for each channel",
    "HardSigmoid": "TFLite has no such operator",
    "Elu": "with alpha 1",
    **dict.fromkeys(("Abs", "Exp", "Log", "Sqrt"), "TFLite has signed codes"),
    "QLinearAveragePool": "padding .* that does not count",
}
"""Why an operator may be refused: TFLite has nothing for it."""

FARTHEST = {"Resize linear": 2}
"""Codes that results may differ by, where it is not 1: the operator keeps the scale, a change rounds again."""


def run(content: bytes, config: dict[str, str], rows: tuple[Arrays, ...]) -> list[list[NDArray[Any]]]:
    session = session_of(content, config)
    return [session.run(None, row) for row in rows]


def check_onnx(module: Module, form: str, drawn: SingleOnnxCase, config: dict[str, str]) -> None:
    written = mrqc.emit_onnx(module, form)
    onnx.checker.check_model(onnx.load_from_string(written))
    expected, found = run(drawn.content, config, drawn.rows), run(written, config, drawn.rows)
    for wanted, arrays in zip(expected, found, strict=True):
        for one, other in zip(wanted, arrays, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            assert one.tobytes() == other.tobytes(), f"{module}\n{form}: {np.count_nonzero(one != other)} differ"


def check_tflite(module: Module, drawn: SingleOnnxCase, cases: OnnxCases) -> None:
    try:
        written = LiteRT(mrqc.emit_tflite(module))
    except TargetError as error:
        if not re.search(NOT_ALWAYS_IN_TFLITE.get(cases.operator, "never"), str(error)):
            raise
        return
    names = [output.name for output in module.graph.outputs]
    for row, wanted in zip(drawn.rows, run(drawn.content, SAFE_SESSION[cases.dtype], drawn.rows), strict=True):
        found = written.run(row)
        for name, array in zip(names, wanted, strict=True):
            codes = FARTHEST.get(cases.operator, 1)
            assert_close(found[name], array, f"{module}\nTFLite", codes=codes, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("cases", ALL_ONNX_CASES, ids=str)
def test_a_file_is_written_as_it_was_and_as_tflite(cases: OnnxCases, tmp_path: Path) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(cases.strategy)
    def compare(drawn: SingleOnnxCase) -> None:
        path = tmp_path / "single.onnx"
        path.unlink(missing_ok=True)
        path.write_bytes(drawn.content)
        module = mrqc.load(path)
        check_onnx(module, "qdq", drawn, SAFE_SESSION[cases.dtype])
        check_onnx(module, "qoperator", drawn, SAFE_SESSION[cases.dtype])
        check_tflite(module, drawn, cases)

    compare()
