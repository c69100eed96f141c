"""An ``int.*`` module, ready to run bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from numpy.typing import ArrayLike

from mrqc.analysis.accumulators import AccumulatorBound, accumulator_bounds
from mrqc.backends.interpreter import Array, Interpreter, Kernel
from mrqc.backends.simulator import (
    activation,
    constant,
    contraction,
    elementwise,
    float32,
    layout,
    pooling,
    reduction,
    rescale,
    resize,
)
from mrqc.backends.simulator.requantize import greatest_intermediate
from mrqc.backends.simulator.rules import RULES, Facts
from mrqc.errors import Diagnostic, InputError
from mrqc.ir import Module, Statement, Value
from mrqc.ops import INT_OPS
from mrqc.ops.int import Constant, ReciprocalSoftmax, Requantize, RescaledAdd, Softmax

FAMILIES = (activation, constant, contraction, elementwise, float32, layout, pooling, reduction, rescale, resize)
"""The modules that fill the table."""

RULES.seal(INT_OPS)


class Program:
    """Runs an ``int.*`` module exactly as the integer hardware does.

    Arrays may hold any multiple of the module's batch; they are worked off in slices of bounded memory, and
    the result does not depend on the slices.
    """

    def __init__(self, module: Module) -> None:
        """Compile ``module``, which must be well formed: weights are converted and bounds proved once.

        Raises:
            InputError: A statement is not of the ``int`` dialect, or its arithmetic is not defined for every
                input.
        """
        foreign = [
            Diagnostic(f"{statement.op.mnemonic} is no integer op", str(statement.location), "lower the module first")
            for statement in module.graph.statements
            if type(statement.op) not in RULES
        ]
        if foreign:
            raise InputError.collect(f"module {module.name!r} cannot be simulated", foreign)
        bounds = accumulator_bounds(module)
        undefined = [
            Diagnostic(problem, str(statement.location))
            for statement in module.graph.statements
            for problem in _problems(statement, module, bounds)
        ]
        if undefined:
            raise InputError.collect(f"module {module.name!r} cannot be simulated", undefined)

        def make_kernel(statement: Statement, known: Mapping[Value, Array]) -> Kernel:
            bound = bounds.get(statement.result)
            return RULES[type(statement.op)](statement.op, Facts(known, bound.magnitude if bound else 0))

        self.module = module
        self._interpreter = Interpreter(module, make_kernel)

    def __call__(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> Array | dict[str, Array]:
        """Return the output codes: one array for one array and a module with one output, else by name.

        Args:
            inputs: By input name, or a single array for a module with one input. An integer array of the
                input's dtype holds codes, a floating-point array real values. Shape: the input's, or any
                multiple of its leading extent.

        Raises:
            InputError: The inputs do not fit the module.
        """
        outputs = self.run(inputs)
        if isinstance(inputs, Mapping) or len(outputs) != 1:
            return outputs
        return next(iter(outputs.values()))

    def run(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return the codes of the outputs by their names; inputs as for a call.

        Raises:
            InputError: The inputs do not fit the module.
        """
        return self._interpreter.run(inputs)

    def trace(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return the codes of every value by its name; a value that depends on no input is there once.

        Raises:
            InputError: The inputs do not fit the module.
        """
        return self._interpreter.trace(inputs)


def _problems(statement: Statement, module: Module, bounds: Mapping[Value, AccumulatorBound]) -> Iterator[str]:
    """Yield why the arithmetic of a statement would not be the one that the op defines."""
    op = statement.op
    requantize = getattr(op, "requantize", None)
    bound = bounds.get(statement.result)
    if isinstance(requantize, Requantize) and bound is not None:
        greatest = greatest_intermediate(requantize, bound.magnitude)
        if greatest >= 1 << 63:
            yield (
                f"{op.mnemonic} {statement.result}: an accumulator of {bound.needs_bits} bits, multiplied "
                "and rounded, does not fit 64 bits"
            )
    if isinstance(op, RescaledAdd):
        yield from _scaling_problems(op, statement)
    if isinstance(op, Softmax | ReciprocalSoftmax):
        definition = module.graph.definitions.get(op.table)
        if definition is not None and isinstance(definition.op, Constant):
            table = definition.op.value.array
            if table.min() < 0 or table[0] < 1:
                yield f"{op.mnemonic} {statement.result}: the table must start above zero and not be negative"


def _scaling_problems(op: RescaledAdd, statement: Statement) -> Iterator[str]:
    for operand, scaling in ((op.lhs, op.lhs_scaling), (op.rhs, op.rhs_scaling)):
        dtype = operand.type.dtype
        if scaling.product(dtype.minimum, dtype.maximum) + (1 << scaling.shift) >= 1 << 63:
            yield f"{op.mnemonic} {statement.result}: {operand}, scaled and rounded, does not fit 64 bits"
