"""Unsigned images of any size: LiteRT interpolates in single precision, and so does the simulator, bit for bit."""

import tempfile
from pathlib import Path

import numpy as np
from cases_moves import resize_any_unsigned
from hypothesis import given
from hypothesis import strategies as st
from litert import LiteRT
from single_ops import SingleOpCase, assert_same_bytes

import mrqc
from mrqc.backends.tflite import export_tflite
from mrqc.ir import DType, Element, GraphBuilder, Module, Output, TensorType
from mrqc.ops import nn


@given(st.composite(resize_any_unsigned)("u8"))
def test_single_precision_is_reproduced(drawn: SingleOpCase) -> None:
    expected = LiteRT(drawn.content).run_all(drawn.rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resize.tflite"
        path.write_bytes(drawn.content)
        program = mrqc.simulate(mrqc.lower(mrqc.load(path), "tflite"))
    for row, outputs in zip(drawn.rows, expected, strict=True):
        for name, found in program.run(row).items():
            assert_same_bytes(found, outputs[name], name)


def test_a_trace_of_a_row_decides_the_tie_between_two_columns() -> None:
    """One row becomes three: its weights 4/3 and -1/3 leave a trace in single precision, just below 112.5."""
    builder = GraphBuilder()
    image = builder.add_input("x", TensorType((1, 1, 2, 1), Element.per_tensor(DType.U8, 1.0)))
    resized = nn.ResizeBilinear(image, (3, 1), nn.Coordinates.HALF_PIXEL, image.type.element)
    module = Module("resize", builder.finish([Output("y", builder.emit(resized))]))
    pixels = np.array([95, 130], np.uint8).reshape(1, 1, 2, 1)
    (expected,) = LiteRT(export_tflite(module)).run({"x": pixels}).values()
    (found,) = mrqc.simulate(mrqc.lower(module, "tflite")).run(pixels).values()
    assert found.tolist() == expected.tolist()
    assert found.ravel().tolist() == [112, 113, 113]
