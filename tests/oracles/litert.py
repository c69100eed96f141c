"""LiteRT's reference kernels, the oracle for files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class RefusedByLiteRT(Exception):  # noqa: N818 - not a fault of this program
    """LiteRT does not take the file: the test that built it is wrong, not the importer."""


def _interpreter(content: bytes) -> Interpreter:
    """Return the reference kernels, or the default ones where an operator has no others (ELU)."""
    try:
        return Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
        )
    except (ValueError, RuntimeError) as error:
        if "Didn't find op" not in str(error):
            raise
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)


class LiteRT:
    """A file, ready to run.

    Inputs and outputs go by the names of their tensors; a second output of the same name has ``_1`` behind it.
    """

    def __init__(self, content: bytes) -> None:
        """Allocate the file's tensors.

        Raises:
            RefusedByLiteRT: The message is LiteRT's.
        """
        try:
            self._interpreter = _interpreter(content)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise RefusedByLiteRT(str(error)) from None
        self._inputs = {detail["name"]: detail for detail in self._interpreter.get_input_details()}
        self._outputs = self._interpreter.get_output_details()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return all outputs."""
        for name, array in inputs.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], array)
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise RefusedByLiteRT(str(error)) from None
        results: dict[str, NDArray[Any]] = {}
        for detail in self._outputs:
            name, suffix = detail["name"], 0
            while name in results:
                suffix += 1
                name = f"{detail['name']}_{suffix}"
            results[name] = np.array(self._interpreter.get_tensor(detail["index"]))
        return results

    def run_all(self, rows: Iterable[Arrays]) -> list[dict[str, NDArray[Any]]]:
        """Return the outputs for each set of inputs."""
        return [self.run(row) for row in rows]
