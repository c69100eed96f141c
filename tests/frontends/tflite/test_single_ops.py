"""Generated files of one operator each: mrqc's simulator and C give LiteRT's bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from all_cases import ALL_CASES
from single_ops import OperatorCases, check, examples_for


@pytest.mark.parametrize("cases", ALL_CASES, ids=str)
def test_the_runtime_agrees(cases: OperatorCases, record_property: Callable[[str, object], None]) -> None:
    outcome = check(cases)
    assert outcome.simulated >= examples_for(cases) // 2, "the strategy finds too few different cases"
    if cases.target is not None:
        record_property("single_op", (cases.builtin, cases.dtype, outcome.simulated, outcome.compiled))


def test_no_operator_and_type_is_registered_twice() -> None:
    names = [str(cases) for cases in ALL_CASES]
    assert len(names) == len(set(names))
