"""Emits nn statements; each constant and each move of a value only once."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.tflite.tensors import check_type
from mrqc.ir.data import Data
from mrqc.ir.graph import Graph, Output
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder
from mrqc.ir.types import TensorType
from mrqc.ops import nn


class Emitter:
    """The module under construction."""

    def __init__(self) -> None:
        """Start an empty graph."""
        self._builder = GraphBuilder()
        self._emitted: dict[tuple[str, Op], Value] = {}

    def add_input(self, name: str, type_: TensorType) -> Value:
        """Declare the next input of the module."""
        return self._builder.add_input(name, type_)

    def emit(self, op: Op, location: Location) -> Value:
        """Append a statement and return its result.

        Raises:
            UnsupportedError: The op breaks its own rules.
        """
        problems = list(op.problems())
        if problems:
            raise UnsupportedError("; ".join(problems))
        (type_,) = op.infer()
        check_type(str(location), type_)
        return self._builder.emit(op, location)

    def constant(self, constant: Constant, location: Location) -> Value:
        """Return the value of a constant; each is emitted once for each shape in which it is used.

        Raises:
            UnsupportedError: Its elements are of a type that values cannot have.
        """
        if constant.element is None:
            raise UnsupportedError(
                f"constant {constant.name!r} has elements of type {constant.array.dtype}, and no DEQUANTIZE reads it"
            )
        op = nn.Constant(Data(constant.array), constant.element)
        return self._once(constant.name, op, Location.of(constant.name) if constant.name else location)

    def reshape(self, value: Value, shape: tuple[int, ...], location: Location) -> Value:
        """Return the elements of a value in the same order under ``shape``.

        Raises:
            UnsupportedError: The sizes differ, or a quantization axis would be broken up.
        """
        if math.prod(shape) != value.type.size:
            raise UnsupportedError(f"shape {list(value.type.shape)} cannot become {list(shape)}")
        return value if value.type.shape == shape else self._once("", nn.Reshape(value, shape), location)

    def _once(self, name: str, op: Op, location: Location) -> Value:
        key = (name, op)
        if key not in self._emitted:
            self._emitted[key] = self.emit(op, location)
        return self._emitted[key]

    def finish(self, outputs: Iterable[Output]) -> Graph:
        """Return the graph."""
        return self._builder.finish(outputs)
