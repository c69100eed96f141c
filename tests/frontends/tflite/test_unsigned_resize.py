"""Unsigned images of any size: LiteRT interpolates in single precision, and so does the simulator, bit for bit."""

import tempfile
from pathlib import Path

from cases_moves import resize_any_unsigned
from hypothesis import given
from hypothesis import strategies as st
from litert import LiteRT
from single_ops import SingleOpCase, assert_same_bytes

import mrqc


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
