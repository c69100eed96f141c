"""From a classifier's module to its scores: what it answers, and the logits behind the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.errors import InputError
from mrqc.ir.graph import Module, Output, Statement
from mrqc.ir.op import Op, Value
from mrqc.ir.types import TensorType
from mrqc.ops import int as int_ops
from mrqc.ops import nn
from mrqc.ops.structure import ReshapeBase

# What can stand between a softmax and the output without changing which number belongs to which class.
_AFTER_SOFTMAX = (
    *(nn.Quantize, nn.Dequantize, nn.Relabel, nn.Clip),
    ReshapeBase,
    *(int_ops.Rescale, int_ops.Relabel, int_ops.Clamp, int_ops.Table),
)
_SOFTMAXES = (
    nn.Softmax,
    *(int_ops.Softmax, int_ops.ReciprocalSoftmax, int_ops.InterpolatedSoftmax, int_ops.FloatSoftmax),
)


@dataclass(frozen=True, slots=True)
class Scores:
    """What a classifier says of some images.

    Attributes:
        answers: Real values of its output, of shape images, classes.
        logits: The same before the softmax; the answers themselves where the model has none.
    """

    answers: NDArray[np.float64]
    logits: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredModule:
    """A classifier that also returns its logits.

    Attributes:
        module: The module, with one more output if it ends in a softmax.
        answer: The model's output.
        logits: The output that holds the softmax's input, or the model's output again.
        slope: What the softmax multiplies its input by, which belongs to the logits.
    """

    module: Module
    answer: Output
    logits: Output
    slope: float = 1.0

    @classmethod
    def of(cls, module: Module) -> ScoredModule:
        """Return ``module`` with its logits as an output.

        The softmax of probabilities would say little about how far two models are apart: one at the end is
        looked through; a quantize, dequantize, clamp or reshape behind it is part of it.

        Raises:
            InputError: The module has not exactly one input and one output of scores for each image.
        """
        graph, inputs, results = module.graph, module.data_inputs, module.data_outputs
        if len(inputs) != 1 or len(results) != 1:
            raise InputError(
                f"module {module.name}: only a model of one input and one output can be evaluated; this has "
                f"{len(inputs)} and {len(results)}"
            )
        answer, images = results[0], inputs[0].type.shape[:1]
        if answer.value.type.shape[:1] != images or answer.value.type.rank < 2:
            raise InputError(
                f"module {module.name}: output {answer.name!r} of shape {list(answer.value.type.shape)} "
                "does not hold one row of class scores for each image"
            )
        softmax = _last_softmax(module, answer.value)
        if softmax is None:
            return cls(module, answer, answer)
        logits = Output(f"{answer.name}_logits", softmax.op.operands[0])
        scored = module.with_graph(replace(graph, outputs=(*graph.outputs, logits)))
        return cls(scored, answer, logits, _slope(module, softmax.op))

    def scores(self, outputs: dict[str, NDArray[Any]]) -> Scores:
        """Return the real-valued scores in what the module's run gave."""
        return Scores(
            _real(self.answer.value.type, outputs[self.answer.name]),
            self.slope * _real(self.logits.value.type, outputs[self.logits.name]),
        )


def _last_softmax(module: Module, value: Value) -> Statement | None:
    """Return the softmax that ends the module, or None where none does."""
    statement = module.graph.definitions.get(value)
    while statement is not None and isinstance(statement.op, _AFTER_SOFTMAX):
        statement = module.graph.definitions.get(statement.op.operands[0])
    if statement is None or not isinstance(statement.op, _SOFTMAXES):
        return None
    # A softmax that runs along anything but the classes is no softmax over them.
    classes = value.type.size // value.type.shape[0]
    return statement if statement.op.input.type.shape[-1] == classes else None


def _slope(module: Module, op: Op) -> float:
    """Return what a softmax multiplies its input by.

    Where every scale is a power of two, the scale of a softmax's input is a label, and the truth is in its table of
    exponentials. It is read off where an entry is the nearest to 1/e of the first: there rounding matters least.
    """
    if isinstance(op, nn.Softmax):
        return op.beta
    if not isinstance(op, int_ops.Softmax):
        return 1.0
    definition, quantization = module.graph.definitions.get(op.table), op.input.type.quantization
    if definition is None or not isinstance(definition.op, int_ops.Constant) or quantization is None:
        return 1.0
    table: NDArray[np.float64] = definition.op.value.array.astype(np.float64)
    distance = max(1, int(np.argmin(np.abs(table - table[0] / np.e))))
    if table[distance] <= 0.0:
        return 1.0
    exponent = float(np.log(table[0] / table[distance]))
    slope = exponent / distance / quantization.scale
    # Half a unit of either entry moves the exponent by less than a unit of the smaller one: no more than rounding.
    is_rounding = abs(slope - 1.0) * exponent <= slope / table[distance]
    return 1.0 if is_rounding else slope


def _real(type_: TensorType, array: NDArray[Any]) -> NDArray[np.float64]:
    reals = array.astype(np.float64) if type_.quantization is None else type_.quantization.dequantize(array)
    classes = type_.size // type_.shape[0]
    return reals.reshape(-1, classes)
