"""One operator being imported: its operands, its options, and a place to emit to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, Lost, LostOperandError, UnsupportedError
from mrqc.frontends.tflite.emitter import Emitter
from mrqc.frontends.tflite.graph import ABSENT, Operator, OptionContent, TensorRecord
from mrqc.frontends.tflite.tensors import Tensor, element_of
from mrqc.ir.dtype import DType
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.types import Element


@dataclass(frozen=True)
class Site:
    """An operator in its graph.

    Attributes:
        operator: The operator.
        options: Its options, absent ones at the default of the schema.
        records: The tensors of the file.
        tensors: What the tensors defined so far stand for.
        emitter: The module under construction.
    """

    operator: Operator
    options: Mapping[str, OptionContent]
    records: Sequence[TensorRecord]
    tensors: Mapping[int, Tensor]
    emitter: Emitter

    @property
    def location(self) -> Location:
        """The operator, for statements."""
        return Location.of(self.operator.label)

    def emit(self, op: Op) -> Value:
        """Append a statement that stems from this operator."""
        return self.emitter.emit(op, self.location)

    def reshape(self, tensor: Value | Constant, shape: tuple[int, ...]) -> Value | Constant:
        """Return a tensor under another shape of the same size.

        Raises:
            UnsupportedError: The size differs, or an axis with its own scales would be broken up.
        """
        if isinstance(tensor, Constant):
            if int(np.prod(shape)) != tensor.array.size:
                raise UnsupportedError(f"shape {list(tensor.shape)} cannot become {list(shape)}")
            return tensor.reshaped(shape)
        return self.emitter.reshape(tensor, shape, self.location)

    # Operands

    def has_operand(self, index: int) -> bool:
        """Whether the operator has that operand."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] != ABSENT

    def operand(self, index: int) -> Value | Constant:
        """Return an operand as it is.

        Raises:
            UnsupportedError: The operator has no such operand.
            LostOperandError: It could not be imported itself.
        """
        if not self.has_operand(index):
            raise UnsupportedError(f"operand {index} is missing")
        tensor = self.tensors[self.operator.inputs[index]]
        if isinstance(tensor, Lost):
            raise LostOperandError
        return tensor

    def value(self, index: int) -> Value:
        """Return an operand as a value, which a constant becomes here."""
        return self.emitted(self.operand(index))

    def emitted(self, tensor: Value | Constant) -> Value:
        """Return a tensor as a value, which a constant becomes here."""
        return self.emitter.constant(tensor, self.location) if isinstance(tensor, Constant) else tensor

    def real_value(self, index: int) -> Value:
        """Return an operand that stands for real numbers: floats, or codes with a scale for the whole tensor.

        Raises:
            UnsupportedError: It holds plain integers, or has several scales.
        """
        value = self.value(index)
        self._check_real(self.name(index), value.type.element)
        return value

    def image(self, index: int) -> Value:
        """Return an operand of real numbers with batch, height, width and channels.

        Raises:
            UnsupportedError: It has other axes, or no real numbers.
        """
        value = self.real_value(index)
        if value.type.rank != 4:
            raise UnsupportedError(f"its operand must have 4 axes, found shape {list(value.type.shape)}")
        return value

    def constant(self, index: int, role: str) -> Constant:
        """Return an operand that must be known at import, such as weights.

        Raises:
            UnsupportedError: It is computed.
        """
        tensor = self.operand(index)
        if isinstance(tensor, Value):
            raise UnsupportedError(f"the {role} {self.name(index)!r} is computed at run time, not constant")
        return tensor

    def integers(self, index: int, role: str) -> tuple[int, ...]:
        """Return a constant operand that is a list of integers: a shape, axes, a permutation."""
        array: NDArray[Any] = self.constant(index, role).array
        if not np.issubdtype(array.dtype, np.integer) or array.ndim > 1:
            raise UnsupportedError(
                f"the {role} must be a list of integers, found {array.dtype} of shape {list(array.shape)}"
            )
        return tuple(int(number) for number in array.reshape(-1))

    def name(self, index: int) -> str:
        """Return the user's name for an operand."""
        return self.records[self.operator.inputs[index]].name

    def axis(self, axis: int, rank: int, first_beyond: int = 0) -> int:
        """Return a non-negative axis.

        Raises:
            UnsupportedError: ``axis`` is none of a tensor of ``rank`` axes.
        """
        beyond = rank + first_beyond
        if not -beyond <= axis < beyond:
            raise UnsupportedError(f"axis {axis} does not exist in a tensor of {rank} axes")
        return axis + beyond if axis < 0 else axis

    # Results

    def result_record(self, index: int = 0) -> TensorRecord:
        """Return what the file says about a result."""
        return self.records[self.operator.outputs[index]]

    def element(self, index: int = 0) -> Element:
        """Return what the elements of a result are, as the file says."""
        return element_of(self.result_record(index))

    def real_element(self, operand: Value, index: int = 0) -> Element:
        """Return the element of a result that stands for real numbers, stored as those of ``operand`` are.

        Raises:
            UnsupportedError: It is stored in another way, or holds plain integers.
        """
        element = self.element(index)
        if element.dtype is not operand.type.dtype:
            raise UnsupportedError(
                f"from {operand.type.dtype} to {element.dtype}", "operand and result must be stored in the same way"
            )
        self._check_real(self.result_record(index).name, element)
        return element

    def check_same_element(self, element: Element, index: int = 0) -> None:
        """Make sure that a result which is copied from an operand means what the operand means.

        Raises:
            UnsupportedError: The file gives it other quantization parameters.
        """
        if self.element(index) != element:
            raise UnsupportedError(
                f"result {self.result_record(index).name!r} has another type or other quantization parameters than the "
                "operand that it is copied from"
            )

    @staticmethod
    def _check_real(name: str, element: Element) -> None:
        if element.dtype is DType.F32:
            return
        if element.quantization is None:
            raise UnsupportedError(f"tensor {name!r} holds {element.dtype} numbers without quantization parameters")
        if not element.quantization.is_per_tensor:
            raise UnsupportedError(f"tensor {name!r} has a scale for each index of an axis")

    # Options

    def integer(self, name: str) -> int:
        """Return an option that is an integer or an enumeration's number."""
        content = self.options[name]
        assert isinstance(content, int), name
        return content

    def flag(self, name: str) -> bool:
        """Return an option that is yes or no."""
        return bool(self.options[name])

    def number(self, name: str) -> float:
        """Return an option that is a real number."""
        content = self.options[name]
        assert isinstance(content, int | float), name
        return float(content)

    def integer_list(self, name: str) -> tuple[int, ...]:
        """Return an option that lists integers."""
        content = self.options[name]
        assert isinstance(content, tuple), name
        return tuple(int(number) for number in content)


Handler: TypeAlias = Callable[[Site], "Value | Constant | tuple[Value | Constant, ...]"]


@dataclass(frozen=True)
class Support:
    """How operators of one kind are imported.

    Attributes:
        handler: Emits the operator and returns its result, or all of them. Its docstring says what is supported,
            for users.
        operands: The least and the most operands that it takes.
        options_type: The schema's name of its options; empty where it has none.
        options: The options that the handler knows; others must be at their default, or the operator is refused.

    An operator with more than that is refused, not misread.
    """

    handler: Handler
    operands: tuple[int, int]
    options_type: str = ""
    options: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What is supported, in one paragraph."""
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
