"""Reductions, moves and resizes survive a TFLite file, and mean the same to ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import mrqc
from mrqc.backends.onnx import export_onnx
from mrqc.backends.tflite import export_tflite
from mrqc.compiler import reference
from mrqc.errors import TargetError
from mrqc.ir import DType, Element, Module, Op, Output, TensorType
from mrqc.ir.rewrite import GraphBuilder
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


@given(
    size=st.integers(1, 12),
    result=st.integers(1, 12),
    coordinates=st.sampled_from(nn.Coordinates),
    rounding=st.sampled_from(nn.Nearest),
)
@example(size=7, result=1, coordinates=nn.Coordinates.HALF_PIXEL, rounding=nn.Nearest.FLOOR)
@settings(max_examples=100)
def test_onnx_runtime_chooses_the_same_pixels(
    size: int, result: int, coordinates: nn.Coordinates, rounding: nn.Nearest
) -> None:
    element = Element.per_tensor(DType.I8, 2.0**-7, -32)
    builder = GraphBuilder()
    image = builder.add_input("image", TensorType((1, size, 1, 1), element))
    op = nn.ResizeNearest(image, (result, 1), coordinates, rounding, element)
    session = onnxruntime.InferenceSession(
        export_onnx(Module("resize", builder.finish([Output("result", builder.emit(op))])))
    )
    rows = np.arange(size, dtype=np.int8).reshape(session.get_inputs()[0].shape)
    (found,) = session.run(None, {"image": rows})
    assert np.ravel(found).tolist() == list(op.indices(0))
