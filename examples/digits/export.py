"""Write the quantized digits network as an ONNX model of the QDQ kind.

Every tensor passes through a QuantizeLinear and a DequantizeLinear node; what stands between them is ordinary
float ONNX. Two of the three ReLUs are left out: where the QuantizeLinear behind one has zero point 0, it
clamps negative values by itself. Exporters do this to real models, and a compiler that moves to a symmetric
scheme has to put them back.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from network import CLASSES, RELU6_LIMIT, WEIGHT_SHAPES
from quantize import Encoding, QuantizedLayer, QuantizedNetwork

OPSET = 13
IR_VERSION = 8
IMAGE_SHAPE = (1, 1, 8, 8)


class QdqGraph:
    """An ONNX graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Add an initializer; returns its name."""
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op_type: str, name: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output; returns the name of that output."""
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=name, **attributes))
        return output

    def encoding(self, name: str, encoding: Encoding) -> list[str]:
        """Add the scale and the zero point of tensor `name`; returns their names."""
        return [
            self.constant(f"{name}_scale", np.array(encoding.scale, np.float32)),
            self.constant(f"{name}_zero_point", np.array(encoding.zero_point, np.uint8)),
        ]

    def activation(self, name: str, source: str, encoding: Encoding, output: str | None = None) -> str:
        """Quantize the float tensor `source` and dequantize it again; returns the name of the result."""
        meaning = self.encoding(name, encoding)
        codes = self.node("QuantizeLinear", f"{name}/quantize", [source, *meaning], f"{name}_quantized")
        result = output or f"{name}_dequantized"
        return self.node("DequantizeLinear", f"{name}/dequantize", [codes, *meaning], result)

    def parameters(self, name: str, layer: QuantizedLayer) -> list[str]:
        """Add a layer's weight and bias, codes and DequantizeLinear nodes; returns the float tensors."""
        weight = self.constant(f"{name}.weight_quantized", layer.weight)
        weight_meaning = self.encoding(f"{name}.weight", layer.weight_encoding)
        bias = self.constant(f"{name}.bias_quantized", layer.bias)
        bias_scale = self.constant(f"{name}.bias_scale", np.array(layer.bias_scale, np.float32))
        return [
            self.node("DequantizeLinear", f"{name}/weight_dequantize", [weight, *weight_meaning], f"{name}.weight"),
            self.node("DequantizeLinear", f"{name}/bias_dequantize", [bias, bias_scale], f"{name}.bias"),
        ]

    def convolution(self, name: str, source: str, layer: QuantizedLayer, stride: int = 1, group: int = 1) -> str:
        """Add a "same"-padded convolution and its parameters; returns the float result."""
        _, _, size, _ = layer.weight.shape
        return self.node(
            "Conv",
            f"{name}/conv",
            [source, *self.parameters(name, layer)],
            f"{name}_conv",
            kernel_shape=[size, size],
            pads=[size // 2] * 4,
            strides=[stride, stride],
            group=group,
        )


def add_nodes(graph: QdqGraph, network: QuantizedNetwork) -> None:
    """The whole network, from tensor `image` to tensor `logits`."""
    encodings, layers = network.activations, network.layers
    image = graph.activation("image", "image", encodings["image"])

    stem = graph.convolution("stem", image, layers["stem"])
    stem = graph.node("Relu", "stem/relu", [stem], "stem_relu")
    stem = graph.activation("stem", stem, encodings["stem"])

    # No Relu node: the zero point is 0.
    channels = WEIGHT_SHAPES["depthwise"][0]
    depthwise = graph.convolution("depthwise", stem, layers["depthwise"], group=channels)
    depthwise = graph.activation("depthwise", depthwise, encodings["depthwise"])

    pointwise = graph.convolution("pointwise", depthwise, layers["pointwise"])
    pointwise = graph.activation("pointwise", pointwise, encodings["pointwise"])

    # No Relu node here either.
    residual = graph.node("Add", "residual/add", [stem, pointwise], "residual_sum")
    residual = graph.activation("residual", residual, encodings["residual"])

    downsample = graph.convolution("downsample", residual, layers["downsample"], stride=2)
    limits = [
        graph.constant("downsample_lowest", np.array(0.0, np.float32)),
        graph.constant("downsample_highest", np.array(RELU6_LIMIT, np.float32)),
    ]
    downsample = graph.node("Clip", "downsample/relu6", [downsample, *limits], "downsample_relu6")
    downsample = graph.activation("downsample", downsample, encodings["downsample"])

    pool = graph.node("AveragePool", "pool/average", [downsample], "pool_average", kernel_shape=[4, 4])
    pool = graph.activation("pool", pool, encodings["pool"])
    flat = graph.node("Flatten", "flatten/flatten", [pool], "flatten_flat", axis=1)
    flat = graph.activation("flatten", flat, encodings["pool"])

    weight_and_bias = graph.parameters("classifier", layers["classifier"])
    logits = graph.node("Gemm", "classifier/gemm", [flat, *weight_and_bias], "classifier_gemm", transB=1)
    graph.activation("logits", logits, encodings["logits"], output="logits")


def to_onnx(network: QuantizedNetwork) -> onnx.ModelProto:
    """The checked ONNX model: input "image", float32 pixel values 0..16; output "logits", float32."""
    for name in ("stem", "depthwise", "residual"):
        assert network.activations[name].zero_point == 0, f"{name}: the zero point has to act as the ReLU"
    graph = QdqGraph()
    add_nodes(graph, network)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "digits",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, IMAGE_SHAPE)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, CLASSES))],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mrqc examples/digits",
    )
    onnx.checker.check_model(model, full_check=True)
    return model
