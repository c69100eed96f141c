"""The node tests that the onnx package ships, as cases for the importer and the reference interpreter.

python tests/frontends/onnx/node_tests.py writes the list of those that are refused anew.
"""

from __future__ import annotations

import importlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.backend.test.case import node as node_cases

import mrqc
from mrqc.errors import InputError
from mrqc.frontends.onnx.support import RULES

REFUSALS = Path(__file__).with_name("node_test_refusals.json")
"""Name and message of each test that cannot be imported."""

EXTRA_FILES = {"poolopcommon"}
"""Files that are not called as an operator."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class NodeTest:
    """One case: a model of one node, inputs and results."""

    name: str
    model: onnx.ModelProto
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    rtol: float
    atol: float


@cache
def node_tests() -> tuple[NodeTest, ...]:
    """Return the tests of every operator that mrqc imports, and of no function body."""
    folder = Path(next(iter(node_cases.__path__)))
    known = {op_type.lower() for _, op_type in RULES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A module registers its tests when it is imported; all of them together take half a minute.
        for file in sorted(folder.glob("*.py")):
            if file.stem.replace("_", "") in known | EXTRA_FILES:
                importlib.import_module(f"{node_cases.__name__}.{file.stem}")
    found: list[NodeTest] = []
    for case in node_cases._NodeTestCases:
        nodes = case.model.graph.node
        if len(nodes) != 1 or (nodes[0].domain, nodes[0].op_type) not in RULES:
            continue
        for inputs, outputs in case.data_sets[:1]:
            found.append(NodeTest(case.name, case.model, inputs, outputs, case.rtol, case.atol))
    return tuple(found)


def imported(test: NodeTest) -> tuple[mrqc.Module, Arrays]:
    """Return the module and its inputs: all of them computed, or where that is not possible only the first one.

    Raises:
        InputError: Neither can be imported.
    """
    try:
        return _imported(test, len(test.inputs))
    except InputError:
        if len(test.inputs) < 2:
            raise
    return _imported(test, 1)


def _imported(test: NodeTest, computed: int) -> tuple[mrqc.Module, Arrays]:
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    arrays: Arrays = {}
    for port, content in zip(test.model.graph.input, test.inputs, strict=False):
        if isinstance(content, np.ndarray | np.generic):
            arrays[port.name] = np.asarray(content)
    constants = list(arrays)[computed:]
    for name in constants:
        model.graph.initializer.append(numpy_helper.from_array(arrays[name], name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.onnx"
        path.write_bytes(model.SerializeToString())
        module = mrqc.load(path)
    return module, {name: array for name, array in arrays.items() if name not in constants}


def differences(test: NodeTest) -> Iterator[str]:
    """Yield what mrqc computes in another way than the test says.

    Raises:
        InputError: The test cannot be imported.
    """
    module, inputs = imported(test)
    results = mrqc.reference(module).run(inputs)
    for port, wanted in zip(test.model.graph.output, test.outputs, strict=False):
        found = results[port.name]
        if found.shape != wanted.shape:
            yield f"{port.name}: shape {list(found.shape)}, expected {list(wanted.shape)}"
        elif np.issubdtype(wanted.dtype, np.floating):
            if not np.allclose(found, wanted, test.rtol, max(test.atol, 1e-6)):
                yield f"{port.name}: off by up to {np.abs(found - wanted).max()}"
        elif not np.array_equal(found, wanted):
            yield f"{port.name}: {np.count_nonzero(found != wanted)} of {wanted.size} codes differ"


def refusals() -> dict[str, str]:
    """Return the message of each test that cannot be imported."""
    found: dict[str, str] = {}
    for test in node_tests():
        try:
            imported(test)
        except InputError as error:
            found[test.name] = str(error).partition(": ")[2].splitlines()[-1].strip()
    return found


if __name__ == "__main__":
    REFUSALS.write_text(json.dumps(refusals(), indent=0, sort_keys=True) + "\n", encoding="utf-8")
