"""From unsigned to signed codes: the same real values, 128 lower.

TFLite multiplies unsigned activations by unsigned weights and signed ones by signed weights. A model with unsigned
activations and signed weights, as ONNX tools make them, is therefore written with signed activations; the change is
exact. A few operators have kernels for signed codes only, and none but QUANTIZE takes both kinds at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from mrqc.ir import Data, DType, Element, FieldKind, GraphBuilder, Module, Op, Output, Statement, Value, op_schema
from mrqc.ops import nn
from mrqc.ops.contraction import Conv2DBase, FullyConnectedBase, TransposeConv2DBase

_OFFSET = 128


def needs_signed_codes(module: Module) -> bool:
    """Return whether unsigned activations meet signed weights, signed activations, or operators for signed codes."""
    return any(_is_foreign(statement.op) or _mixes_signs(statement) for statement in module.graph.statements)


def _mixes_signs(statement: Statement) -> bool:
    """Whether some of an op's activations are signed and others are not."""
    op = statement.op
    if isinstance(op, nn.Quantize):
        return False
    is_layer = isinstance(op, Conv2DBase | TransposeConv2DBase | FullyConnectedBase)
    activations = (*op.operands[: 1 if is_layer else None], *statement.results)
    return {DType.I8, DType.U8} <= {value.type.dtype for value in activations if value.type.element.is_quantized}


def _is_foreign(op: Op) -> bool:
    """Whether TFLite has an operator only for the signed codes of an op."""
    if isinstance(op, Conv2DBase | TransposeConv2DBase | FullyConnectedBase):
        return op.input.type.dtype is DType.U8 and op.weight.type.dtype is DType.I8
    return isinstance(op, nn.BatchMatMul | nn.Elu) and op.element.dtype is DType.U8


def with_signed_codes(module: Module) -> Module:
    """Return the module with every unsigned 8-bit value signed; inputs and outputs stay as they are."""
    graph = module.graph
    builder = GraphBuilder(value.name for value in graph.values())
    for value in graph.inputs:
        builder.adopt_input(value)
    for value in graph.inputs:
        if value.type.dtype is DType.U8 and value.type.element.is_quantized:
            builder.bind(value, builder.emit(nn.Quantize(value, _signed(value.type.element))))
    for statement in graph.statements:
        op = _with_signed_element(statement.op.map_operands(builder.lookup))
        results = tuple(Value(old.name, type_) for old, type_ in zip(statement.results, op.infer(), strict=True))
        builder.append(Statement(results, op, statement.location))
        for old, new in zip(statement.results, results, strict=True):
            builder.bind(old, new)
    outputs = [Output(output.name, _as_declared(output.value, builder)) for output in graph.outputs]
    return module.with_graph(builder.finish(outputs))


def _as_declared(value: Value, builder: GraphBuilder) -> Value:
    """Return an output in the element that the module declares."""
    found = builder.lookup(value)
    if found.type == value.type:
        return found
    return value if found is value else builder.emit(nn.Quantize(found, value.type.element))


def _with_signed_element(op: Op) -> Op:
    if isinstance(op, nn.Constant):
        element = _signed(op.element)
        if element == op.element:
            return op
        return nn.Constant(Data((op.value.array.astype(np.int16) - _OFFSET).astype(np.int8)), element)
    names = [field.name for field in op_schema(type(op)) if field.kind is FieldKind.ELEMENT]
    changes: dict[str, Any] = {name: _signed(getattr(op, name)) for name in names}
    return cast(Op, replace(cast(Any, op), **changes)) if changes else op


def _signed(element: Element) -> Element:
    if element.dtype is not DType.U8 or element.quantization is None:
        return element
    zero_points: Sequence[int] = [zero_point - _OFFSET for zero_point in element.quantization.zero_points]
    return Element(DType.I8, replace(element.quantization, zero_points=tuple(zero_points)))
