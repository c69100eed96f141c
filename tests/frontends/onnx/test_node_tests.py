"""The node tests of the onnx package: what is imported computes what they say, and what is refused is listed."""

from __future__ import annotations

import json

import pytest
from node_tests import REFUSALS, NodeTest, differences, node_tests, refusals

REFUSED: dict[str, str] = json.loads(REFUSALS.read_text(encoding="utf-8"))
SUPPORTED = [test for test in node_tests() if test.name not in REFUSED]


@pytest.mark.parametrize("test", SUPPORTED, ids=lambda test: test.name)
def test_the_reference_gives_what_the_test_says(test: NodeTest) -> None:
    assert list(differences(test)) == []


def test_what_is_refused_is_listed_with_its_reason() -> None:
    assert refusals() == REFUSED, "write the list anew: python tests/frontends/onnx/node_tests.py"


def test_the_operators_on_codes_are_covered() -> None:
    operators = {test.model.graph.node[0].op_type for test in SUPPORTED}
    assert {"QLinearConv", "QLinearMatMul", "QuantizeLinear", "DequantizeLinear"} <= operators
    assert {"ConvInteger", "MatMulInteger", "Transpose", "Reshape"} <= operators
