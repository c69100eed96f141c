"""Reductions, moves and resizes survive a TFLite file, and mean the same to ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mrqc
from mrqc.backends.onnx import export_onnx
from mrqc.backends.tflite import export_tflite
from mrqc.compiler import reference
from mrqc.errors import TargetError
from mrqc.ir import Op
from mrqc.ops import nn
from mrqc.testing import op_modules, random_inputs

MOVES = (nn.Pad, nn.MirrorPad, nn.Concat, nn.Slice, nn.Take, nn.ArgMax, nn.Mean, nn.Sum)
RESIZES = (nn.ResizeBilinear, nn.ResizeNearest)


@pytest.mark.parametrize("op", [*MOVES, *RESIZES], ids=lambda op: op.mnemonic)
@given(data=st.data())
@settings(max_examples=15)
def test_a_tflite_file_means_the_same(
    op: type[Op], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    module = data.draw(op_modules(op))
    file = Path(tmp_path_factory.mktemp("export")) / "moved.tflite"
    try:
        file.write_bytes(export_tflite(module))
    except TargetError:
        assume(False)
    inputs = random_inputs(module, 1)
    expected, found = reference(module).run(inputs), reference(mrqc.load(file)).run(inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize("op", MOVES, ids=lambda op: op.mnemonic)
@given(data=st.data())
@settings(max_examples=15)
def test_onnx_runtime_agrees_to_within_a_code(op: type[Op], data: st.DataObject) -> None:
    module = data.draw(op_modules(op))
    session = onnxruntime.InferenceSession(export_onnx(module))
    inputs = random_inputs(module, 1)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, inputs), strict=True))
    for name, array in reference(module).run(inputs).items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        # Single precision may round to the other side of the middle between two codes.
        assert np.abs(found[name].astype(np.int64) - array).max() <= 1
