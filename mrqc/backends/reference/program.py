"""An ``nn.*`` module, ready to run over the reals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.backends.interpreter import Array, Interpreter, Kernel
from mrqc.backends.reference import (
    activation,
    constant,
    contraction,
    elementwise,
    layout,
    normalization,
    pooling,
    quantize,
    reduction,
    resize,
)
from mrqc.backends.reference.grid import real_values
from mrqc.backends.reference.rules import RULES
from mrqc.errors import Diagnostic, InputError
from mrqc.ir import Module, Statement, Value
from mrqc.ops import NN_OPS

FAMILIES = (activation, constant, contraction, elementwise, layout, normalization, pooling, quantize, reduction, resize)
"""The modules that fill the table."""

RULES.seal(NN_OPS)


def kernel_of(statement: Statement, known: Mapping[Value, Array]) -> Kernel:
    """Return what computes the result of one ``nn`` statement: ``kernel(*operands)``, all operands in order.

    Quantized tensors are codes in their dtype, floats are doubles. Where the module treats its batches one by one
    (:func:`mrqc.analysis.batching.is_batchwise`), operands may hold several batches of it.

    Args:
        statement: A well-formed statement.
        known: The operands that depend on no input, constants above all: the kernel may prepare them here, once. The
            weights and biases of contractions belong here; what is known is handed to the kernel all the same.

    Raises:
        InputError: The statement is not of the ``nn`` dialect.
    """
    if type(statement.op) not in RULES:
        raise InputError(f"{statement.location}: {statement.op.mnemonic} has no meaning over the reals")
    return RULES[type(statement.op)](statement.op, known)


class ReferenceProgram:
    """Runs an ``nn.*`` module: arithmetic in double precision, one rounding (half to even) for each result.

    Sums over quantized operands are exact integers, and sums of doubles have one order for each image, so
    that the results depend neither on the batch nor on the machine's number of cores.
    """

    def __init__(self, module: Module) -> None:
        """Compile ``module``, which must be well formed.

        Raises:
            InputError: A statement is not of the ``nn`` dialect.
        """
        foreign = [
            Diagnostic(f"{statement.op.mnemonic} has no meaning over the reals", str(statement.location))
            for statement in module.graph.statements
            if type(statement.op) not in RULES
        ]
        if foreign:
            raise InputError.collect(f"module {module.name!r} cannot run in the reference interpreter", foreign)
        self.module = module
        self._interpreter = Interpreter(module, kernel_of)

    @property
    def known(self) -> Mapping[Value, Array]:
        """What every value is that depends on no input, as :func:`kernel_of` takes it; not to be changed."""
        return self._interpreter.known

    @property
    def batches_per_slice(self) -> int:
        """How many batches of the module run at once in bounded memory; 1 where they may not be stacked."""
        return self._interpreter.batches_per_slice

    def run(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return the outputs by their names: codes for quantized outputs, float32 for floats.

        Args:
            inputs: By input name, or a single array for a module with one input. A quantized input takes
                codes in its dtype, or floating-point arrays of real values; a float input takes
                floating-point arrays. The shape is the input's or any multiple of its leading extent.

        Raises:
            InputError: The inputs do not fit the module.
        """
        return {
            name: array.astype(np.float32) if array.dtype == np.float64 else array
            for name, array in self._interpreter.run(inputs).items()
        }

    def dequantized(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return the real values of the outputs by their names, in doubles; inputs as for :meth:`run`.

        Raises:
            InputError: The inputs do not fit the module.
        """
        types = {output.name: output.value.type for output in self.module.graph.outputs}
        return {name: real_values(array, types[name]) for name, array in self._interpreter.run(inputs).items()}

    def trace(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return every value by its name: codes for quantized tensors, float64 for floats.

        A value that depends on no input is given once, whatever the number of batches.

        Raises:
            InputError: The inputs do not fit the module.
        """
        return self._interpreter.trace(inputs)

    def walk(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> Iterator[tuple[Value, Array]]:
        """Yield the inputs and every value that depends on them in order, slice after slice of the batch.

        Codes for quantized tensors, float64 for floats. Values are given up after their last use; do not change them.

        Raises:
            InputError: The inputs do not fit the module.
        """
        return self._interpreter.walk(inputs)
