"""Modules as an ONNX file in QDQ form has them, before folding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from mrqc.ir import FLOAT, GraphBuilder, Module, Op, Statement, Value, op_schema, rewrite
from mrqc.ops import nn
from mrqc.ops.nn.clamp import UNBOUNDED
from mrqc.testing.modules import nn_modules


def as_qdq(module: Module) -> Module:
    """Return an nn module with each op in floats, between dequantized operands and a quantized result.

    Clamps stand as clips of their own, as ReLU does in a file. Over the reals the result is the same; an
    interpreter in floating point may decide a tie differently.

    Args:
        module: Quantized ops, such as :func:`nn_modules` draws.
    """
    return rewrite(module, _unfold)


def qdq_modules(*, max_layers: int = 4, awkward_names: bool | None = None) -> st.SearchStrategy[Module]:
    """Return a strategy for nn modules in QDQ form, with float inputs and outputs.

    Args:
        max_layers: Greatest number of layers.
        awkward_names: Whether names contain spaces, quotes and the like; None for either.
    """
    return nn_modules(max_layers=max_layers, float_io=True, awkward_names=awkward_names).map(as_qdq)


def _unfold(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
    op, location = statement.op, statement.location
    if isinstance(op, nn.Constant | nn.Quantize | nn.Dequantize):
        return None
    real = _in_floats(op.map_operands(lambda operand: builder.emit(nn.Dequantize(operand), location)))
    clamp: tuple[float, float] = getattr(op, "clamp", UNBOUNDED)
    if clamp != UNBOUNDED and not isinstance(op, nn.Clip):
        real = dataclasses.replace(real, clamp=UNBOUNDED)
    value = builder.emit(real, location)
    if clamp != UNBOUNDED and not isinstance(op, nn.Clip):
        value = builder.emit(nn.Clip(value, clamp), location)
    return (builder.emit(nn.Quantize(value, statement.result.type.element), location),)


def _in_floats(op: Op) -> Any:
    """Return the op with a float result; its type is known to the caller only."""
    has_element = any(field.name == "element" for field in op_schema(type(op)))
    return dataclasses.replace(op, element=FLOAT) if has_element else op  # pyright: ignore[reportArgumentType, reportUnknownVariableType, reportCallIssue]
