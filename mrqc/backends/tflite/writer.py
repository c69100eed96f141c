"""The file under construction, and the statement that a rule is writing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.tflite.activation_range import Clamp, fused_activation
from mrqc.backends.tflite.file import FileRecord, OperatorRecord, Options, TensorRecord
from mrqc.backends.tflite.versions import operator_version
from mrqc.ir import Data, DType, Element, Op, RuleTable, Statement, TensorType, Value
from mrqc.ops.nn import UNBOUNDED


@dataclass
class Writer:
    """Tensors and operators so far.

    Attributes:
        file: What is written.
        constants: The elements of every constant of the module.
        asymmetric_inputs: Whether the runtime gives floats that meet weights of codes a zero point.
        index_of: The tensor of each value that has one.
    """

    file: FileRecord
    constants: Mapping[Value, Data]
    asymmetric_inputs: bool = False
    index_of: dict[Value, int] = field(default_factory=dict[Value, int])
    _names: set[str] = field(default_factory=set[str])
    _folded: dict[tuple[str, Data, Element], int] = field(default_factory=dict[tuple[str, Data, Element], int])

    def declare(self, name: str, type_: TensorType, data: Data | None = None) -> int:
        """Add a tensor; its name is made unique."""
        self.file.tensors.append(TensorRecord(self._unique(name), type_.shape, type_.dtype, type_.quantization, data))
        return len(self.file.tensors) - 1

    def tensor(self, value: Value) -> int:
        """Return the tensor of a value, which is written here if it is a constant that nothing has used yet."""
        if value not in self.index_of:
            self.index_of[value] = self.declare(value.name, value.type, self.constants.get(value))
        return self.index_of[value]

    def constant(self, name: str, data: Data, element: Element) -> int:
        """Return a tensor with this content; equal ones of the same name are shared."""
        key = (name, data, element)
        if key not in self._folded:
            self._folded[key] = self.declare(name, TensorType(data.shape, element), data)
        return self._folded[key]

    def integers(self, name: str, numbers: Sequence[int] | NDArray[Any]) -> int:
        """Return a constant of 32-bit integers: a shape, axes, paddings."""
        return self.constant(name, Data(np.asarray(numbers, np.int32)), Element(DType.I32))

    def append(self, builtin: str, inputs: Sequence[int], outputs: Sequence[int], options: Options | None) -> None:
        """Add an operator at the version that its tensors need."""
        dtypes = [self.file.tensors[index].dtype for index in (*inputs, *outputs) if index >= 0]
        version = operator_version(builtin, [dtype for dtype in dtypes if dtype is not None])
        self.file.operators.append(OperatorRecord(builtin, version, tuple(inputs), tuple(outputs), options))

    def copy(self, source: int, target: int) -> None:
        """Add an operator that copies a tensor."""
        shape = self.integers("shape", self.file.tensors[target].shape)
        self.append("RESHAPE", (source, shape), (target,), Options("ReshapeOptions"))

    def _unique(self, name: str) -> str:
        candidates = itertools.chain((name,), (f"{name}_{number}" for number in itertools.count(1)))
        chosen = next(candidate for candidate in candidates if candidate not in self._names)
        self._names.add(chosen)
        return chosen


_Stage: TypeAlias = tuple[str, TensorType, tuple[int, ...], Options]
"""An operator on the way to a result: its name, type, further operands and options."""


@dataclass(frozen=True, slots=True)
class Site:
    """A statement that is being written."""

    writer: Writer
    statement: Statement

    @property
    def result(self) -> Value:
        """What the statement defines."""
        return self.statement.result

    def operand(self, value: Value) -> int:
        """Return the tensor of an operand."""
        return self.writer.tensor(value)

    def data(self, value: Value) -> Data | None:
        """Return the elements of a constant, None for what is computed."""
        return self.writer.constants.get(value)

    def temporary(self, type_: TensorType) -> int:
        """Return a new tensor for a step on the way to the result."""
        return self.writer.declare(f"{self.result.name}_step", type_)

    def at(self, value: Value, element: Element) -> int:
        """Return the tensor of an operand at another scale, behind a ``QUANTIZE`` where it has not that one."""
        if value.type.element == element:
            return self.operand(value)
        type_ = value.type.with_element(element)
        return self.step("QUANTIZE", (self.operand(value),), type_, Options("QuantizeOptions"))

    def step(self, builtin: str, inputs: Sequence[int], type_: TensorType, options: Options | None = None) -> int:
        """Write an operator with a new tensor as its result, and return that."""
        output = self.temporary(type_)
        self.writer.append(builtin, inputs, (output,), options)
        return output

    def finish(self, builtin: str, inputs: Sequence[int], options: Options | None = None) -> None:
        """Write an operator that gives the result."""
        self.writer.append(builtin, inputs, (self.writer.tensor(self.result),), options)

    def finish_at(self, produced: Element, builtin: str, inputs: Sequence[int], options: Options | None = None) -> None:
        """Write an operator whose results have the element ``produced``, and behind it what makes them the result."""
        if produced == self.result.type.element:
            self.finish(builtin, inputs, options)
            return
        value = self.step(builtin, inputs, self.result.type.with_element(produced), options)
        self.finish_limits(value, UNBOUNDED, produced)

    def finish_clamped(
        self,
        builtin: str,
        inputs: Sequence[int],
        clamp: Clamp,
        options: Callable[[int], Options],
        element: Element | None = None,
    ) -> None:
        """Write an operator that has a fused activation, and behind it what the activation cannot do.

        Args:
            builtin: The operator.
            inputs: Its operands.
            clamp: The real interval of the result.
            options: From the code of the fused activation to the operator's options.
            element: What the operator itself must result in, where that is not the result's element.
        """
        produced = element or self.result.type.element
        activation, rest = fused_activation(clamp, produced)
        if rest == UNBOUNDED and produced == self.result.type.element:
            self.finish(builtin, inputs, options(activation))
            return
        value = self.step(builtin, inputs, self.result.type.with_element(produced), options(activation))
        self.finish_limits(value, rest, produced)

    def finish_limits(self, value: int, clamp: Clamp, produced: Element) -> None:
        """Write the operators that confine a tensor to a real interval and give it the element of the result.

        Args:
            value: The tensor.
            clamp: The interval.
            produced: The element that the tensor has.
        """
        stages = list(self._stages(clamp, produced)) or [self._nothing()]
        for stage, type_, extra, options in stages[:-1]:
            value = self.step(stage, (value, *extra), type_, options)
        stage, _, extra, options = stages[-1]
        self.finish(stage, (value, *extra), options)

    def _nothing(self) -> _Stage:
        """Return an operator that copies its operand."""
        shape = self.writer.integers("shape", self.result.type.shape)
        return "RESHAPE", self.result.type, (shape,), Options("ReshapeOptions")

    def _stages(self, rest: Clamp, produced: Element) -> Iterator[_Stage]:
        """Yield the operators that change the scale and clamp to ``rest``, in this order: limits may lie out of range.

        Rounding is monotone: codes can be clamped in place of the real values.
        """
        element = self.result.type.element
        if produced != element:
            yield "QUANTIZE", self.result.type, (), Options("QuantizeOptions")
        for builtin, limit in (("MAXIMUM", rest[0]), ("MINIMUM", rest[1])):
            if np.isfinite(limit):
                yield builtin, self.result.type, (self._limit(limit, element),), Options("MaximumMinimumOptions")

    def _limit(self, limit: float, element: Element) -> int:
        """Return a constant that holds one real number, in the quantization of what it is compared with."""
        if element.quantization is None:
            data = Data(np.float32(limit).reshape(1))
        else:
            real = np.asarray([limit], np.float64)
            codes = element.quantization.quantize(real, element.dtype.minimum, element.dtype.maximum)
            data = Data.of(codes, element.dtype)
        return self.writer.constant("limit", data, element)


Rule: TypeAlias = Callable[[Op, Site], None]

TFLITE_EXPORTS: RuleTable[Rule] = RuleTable("tflite export")
"""For each ``nn`` op: write the operators that compute it. Constants are written where they are used."""
