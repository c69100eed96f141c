"""Emits nn statements, and moves tensors between layouts only where an op needs it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Graph, Output, Statement
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder
from mrqc.ir.types import FLOAT, TensorType
from mrqc.ops import nn


class Emitter:
    """The module under construction, with a memory of what was emitted so that nothing is moved twice."""

    def __init__(self) -> None:
        """Start an empty graph."""
        self._builder = GraphBuilder()
        self._definitions: dict[Value, Statement] = {}
        self._constants: dict[tuple[str, Op], Value] = {}
        self._moved: dict[Op, Value] = {}

    def add_input(self, name: str, type_: TensorType) -> Value:
        """Declare the next input of the module."""
        return self._builder.add_input(name, type_)

    def emit(self, op: Op, location: Location) -> Value:
        """Append a statement and return its result.

        Raises:
            UnsupportedError: The op breaks its own rules.
        """
        problems = list(op.problems())
        if not problems:
            problems = [problem for type_ in op.infer() for problem in type_.problems()]
        if problems:
            raise UnsupportedError("; ".join(problems))
        value = self._builder.emit(op, location)
        self._definitions[value] = Statement((value,), op, location)
        return value

    def definition(self, value: Value) -> Op | None:
        """Return the op that computes ``value``; inputs have none."""
        statement = self._definitions.get(value)
        return statement.op if statement else None

    def location(self, value: Value) -> Location:
        """Return where the statement that computes ``value`` came from."""
        return self._definitions[value].location

    def constant(self, constant: Constant, location: Location) -> Value:
        """Return the value of a constant: floats, or codes behind an ``nn.dequantize``.

        Each is emitted once for each layout in which it is used.

        Raises:
            UnsupportedError: The constant is neither float nor dequantized.
        """
        if constant.element is None and DType.of(constant.array.dtype) is not DType.F32:
            raise UnsupportedError(
                f"tensor {constant.name!r} holds {constant.array.dtype} numbers, not read by a DequantizeLinear"
            )
        value = self.codes(constant, location)
        if constant.element is None:
            return value
        return self._emit_constant(constant.name, nn.Dequantize(value), Location.of(constant.dequantized_by))

    def codes(self, constant: Constant, location: Location) -> Value:
        """Return the value of a constant as the file stores it: codes where it is quantized, else floats."""
        stored = nn.Constant(Data(constant.array), constant.element or FLOAT)
        return self._emit_constant(constant.name, stored, Location.of(constant.name) if constant.name else location)

    def _emit_constant(self, name: str, op: Op, location: Location) -> Value:
        key = (name, op)
        if key not in self._constants:
            self._constants[key] = self.emit(op, location)
        return self._constants[key]

    def arrange(self, activation: Activation, permutation: tuple[int, ...], location: Location) -> Value:
        """Return a value that ONNX sees as ``activation`` under ``permutation``, moved only if need be."""
        order = [0] * len(permutation)
        for axis, wanted in enumerate(permutation):
            order[wanted] = activation.permutation[axis]
        return self._transpose(activation.value, tuple(order), location)

    def aligned(
        self, first: Activation, second: Activation, location: Location
    ) -> tuple[Value, Value, tuple[int, ...]]:
        """Return two tensors that are combined element by element, in one layout, and how ONNX sees the result.

        Leading axes of extent 1 are added to the one of lower rank, as numpy does.
        """
        rank = max(len(first.shape), len(second.shape))
        first, second = (self._with_rank(activation, rank, location) for activation in (first, second))
        layout = first.permutation if first.value.type.size >= second.value.type.size else second.permutation
        if NHWC_SEEN_AS_NCHW in (first.permutation, second.permutation):
            layout = NHWC_SEEN_AS_NCHW
        elif first.shape != second.shape:
            # Which of two operands is stretched is told by the order in which runtimes see the axes.
            layout = tuple(range(rank))
        return self.arrange(first, layout, location), self.arrange(second, layout, location), layout

    def _with_rank(self, activation: Activation, rank: int, location: Location) -> Activation:
        missing = rank - len(activation.shape)
        if missing == 0:
            return activation
        return Activation.plain(self.reshape(activation, (1,) * missing + activation.shape, location))

    def logical(self, activation: Activation, location: Location) -> Value:
        """Return a value that has the layout ONNX sees."""
        return self.arrange(activation, tuple(range(len(activation.permutation))), location)

    def reshape(self, activation: Activation, shape: tuple[int, ...], location: Location) -> Value:
        """Return a value with the elements in ONNX's order under ``shape``."""
        if math.prod(shape) != activation.value.type.size:
            raise UnsupportedError(f"{activation.value.type.size} elements cannot take shape {list(shape)}")
        if _only_moves_ones(activation.value.type, activation.permutation):
            return self._reshape(activation.value, shape, location)
        return self._reshape(self.logical(activation, location), shape, location)

    def _transpose(self, value: Value, order: tuple[int, ...], location: Location) -> Value:
        if order == tuple(range(len(order))):
            return value
        if _only_moves_ones(value.type, order):
            return self._reshape(value, tuple(value.type.shape[axis] for axis in order), location)
        return self._move(nn.Transpose(value, order), location)

    def _reshape(self, value: Value, shape: tuple[int, ...], location: Location) -> Value:
        source = self.definition(value)
        if isinstance(source, nn.Reshape):
            value = source.input
        if value.type.shape == shape:
            return value
        return self._move(nn.Reshape(value, shape), location)

    def _move(self, op: Op, location: Location) -> Value:
        if op not in self._moved:
            self._moved[op] = self.emit(op, location)
        return self._moved[op]

    def finish(self, outputs: Iterable[Output]) -> Graph:
        """Return the graph."""
        return self._builder.finish(outputs)


def _only_moves_ones(type_: TensorType, order: tuple[int, ...]) -> bool:
    """Whether permuting the axes leaves the elements where they are, and a reshape can say it."""
    if type_.quantization is not None and not type_.quantization.is_per_tensor:
        return False
    moved = [axis for axis in order if type_.shape[axis] > 1]
    return moved == sorted(moved)
