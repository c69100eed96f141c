"""Layers in which floats meet weights of codes: written again, they are rounded by the runtime as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import imported
from litert import LiteRT
from tflite_files import SAME, Scales, TfliteFile, options

import mrqc

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_rounding_of_inputs_is_kept(tmp_path: Path, asymmetric: bool) -> None:
    file = TfliteFile()
    codes = RANDOM.integers(-127, 128, (8, 16)).astype(np.int8)
    weight = file.constant(codes, Scales.along(0, RANDOM.uniform(0.01, 0.1, 8).tolist()))
    x, y = file.input("f32", (1, 16), name="x"), file.output("f32", (1, 8), name="y")
    table = options("FullyConnectedOptions", asymmetric_quantize_inputs=asymmetric)
    file.operator("FULLY_CONNECTED", [x, weight], [y], table, version=12)
    array = RANDOM.uniform(1, 3, (1, 16)).astype(np.float32)
    expected = LiteRT(file.content()).run({"x": array})["y"]
    module = imported(file, tmp_path)
    assert module.fact("hybrid") == ("asymmetric" if asymmetric else None)
    found = LiteRT(mrqc.emit_tflite(module)).run({"x": array})["y"]
    assert found.tobytes() == expected.tobytes()


def test_transposed_convolutions(tmp_path: Path) -> None:
    file = TfliteFile()
    codes = RANDOM.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    weight = file.constant(codes, Scales.along(0, RANDOM.uniform(0.01, 0.1, 4).tolist()))
    x, y = file.input("f32", (1, 3, 3, 2), name="x"), file.output("f32", (1, 6, 6, 4), name="y")
    table = options("TransposeConvOptions", padding=SAME, stride_h=2, stride_w=2)
    file.operator("TRANSPOSE_CONV", [file.integers([1, 6, 6, 4]), weight, x], [y], table, version=2)
    array = RANDOM.normal(0, 1, (1, 3, 3, 2)).astype(np.float32)
    expected = LiteRT(file.content()).run({"x": array})["y"]
    found = LiteRT(mrqc.emit_tflite(imported(file, tmp_path))).run({"x": array})["y"]
    assert found.tobytes() == expected.tobytes()
