"""What runs a module: the interpreter of its dialect, or the emitted C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir.graph import Module
from mrqc.passes.bit_check import is_integer_module


class Runner(Protocol):
    """Runs a module on arrays by input name; codes, or real values that are quantized by the input's scale."""

    def run(self, inputs: Mapping[str, NDArray[Any]], /) -> dict[str, NDArray[Any]]:
        """Return the outputs by name.

        Raises:
            InputError: The arrays do not fit the inputs.
        """
        ...


def own_program(module: Module) -> Program | ReferenceProgram:
    """Return the interpreter of the module's dialect: the simulator for ``int``, else the reference over the reals."""
    return Program(module) if is_integer_module(module) else ReferenceProgram(module)
