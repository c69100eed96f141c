"""The operators on codes: imported as quantized ops, with what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import mrqc
from mrqc.errors import InputError


def model_of(
    nodes: list[onnx.NodeProto],
    shape: list[int],
    constants: dict[str, NDArray[Any]],
    element_type: int = TensorProto.UINT8,
    result_type: int = TensorProto.UINT8,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", element_type, shape)],
        [helper.make_tensor_value_info("y", result_type, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def loaded(model: onnx.ModelProto, folder: Path) -> mrqc.Module:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return mrqc.load(path)


SCALES = {
    "xs": np.float32(0.5),
    "xz": np.uint8(3),
    "ys": np.float32(0.25),
    "yz": np.uint8(7),
    "ws": np.array([0.5, 0.25], np.float32),
    "wz": np.array([0, 0], np.int8),
}


def test_a_qlinear_conv_is_one_op_on_codes(tmp_path: Path) -> None:
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], pads=[1] * 4)
    constants = SCALES | {"w": np.ones((2, 3, 3, 3), np.int8), "b": np.array([4, 8], np.int32)}
    module = loaded(model_of([node], [1, 3, 5, 5], {k: np.asarray(v) for k, v in constants.items()}), tmp_path)
    (op,) = [s.op for s in module.graph.statements if s.op.mnemonic == "nn.conv2d"]
    bias = op.operands[2].type
    assert bias.quantization is not None
    assert bias.quantization.scales == (0.25, 0.125)
    codes = np.full((1, 3, 5, 5), 5, np.uint8)
    # Each real input is 1, so a corner has 12 of them under weights of 0.5 and 0.25, biases 1 and 1.
    result = mrqc.reference(module).run({"x": codes})["y"]
    np.testing.assert_array_equal(result[0, :, 0, 0], [7 + 4 * (12 * 0.5 + 1), 7 + 4 * (12 * 0.25 + 1)])


def test_integer_sums_have_the_scale_of_their_input(tmp_path: Path) -> None:
    node = helper.make_node("MatMulInteger", ["x", "w", "xz"], ["y"])
    constants = {"w": np.arange(6, dtype=np.int8).reshape(3, 2), "xz": np.asarray(np.uint8(3))}
    module = loaded(model_of([node], [1, 3], constants, result_type=TensorProto.INT32), tmp_path)
    result = mrqc.reference(module).run({"x": np.array([[4, 5, 6]], np.uint8)})["y"]
    np.testing.assert_array_equal(result, [[1 * 0 + 2 * 2 + 3 * 4, 1 * 1 + 2 * 3 + 3 * 5]])


def test_codes_of_another_scale_are_refused(tmp_path: Path) -> None:
    first = helper.make_node("QLinearGlobalAveragePool", ["x", "xs", "xz", "ys", "yz"], ["m"], domain="com.microsoft")
    second = helper.make_node(
        "QLinearGlobalAveragePool", ["m", "xs", "xz", "ys", "yz"], ["y"], name="second", domain="com.microsoft"
    )
    constants = {name: np.asarray(array) for name, array in SCALES.items()}
    with pytest.raises(InputError, match=r"second.*scale 0.5 zero point 3 that were quantized with u8 scale 0.25"):
        loaded(model_of([first, second], [1, 3, 5, 5], constants), tmp_path)


def test_dynamic_quantization_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"], name="dynamic")
    with pytest.raises(InputError, match="dynamic quantization cannot be lowered") as caught:
        loaded(model_of([node], [1, 3], {}, TensorProto.FLOAT), tmp_path)
    assert "statically" in str(caught.value)


@pytest.mark.parametrize("name", ["u8", "s8_pc"])
def test_the_shared_files_have_one_quantized_op_for_each_node(name: str, assets: Path) -> None:
    module = mrqc.load(assets / "models" / f"resnet8.qoperator.{name}.onnx")
    mnemonics = [statement.op.mnemonic for statement in module.graph.statements]
    assert mnemonics.count("nn.conv2d") == 9
    assert mnemonics.count("nn.add") == 3
    assert mnemonics.count("nn.dequantize") == 1


def open_batch(folder: Path) -> Path:
    node = helper.make_node("Relu", ["x"], ["y"])
    path = folder / "open.onnx"
    onnx.save(model_of([node], ["N", 3], {}, TensorProto.FLOAT, TensorProto.FLOAT), path)  # type: ignore[list-item]
    return path


def test_an_open_batch_becomes_what_is_asked_for(tmp_path: Path) -> None:
    path = open_batch(tmp_path)
    assert mrqc.load(path).graph.inputs[0].type.shape == (1, 3)
    assert mrqc.load(path, batch=4).graph.inputs[0].type.shape == (4, 3)


def test_a_fixed_batch_stays(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    onnx.save(
        model_of([helper.make_node("Relu", ["x"], ["y"])], [2, 3], {}, TensorProto.FLOAT, TensorProto.FLOAT), path
    )
    assert mrqc.load(path).graph.inputs[0].type.shape == (2, 3)
    with pytest.raises(InputError, match="the batch cannot become 4"):
        mrqc.load(path, batch=4)
