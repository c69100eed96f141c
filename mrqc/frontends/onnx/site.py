"""One node being imported: its operands, its attributes, and a place to emit to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, Lost, LostOperandError, UnsupportedError
from mrqc.frontends.onnx.arrays import Unreadable
from mrqc.frontends.onnx.emitter import Emitter
from mrqc.frontends.onnx.graph import Node
from mrqc.frontends.onnx.tensors import NHWC_SEEN_AS_NCHW, Activation, Tensor
from mrqc.ir.dtype import DType
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value


@dataclass(frozen=True)
class Site:
    """A node in its graph.

    Attributes:
        node: The node.
        opset: Version of the default operator set.
        tensors: What the names defined so far stand for.
        emitter: The module under construction.
    """

    node: Node
    opset: int
    tensors: Mapping[str, Tensor]
    emitter: Emitter

    @property
    def location(self) -> Location:
        """The node, for statements."""
        return Location.of(self.node.label)

    def emit(self, op: Op, *others: Location) -> Value:
        """Append a statement that stems from this node, and from ``others`` that it takes in."""
        return self.emitter.emit(op, Location().merge(*others, self.location))

    # Operands

    def has_operand(self, index: int) -> bool:
        """Whether the node has that input."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index])

    def operand(self, index: int) -> Activation | Constant:
        """Return an input.

        Raises:
            UnsupportedError: The node has no such input.
            LostOperandError: It could not be imported itself.
        """
        if not self.has_operand(index):
            raise UnsupportedError(f"input {index} is missing")
        tensor = self.tensors[self.node.inputs[index]]
        if isinstance(tensor, Lost):
            raise LostOperandError
        return tensor

    def as_activation(self, tensor: Activation | Constant) -> Activation:
        """Return the tensor as a value, which a constant becomes here."""
        if isinstance(tensor, Constant):
            return Activation.plain(self.emitter.constant(tensor, self.location))
        return tensor

    def float_operand(self, index: int) -> Activation:
        """Return an input as a value of floats.

        Raises:
            UnsupportedError: It holds integers.
        """
        activation = self.as_activation(self.operand(index))
        if activation.value.type.dtype is not DType.F32:
            raise UnsupportedError(
                f"it works on the codes of {self.node.inputs[index]!r}",
                "mrqc imports it between DequantizeLinear and QuantizeLinear",
            )
        return activation

    def image_operand(self, index: int, codes_too: bool = False) -> Activation:
        """Return an input as a value with batch, channels, height and width.

        Raises:
            UnsupportedError: It is no image, or holds codes where only floats will do.
        """
        activation = self.as_activation(self.operand(index)) if codes_too else self.float_operand(index)
        if len(activation.shape) != 4:
            raise UnsupportedError(f"only images with 4 axes are supported, found shape {list(activation.shape)}")
        return activation

    def constant(self, index: int, role: str) -> Constant:
        """Return an input that must be known at import, such as weights.

        Raises:
            UnsupportedError: It is computed.
        """
        tensor = self.operand(index)
        if isinstance(tensor, Activation):
            raise UnsupportedError(f"the {role} {self.node.inputs[index]!r} is computed at run time, not constant")
        return tensor

    def plain_array(self, index: int, role: str) -> NDArray[Any]:
        """Return the array of a constant input that is not quantized: shapes, axes, scales, bounds."""
        constant = self.constant(index, role)
        return constant.real() if constant.element is not None else constant.array

    def integers(self, index: int, role: str) -> tuple[int, ...]:
        """Return a constant list of integers."""
        array = self.plain_array(index, role)
        if not np.issubdtype(array.dtype, np.integer) or array.ndim > 1:
            raise UnsupportedError(f"the {role} must be a list of integers, found {array.dtype}{list(array.shape)}")
        return tuple(int(number) for number in array.reshape(-1))

    def nhwc(self, activation: Activation) -> Value:
        """Return an image in the layout of the IR."""
        return self.emitter.arrange(activation, NHWC_SEEN_AS_NCHW, self.location)

    def logical(self, activation: Activation) -> Value:
        """Return a tensor in the layout that ONNX sees."""
        return self.emitter.logical(activation, self.location)

    def reshape(self, tensor: Activation | Constant, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor under another shape of the same size."""
        if isinstance(tensor, Constant):
            return tensor.reshaped(shape)
        if tensor.shape == shape:
            return tensor
        return Activation.plain(self.emitter.reshape(tensor, shape, self.location))

    # Attributes

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        content = self.node.attributes.get(name, default)
        if not isinstance(content, int):
            raise self._wrong_kind(name, "an integer")
        return content

    def number(self, name: str, default: float) -> float:
        """Return a real attribute."""
        content = self.node.attributes.get(name, default)
        if not isinstance(content, float):
            raise self._wrong_kind(name, "a float")
        return content

    def text(self, name: str, default: str) -> str:
        """Return a string attribute."""
        content = self.node.attributes.get(name, default)
        if not isinstance(content, str):
            raise self._wrong_kind(name, "a string")
        return content

    def integer_list(self, name: str) -> tuple[int, ...] | None:
        """Return an attribute that lists integers, or None where the node does not have it."""
        content = self.node.attributes.get(name)
        if content is None:
            return None
        if not isinstance(content, tuple):
            raise self._wrong_kind(name, "a list of integers")
        return tuple(number for number in content if isinstance(number, int))

    def pair(self, name: str, default: tuple[int, int]) -> tuple[int, int]:
        """Return an attribute with one integer for each of height and width."""
        content = self.integer_list(name)
        if not content:
            return default
        if len(content) != 2:
            raise UnsupportedError(f"only 2-D windows are supported, {name} = {list(content)}")
        return (content[0], content[1])

    def axis(self, axis: int, rank: int, first_beyond: int = 0) -> int:
        """Return a non-negative axis.

        Raises:
            UnsupportedError: ``axis`` is none of a tensor of ``rank`` axes.
        """
        return checked_axis(axis, rank, first_beyond)

    def _wrong_kind(self, name: str, wanted: str) -> UnsupportedError:
        content = self.node.attributes[name]
        if isinstance(content, Unreadable):
            return UnsupportedError(f"attribute {name!r}: {content.reason}")
        return UnsupportedError(f"attribute {name!r} must be {wanted}")


def checked_axis(axis: int, rank: int, first_beyond: int = 0) -> int:
    """Return a non-negative axis of a tensor of ``rank`` axes.

    Raises:
        UnsupportedError: There is no such axis.
    """
    if not -rank <= axis < rank + first_beyond:
        raise UnsupportedError(f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


Handler: TypeAlias = Callable[[Site], Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class NodeRule:
    """How nodes of one operator type are imported.

    Attributes:
        handler: Emits the node and returns its result, or all of them. Its docstring says what is supported, for
            users.
        operands: The most inputs that the handler knows.
        attributes: Every attribute that the handler knows.
        results: The most results that the handler gives.

    A node with more than that is refused, not misread.
    """

    handler: Handler
    operands: int
    attributes: tuple[str, ...] = ()
    results: int = 1

    @property
    def summary(self) -> str:
        """What is supported, in one paragraph."""
        return inspect.cleandoc(self.handler.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
