"""Generated files of one operator each: mrqc's simulator and C give LiteRT's bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from all_cases import ALL_CASES, BUILTINS
from single_op_counts import SingleOpCount
from single_ops import check, examples_for

FORM, ORACLE = "TensorFlow Lite", "LiteRT's reference kernels"


@pytest.mark.parametrize("builtin", BUILTINS)
def test_the_runtime_agrees(builtin: str, record_property: Callable[[str, object], None]) -> None:
    for cases, outcome in check(builtin).items():
        assert outcome.simulated >= examples_for(cases) // 2, "the strategy finds too few different cases"
        if cases.target is not None:
            count = SingleOpCount(FORM, ORACLE, builtin, cases.dtype, outcome.simulated, outcome.compiled)
            count.record(record_property)


def test_no_operator_and_type_is_registered_twice() -> None:
    names = [str(cases) for cases in ALL_CASES]
    assert len(names) == len(set(names))
