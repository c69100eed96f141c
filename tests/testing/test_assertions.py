"""The assertions fail where they must, and say where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mrqc.ir import DType, Element, GraphBuilder, Module, Output, Statement, TensorType, Value, rewrite
from mrqc.numerics import Rounding
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.testing import (
    assert_c_matches_simulator,
    assert_pass_exact,
    assert_round_trips,
    assert_same_arrays,
    assert_well_formed,
    random_inputs,
)

CODES = TensorType((1, 4), Element.per_tensor(DType.I8, 0.5))


def clamping(maximum: int) -> Module:
    builder = GraphBuilder()
    x = builder.add_input("x", CODES)
    return Module("m", builder.finish([Output("y", builder.emit(int_ops.Clamp(x, -10, maximum)))]))


class Loosen:
    """A pass that is wrong by one code."""

    name = "loosen"

    def __call__(self, module: Module) -> Module:
        def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
            op = statement.op
            return (builder.emit(replace(op, maximum=op.maximum + 1)),) if isinstance(op, int_ops.Clamp) else None

        return rewrite(module, rule)


def test_an_exact_pass_passes_and_its_result_is_returned() -> None:
    module = clamping(10)
    assert assert_pass_exact(lambda module: module, module) is module


def test_a_pass_that_changes_a_bit_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"loosen is not exact:\n  y: \d+ of 32 elements differ.*10 became 11"):
        assert_pass_exact(Loosen(), clamping(10))


def test_a_pass_that_breaks_the_module_is_caught() -> None:
    with pytest.raises(AssertionError, match="not well formed"):
        assert_pass_exact(Loosen(), clamping(127))


def test_a_pass_that_changes_the_inputs_is_caught() -> None:
    def widen(module: Module) -> Module:
        builder = GraphBuilder()
        x = builder.add_input("x", CODES.with_element(Element.per_tensor(DType.I16, 0.5)))
        return module.with_graph(builder.finish([Output("y", x)]))

    with pytest.raises(AssertionError, match="changed the inputs"):
        assert_pass_exact(widen, clamping(10))


def test_nn_modules_are_compared_over_the_reals() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", CODES)
    y = builder.emit(nn.Clip(x, (0.0, 6.0), CODES.element))
    module = Module("m", builder.finish([Output("y", y)]))

    def unclip(module: Module) -> Module:
        return module.with_graph(replace(module.graph, outputs=(Output("y", x),)))

    with pytest.raises(AssertionError, match="pass function is not exact"):
        assert_pass_exact(unclip, module)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"y": np.array([1, 3], np.int8)}, r"y: 1 of 2 elements differ, first at \[1\]: 2 became 3"),
        ({"y": np.array([1, 2], np.uint8)}, r"y: int8\[2\] became uint8\[2\]"),
        ({"y": np.array([[1, 2]], np.int8)}, r"y: int8\[2\] became int8\[1, 2\]"),
        ({"z": np.array([1, 2], np.int8)}, r"outputs \['y'\] became \['z'\]"),
    ],
)
def test_differing_arrays_are_described(found: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_same_arrays({"y": np.array([1, 2], np.int8)}, found, "test")


def test_text_that_loses_something_is_caught() -> None:
    module = clamping(10)
    unsorted = replace(module, metadata=(("a", "1"), ("a", "2")))
    with pytest.raises(Exception, match="given twice"):
        assert_round_trips(unsorted)


def test_a_malformed_module_is_described() -> None:
    with pytest.raises(AssertionError, match="C identifier"):
        assert_well_formed(replace(clamping(10), name="no name"))


def test_the_c_of_a_small_module_matches() -> None:
    builder = GraphBuilder()
    x = builder.add_input("x", CODES)
    requantize = int_ops.Requantize((3,), (2,), Rounding.HALF_EVEN, 1, -100, 100)
    y = builder.emit(int_ops.Rescale(x, 2, requantize, CODES.element))
    module = Module("m", builder.finish([Output("y", y)]))
    inputs = random_inputs(module, 4)
    assert_c_matches_simulator(module, inputs)
    with pytest.raises(AssertionError, match="not exact"):
        assert_pass_exact(lambda _: clamping(10), module)
