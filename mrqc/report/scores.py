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
_LEAST_PROBABILITY = 2.0**-9
"""Half a code of eight bits: what a probability of zero stands for."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a classifier says of some images.

    Attributes:
        answers: A score for each class, of shape images, classes: its output, but for a detector.
        logits: The same before the softmax; the answers themselves where the model has none.
        output: Real values of its output, of shape images, numbers.
    """

    answers: NDArray[np.float64]
    logits: NDArray[np.float64]
    output: NDArray[np.float64]

    def first(self, count: int) -> Scores:
        """Return what is said of the first images."""
        return Scores(self.answers[:count], self.logits[:count], self.output[:count])


@dataclass(frozen=True, slots=True)
class ScoredModule:
    """A classifier that also returns its logits.

    A model that ends in a sigmoid over one number for each image, as a detector of a wake word does, gives the
    probability of the second of two classes.

    Attributes:
        module: The module, with one more output if it ends in a softmax.
        answer: The model's output.
        logits: The output that holds the softmax's input, or the model's output again.
        slope: What the softmax multiplies its input by, which belongs to the logits.
        is_detector: Whether the output is the probability of one thing.
    """

    module: Module
    answer: Output
    logits: Output
    slope: float = 1.0
    is_detector: bool = False

    @classmethod
    def of(cls, module: Module, original: ScoredModule | None = None) -> ScoredModule:
        """Return ``module`` with its logits as an output.

        The softmax of probabilities would say little about how far two models are apart: one at the end is
        looked through; a quantize, dequantize, clamp or reshape behind it is part of it.

        Args:
            module: The classifier.
            original: What it is lowered from, which says whether it is a detector; itself if None.

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
        if original.is_detector if original else _is_detector(module, answer.value):
            return cls(module, answer, answer, is_detector=True)
        softmax = _last_softmax(module, answer.value)
        if softmax is None:
            return cls(module, answer, answer)
        logits = Output(f"{answer.name}_logits", softmax.op.operands[0])
        scored = module.with_graph(replace(graph, outputs=(*graph.outputs, logits)))
        return cls(scored, answer, logits, _slope(module, softmax.op))

    def scores(self, outputs: dict[str, NDArray[Any]]) -> Scores:
        """Return the real-valued scores in what the module's run gave."""
        answers = _real(self.answer.value.type, outputs[self.answer.name])
        if self.is_detector:
            both = np.concatenate([1.0 - answers, answers], axis=1)
            return Scores(both, np.log(np.clip(both, _LEAST_PROBABILITY, None)), answers)
        return Scores(answers, self.slope * _real(self.logits.value.type, outputs[self.logits.name]), answers)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        type_ = self.answer.value.type
        return 2 if self.is_detector else type_.size // type_.shape[0]


def _definition_behind(module: Module, value: Value) -> Statement | None:
    """Return what defines a value, looking through what can stand behind a softmax."""
    statement = module.graph.definitions.get(value)
    while statement is not None and isinstance(statement.op, _AFTER_SOFTMAX):
        statement = module.graph.definitions.get(statement.op.operands[0])
    return statement


def _is_detector(module: Module, value: Value) -> bool:
    """Whether a sigmoid gives one number for each image."""
    statement = _definition_behind(module, value)
    return statement is not None and isinstance(statement.op, nn.Sigmoid) and value.type.size == value.type.shape[0]


def _last_softmax(module: Module, value: Value) -> Statement | None:
    """Return the softmax that ends the module, or None where none does."""
    statement = _definition_behind(module, value)
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
