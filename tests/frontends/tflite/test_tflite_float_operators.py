"""Operators that the runtime has for floats only, or that fold into constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agrees, imported
from tflite_files import Scales, TfliteFile, options

from mrqc.errors import InputError
from mrqc.ir import DType
from mrqc.ops import nn

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize(("builtin", "table"), [("NEG", "NegOptions"), ("SQUARE", "SquareOptions")])
def test_functions_of_floats(tmp_path: Path, builtin: str, table: str) -> None:
    file = TfliteFile()
    file.operator(
        builtin, [file.input("f32", (2, 3), name="x")], [file.output("f32", (2, 3), name="y")], options(table)
    )
    module = assert_agrees(file, tmp_path, x=RANDOM.normal(0, 3, (2, 3)).astype(np.float32))
    assert any(isinstance(statement.op, nn.Mul) for statement in module.graph.statements)


@pytest.mark.parametrize(("builtin", "table"), [("NEG", "NegOptions"), ("SQUARE", "SquareOptions")])
def test_codes_are_refused_where_the_runtime_has_floats(tmp_path: Path, builtin: str, table: str) -> None:
    file = TfliteFile()
    scales = Scales.one(0.5, 3)
    file.operator(builtin, [file.input("i8", (2,), scales)], [file.output("i8", (2,), scales)], options(table))
    with pytest.raises(InputError, match=f"{builtin} operator 0 't1': of i8 codes"):
        imported(file, tmp_path)


@pytest.mark.parametrize("number", [2, 4])
def test_sums_of_many_floats(tmp_path: Path, number: int) -> None:
    file = TfliteFile()
    inputs = [file.input("f32", (2, 3), name=f"x{index}") for index in range(number)]
    file.operator("ADD_N", inputs, [file.output("f32", (2, 3), name="y")], options("AddNOptions"))
    arrays = {f"x{index}": RANDOM.normal(0, 3, (2, 3)).astype(np.float32) for index in range(number)}
    assert_agrees(file, tmp_path, **arrays)


def test_a_shape_filled_with_a_number(tmp_path: Path) -> None:
    file = TfliteFile()
    filled = file.tensor("f32", (1, 2, 3))
    file.operator("FILL", [file.integers([1, 2, 3]), file.constant(np.float32(0.5))], [filled], options("FillOptions"))
    x, y = file.input("f32", (1, 2, 3), name="x"), file.output("f32", (1, 2, 3), name="y")
    file.operator("ADD", [x, filled], [y], options("AddOptions"))
    assert_agrees(file, tmp_path, x=RANDOM.normal(0, 3, (1, 2, 3)).astype(np.float32))


@pytest.mark.parametrize("scales", [Scales.one(0.3, 5), Scales.along(0, [0.3, 0.02])], ids=["tensor", "channels"])
def test_weights_that_are_quantized_and_dequantized_in_the_file(tmp_path: Path, scales: Scales) -> None:
    """Converters leave this of a model that was trained with quantization in mind and is converted to floats."""
    file = TfliteFile()
    # Ties, and what saturates.
    real = np.array([[0.15, -0.45, 0.2999, 80.0], [-0.01, 0.03, -90.0, 0.05]], np.float32)
    weight, codes, rounded = file.constant(real), file.tensor("i8", (2, 4), scales), file.tensor("f32", (2, 4))
    file.operator("QUANTIZE", [weight], [codes], options("QuantizeOptions"))
    file.operator("DEQUANTIZE", [codes], [rounded], options("DequantizeOptions"), version=5)
    x, y = file.input("f32", (1, 4), name="x"), file.output("f32", (1, 2), name="y")
    file.operator("FULLY_CONNECTED", [x, rounded], [y], options("FullyConnectedOptions"))
    module = assert_agrees(file, tmp_path, x=np.array([[1.0, 1e-2, -1.0, 1e-1]], np.float32))
    assert [value.type.dtype for value in module.graph.values()] == [DType.F32] * 3


def test_a_constant_that_is_no_number_cannot_be_quantized(tmp_path: Path) -> None:
    file = TfliteFile()
    codes = file.output("i8", (2,), Scales.one(0.5))
    file.operator("QUANTIZE", [file.constant(np.array([1, np.nan], np.float32))], [codes], options("QuantizeOptions"))
    file.input("f32", (2,))
    with pytest.raises(InputError, match="QUANTIZE operator 0 't0': constant 't1' is not finite"):
        imported(file, tmp_path)
