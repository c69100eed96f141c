"""Every op, alone in a generated module, written by both exporters and run: at most one code from the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from litert import LiteRT
from numpy.typing import NDArray

import mrqc
from mrqc.errors import TargetError
from mrqc.ir import DType, Element, Module, Op
from mrqc.ops import NN_OPS, nn
from mrqc.testing import inputs_for, op_modules

WRITTEN = tuple(op for op in NN_OPS if op is not nn.Constant)
EXAMPLES = 12

NOT_IN_TFLITE = (nn.HardSigmoid,)
"""Ops that no operator of the format stands for."""


def emitted(module: Module, format_: str) -> bytes:
    """Return the file; modules that the format cannot hold are not counted."""
    try:
        if format_ == "tflite":
            return mrqc.emit_tflite(module)
        return mrqc.emit_onnx(module, format_)
    except TargetError:
        assume(False)
        raise


def misread(op: Op, format_: str) -> bool:
    """What the runtimes themselves get wrong.

    LiteRT's reference kernel of SUM takes signed codes for unsigned ones, and its fixed-point LOG_SOFTMAX drifts away
    by some codes where a row is long. ONNX Runtime's QLinearSoftmax, which it also makes of a quantized Softmax, gives
    0 for the probability 1 of a row of one unsigned element.
    """
    if isinstance(op, nn.Sqrt | nn.Rsqrt) and format_ == "tflite":
        # Below zero it gives up.
        quantization = op.input.type.quantization
        return quantization is None or quantization.zero_point > op.input.type.dtype.minimum
    if isinstance(op, nn.Sum):
        return format_ == "tflite" and op.input.type.dtype is DType.I8
    if isinstance(op, nn.LogSoftmax):
        return format_ == "tflite" and op.input.type.shape[-1] > 32
    return isinstance(op, nn.Softmax) and format_ != "tflite" and op.input.type.shape[-1] == 1


FIXED_SCALES = {nn.Softmax: 1 / 256, nn.Sigmoid: 1 / 256, nn.Tanh: 1 / 128, nn.LogSoftmax: 16 / 256}
"""What these operators of TFLite result in."""


def rounds_twice(op: Op, result: Element, format_: str) -> float:
    """The distance from one rounding: where TFLite's operator has a scale of its own, a change of scale follows."""
    if format_ != "tflite" or result.quantization is None:
        return 1.0
    own = FIXED_SCALES.get(type(op))
    if isinstance(op, nn.AveragePool2D):
        assert op.input.type.quantization is not None
        own = op.input.type.quantization.scale
    return 1.0 if own is None else 1.0 + 0.5 * own / result.quantization.scale


def in_runtime(content: bytes, format_: str, inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    if format_ == "tflite":
        return list(LiteRT(content).run(inputs).values())
    onnx.checker.check_model(onnx.load_from_string(content))
    options = onnxruntime.SessionOptions()
    if any(array.dtype == np.uint8 for array in inputs.values()):
        # Products of unsigned and signed bytes saturate in 16 bits on processors without dot products otherwise.
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def assert_close(found: NDArray[Any], expected: NDArray[Any], distance: float) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if np.issubdtype(found.dtype, np.floating):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-4)
    else:
        assert int(np.abs(found.astype(np.int64) - expected.astype(np.int64)).max(initial=0)) <= distance


@pytest.mark.parametrize("format_", ["tflite", "qdq", "qoperator"])
@pytest.mark.parametrize("op", WRITTEN, ids=[op.mnemonic for op in WRITTEN])
@given(data=st.data())
@settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_an_op_means_the_same_in_the_runtime(op: type[Op], format_: str, data: st.DataObject) -> None:
    module = data.draw(op_modules(op))
    (statement,) = [statement for statement in module.graph.statements if isinstance(statement.op, op)]
    if format_ == "tflite" and op in NOT_IN_TFLITE:
        with pytest.raises(TargetError, match="TFLite has no such operator"):
            mrqc.emit_tflite(module)
        return
    assume(not misread(statement.op, format_))
    content = emitted(module, format_)
    inputs = data.draw(inputs_for(module, max_batches=1))
    found = in_runtime(content, format_, inputs)
    expected = mrqc.reference(module).run(inputs)
    for array, output in zip(found, module.graph.outputs, strict=True):
        assert_close(array, expected[output.name], rounds_twice(statement.op, output.value.type.element, format_))
