"""Types of the graph's inputs: fixed shapes, and what the codes of a quantized input mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mrqc.frontends.constants import Constant, LostOperandError, UnsupportedError
from mrqc.frontends.onnx.arrays import Unreadable, element_type_name, numpy_type
from mrqc.frontends.onnx.codes import CodeOperand, code_operands, operand_element
from mrqc.frontends.onnx.emitter import Emitter
from mrqc.frontends.onnx.graph import Node, OnnxGraph, Port
from mrqc.frontends.onnx.quantize import quantized_element
from mrqc.frontends.onnx.site import Site
from mrqc.frontends.onnx.tensors import Tensor
from mrqc.ir.dtype import DType
from mrqc.ir.types import FLOAT, Element, TensorType

_KEEPS_CODES = frozenset(
    (
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalMaxPool",
        "Identity",
        "MaxPool",
        "Pad",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    )
)
"""Operators whose results are codes with the meaning of their operands."""
_SUPPORTED = "FLOAT, or UINT8, INT8, INT16 or INT32 that a DequantizeLinear reads"


def input_type(graph: OnnxGraph, port: Port) -> TensorType:
    """Return the type of an input; for codes, as the DequantizeLinear nodes behind it read them.

    Raises:
        UnsupportedError: An extent other than the batch is not fixed, the element type is not supported,
            or it is not clear what the codes mean.
    """
    shape = _fixed_shape(port)
    numpy = numpy_type(port.element_type)
    dtype = DType.of(numpy) if numpy is not None else None
    if dtype is None or dtype is DType.I64:
        raise UnsupportedError(f"element type {element_type_name(port.element_type)} is not supported", _SUPPORTED)
    if dtype is DType.F32:
        return TensorType(shape, FLOAT)
    return TensorType(shape, _element_of_codes(graph, port, dtype, shape))


def _fixed_shape(port: Port) -> tuple[int, ...]:
    if port.shape is None:
        raise UnsupportedError("it has no shape", "only the batch, the leading extent, may be left open")
    shape: list[int] = []
    for axis, extent in enumerate(port.shape):
        if isinstance(extent, int) and extent > 0:
            shape.append(extent)
        elif axis == 0:
            shape.append(1)
        else:
            name = f" ({extent!r})" if extent else ""
            raise UnsupportedError(
                f"its extent on axis {axis}{name} is not fixed",
                "only the batch, the leading extent, may be left open",
            )
    return tuple(shape)


def _element_of_codes(graph: OnnxGraph, port: Port, dtype: DType, shape: tuple[int, ...]) -> Element:
    readers = list(_readers(graph, port.name))
    if not readers:
        raise UnsupportedError(f"nothing says what its {dtype} codes mean", "a DequantizeLinear should read it")
    constants = _constants(graph)
    elements: dict[str, Element] = {}
    for node, where in readers:
        element = _element(Site(node, graph.opset, constants, Emitter()), where, dtype, shape)
        if not _is_per_tensor(element) and node.inputs[where.tensor] != port.name:
            raise UnsupportedError(
                f"node {node.label!r} reads its codes, moved, with a scale for each index of an axis"
            )
        elements[node.label] = element
    if len(set(elements.values())) > 1:
        raise UnsupportedError(f"nodes {', '.join(map(repr, elements))} read its codes with different scales")
    return next(iter(elements.values()))


def _element(site: Site, where: CodeOperand, dtype: DType, shape: tuple[int, ...]) -> Element:
    node = site.node
    try:
        if node.op_type == "DequantizeLinear":
            return quantized_element(site, dtype, shape)
        return operand_element(site, where, dtype, shape)
    except (KeyError, LostOperandError):
        raise UnsupportedError(f"node {node.label!r} reads its codes with a scale that is not constant") from None


def _is_per_tensor(element: Element) -> bool:
    assert element.quantization is not None
    return element.quantization.is_per_tensor


def _constants(graph: OnnxGraph) -> Mapping[str, Tensor]:
    """Return the constants that a scale can come from before any node is imported."""
    found: dict[str, Tensor] = {
        name: Constant(name, array) for name, array in graph.initializers.items() if not isinstance(array, Unreadable)
    }
    for node in graph.nodes:
        content = node.attributes.get("value")
        if node.op_type == "Constant" and node.outputs and isinstance(content, np.ndarray):
            found[node.outputs[0]] = Constant(node.outputs[0], content)
    return found


def _readers(graph: OnnxGraph, name: str) -> Iterator[tuple[Node, CodeOperand]]:
    """Yield each node that says what the codes of a tensor mean, moved about or not, and where it reads them."""
    names = {name}
    for node in graph.nodes:
        for where in code_operands(node.domain, node.op_type, len(node.inputs)):
            if where.tensor < len(node.inputs) and node.inputs[where.tensor] in names:
                yield node, where
        if node.op_type in _KEEPS_CODES and not node.domain and names.intersection(_moved(node)):
            names.update(node.outputs if node.op_type == "Split" else node.outputs[:1])


def _moved(node: Node) -> tuple[str, ...]:
    """Return the inputs whose elements the node moves; others say where to."""
    return node.inputs if node.op_type == "Concat" else node.inputs[:1]
