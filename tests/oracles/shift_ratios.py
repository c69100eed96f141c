"""What a compiler for hardware that only shifts reads out of a file: the ratios of scales, as fractions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import numpy_helper

Ratio = tuple[str, Fraction]

_BUILTINS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
_CONTRACTIONS = {"CONV_2D": (0, 1, 2), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": (0, 1, 2)}
_CONTRACTIONS["TRANSPOSE_CONV"] = (2, 1, 3)


def is_power_of_two(ratio: Fraction) -> bool:
    return ratio.numerator & (ratio.numerator - 1) == 0 and ratio.denominator & (ratio.denominator - 1) == 0


def fractions(scales: Any) -> list[Fraction]:
    return [Fraction(float(scale)) for scale in np.asarray(scales, np.float32).reshape(-1)]


def tflite_ratios(content: bytes) -> Iterator[Ratio]:
    """Each ratio that hardware would shift by, and for each bias its scale over that of the sums."""
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)

    def scales(index: int) -> list[Fraction]:
        return fractions(graph.Tensors(index).Quantization().ScaleAsNumpy())

    pooled: dict[int, int] = {}
    for position in range(graph.OperatorsLength()):
        operator = graph.Operators(position)
        name = _BUILTINS[model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
        inputs, output = operator.InputsAsNumpy(), operator.Outputs(0)
        where = f"{name} {graph.Tensors(output).Name().decode()}"
        quantized = [i for i in inputs if i >= 0 and _has_scale(graph.Tensors(i)) and _has_scale(graph.Tensors(output))]
        if name in _CONTRACTIONS and quantized:
            image, weight, bias = (inputs[place] if place < len(inputs) else -1 for place in _CONTRACTIONS[name])
            yield from _contraction(where, scales(image)[0], scales(weight), scales(output)[0],
                                    scales(bias) if bias >= 0 else None)  # fmt: skip
        elif name == "MUL" and quantized:
            yield where, scales(inputs[0])[0] * scales(inputs[1])[0] / scales(output)[0]
        elif name == "MEAN":
            shapes = (graph.Tensors(i).ShapeAsNumpy() for i in (inputs[0], output))
            before, after = (math.prod(int(extent) for extent in shape) for shape in shapes)
            yield where, scales(inputs[0])[0] * after / (before * scales(output)[0])
        elif name != "SOFTMAX":
            yield from ((where, scales(i)[0] / (scales(output)[0] * pooled.get(int(i), 1))) for i in quantized)
        if name == "AVERAGE_POOL_2D":
            options = tflite.Pool2DOptions()
            options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
            pooled[output] = options.FilterHeight() * options.FilterWidth()
        elif name in ("MINIMUM", "MAXIMUM") and int(inputs[0]) in pooled:
            pooled[output] = pooled[int(inputs[0])]


def _has_scale(tensor: Any) -> bool:
    quantization = tensor.Quantization()
    return quantization is not None and quantization.ScaleLength() > 0


def _contraction(
    where: str, image: Fraction, weights: list[Fraction], output: Fraction, bias: list[Fraction] | None
) -> Iterator[Ratio]:
    yield from ((where, image * weight / output) for weight in weights)
    if bias is not None:
        assert len(bias) == len(weights), where
        yield from ((f"{where} bias", found / (image * weight)) for found, weight in zip(bias, weights, strict=True))
        assert all(found == image * weight for found, weight in zip(bias, weights, strict=True)), where


def onnx_ratios(content: bytes) -> Iterator[Ratio]:
    """The same of a file in QDQ form."""
    file = _OnnxFile(onnx.shape_inference.infer_shapes(onnx.load_from_string(content)).graph)
    for node in file.graph.node:
        if node.op_type not in ("DequantizeLinear", "QuantizeLinear", "Softmax", "Relu", "Clip", "ArgMax", "ArgMin"):
            yield from file.ratios(node)


class _OnnxFile:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self._constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._made = {name: node for node in graph.node for name in node.output}
        self._used = {name: node for node in graph.node for name in node.input}
        self._shapes = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in graph.value_info}

    def ratios(self, node: onnx.NodeProto) -> Iterator[Ratio]:
        inputs = [found for name in node.input if (found := self._source(name)) is not None]
        if not inputs or self._made[node.input[0]].op_type != "DequantizeLinear":
            return
        if node.op_type == "Transpose" and self._used[node.output[0]].op_type == "ConvTranspose":
            return
        if node.op_type in ("Conv", "Gemm", "MatMul", "ConvTranspose"):
            bias = inputs[2] if len(inputs) > 2 else None
            yield from _contraction(node.name, inputs[0][0], inputs[1], self._result(node.output[0]), bias)
            return
        count = self._count(node) if "Average" in node.op_type or node.op_type == "ReduceMean" else 1
        yield from ((node.name, found[0] / (count * self._result(node.output[0]))) for found in inputs)

    def _source(self, name: str) -> list[Fraction] | None:
        node = self._made.get(name)
        if node is not None and node.op_type in ("Transpose", "Reshape", "Squeeze", "Unsqueeze"):
            return self._source(node.input[0])
        is_dequantized = node is not None and node.op_type == "DequantizeLinear"
        return fractions(self._constants[node.input[1]]) if is_dequantized else None

    def _result(self, name: str) -> Fraction:
        node = self._used[name]
        while node.op_type != "QuantizeLinear":
            assert node.op_type in ("Relu", "Clip", "Reshape", "Flatten", "Transpose", "Concat"), node.op_type
            node = self._used[node.output[0]]
        return fractions(self._constants[node.input[1]])[0]

    def _count(self, node: onnx.NodeProto) -> int:
        kernels = [math.prod(each.ints) for each in node.attribute if each.name == "kernel_shape"]
        before, after = (math.prod(self._shapes[name]) for name in (node.input[0], node.output[0]))
        return kernels[0] if kernels else before // after
