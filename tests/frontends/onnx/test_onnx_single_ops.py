"""Generated ONNX files of one operator each: mrqc's simulator gives ONNX Runtime's bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from onnx_all_cases import ALL_ONNX_CASES
from onnx_single_ops import OnnxCases, check, examples_for
from single_op_counts import SingleOpCount


@pytest.mark.parametrize("cases", ALL_ONNX_CASES, ids=str)
def test_onnxruntime_agrees(cases: OnnxCases, record_property: Callable[[str, object], None]) -> None:
    agreed = check(cases)
    assert agreed >= examples_for(cases) // 2, "the strategy finds too few different cases"
    count = SingleOpCount(f"ONNX, {cases.form} form", "ONNX Runtime", cases.operator, cases.dtype, agreed)
    count.record(record_property)


def test_no_operator_and_type_is_registered_twice() -> None:
    names = [str(cases) for cases in ALL_ONNX_CASES]
    assert len(names) == len(set(names))
