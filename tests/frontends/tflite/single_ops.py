"""Generated files of one operator each, and the check that mrqc computes what LiteRT does, byte for byte.

A family registers for each operator a function that draws a complete file::

    @operator_cases("MAX_POOL_2D", "i8", "u8", "i16")
    def max_pool_2d(draw: DrawFn, dtype: str) -> SingleOpCase:
        file = TfliteFile()
        ...
        return case(draw, file)

in ``cases_<family>.py``, and names that module in ``all_cases.py``.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from closeness import assert_close
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from litert import Arrays, LiteRT
from numpy.typing import NDArray
from tflite_files import NUMPY, TYPES, TfliteFile

import mrqc
from mrqc.backends.c import CompiledKernel
from mrqc.compiler import reference
from mrqc.ir import Module, TensorType
from mrqc.targets import Target, load_target
from mrqc.testing.merging import side_by_side

EXAMPLES = int(os.environ.get("MRQC_SINGLE_OP_EXAMPLES", "200"))
"""Cases for each operator, shared out to its types of elements."""

COMPILED = int(os.environ.get("MRQC_SINGLE_OP_COMPILED", "6"))
"""How many of the cases for each operator and type also run as C, all those of an operator in one program."""

TARGET = "tflite"
_DTYPES = {number: name for name, number in TYPES.items()}


@dataclass(frozen=True)
class SingleOpCase:
    """A file with one operator, and several sets of inputs by the names of their tensors."""

    content: bytes = field(repr=False)
    rows: tuple[Arrays, ...]


@dataclass(frozen=True)
class OperatorCases:
    """What is drawn for one operator on one type of elements.

    Attributes:
        builtin: The operator.
        dtype: The type, as far as one word says it: ``i8``.
        strategy: Draws cases.
        target: The target whose simulator must agree with LiteRT, or None where nothing is lowered yet: then the
            imported module, run over the reals, must agree to within one code.
    """

    builtin: str
    dtype: str
    strategy: SearchStrategy[SingleOpCase]
    target: str | None

    def __str__(self) -> str:
        return f"{self.builtin}-{self.dtype}"


REGISTRY: list[OperatorCases] = []
_Draw = Callable[[DrawFn, str], SingleOpCase]


def operator_cases(builtin: str, *dtypes: str, target: str | None = TARGET) -> Callable[[_Draw], _Draw]:
    """Register a function that draws a case of ``builtin`` for each of ``dtypes``."""

    def register(function: _Draw) -> _Draw:
        REGISTRY.extend(OperatorCases(builtin, dtype, st.composite(function)(dtype), target) for dtype in dtypes)
        return function

    return register


def case(draw: DrawFn, file: TfliteFile, rows: tuple[Arrays, ...] = ()) -> SingleOpCase:
    """Return the case of a file: with ``rows``, or with the extremes of each input's type and random codes."""
    return SingleOpCase(file.content(), rows or tuple(_rows(file, draw(st.integers(0, 2**32 - 1)))))


def examples_for(cases: OperatorCases) -> int:
    """Return how many cases are drawn."""
    return math.ceil(EXAMPLES / sum(other.builtin == cases.builtin for other in REGISTRY))


@dataclass
class Outcome:
    """How many cases of an operator on one type agreed with LiteRT.

    Attributes:
        simulated: In the simulator.
        compiled: As C too.
    """

    simulated: int = 0
    compiled: int = 0


def check(builtin: str) -> dict[OperatorCases, Outcome]:
    """Draw the cases of an operator, always the same ones, and compare each with LiteRT.

    Raises:
        AssertionError: One differs; hypothesis shows the smallest that it finds.
    """
    outcomes: dict[OperatorCases, Outcome] = {}
    to_compile: list[_Expected] = []
    with tempfile.TemporaryDirectory() as folder:
        for cases in REGISTRY:
            if cases.builtin == builtin:
                simulated, chosen = _simulate(cases, Path(folder) / "single.tflite")
                outcomes[cases] = Outcome(simulated, len(chosen))
                to_compile += chosen
    if to_compile:
        _compare_compiled(to_compile)
    return outcomes


def _simulate(cases: OperatorCases, path: Path) -> tuple[int, list[_Expected]]:
    """Compare the cases on one type in the simulator; return their number, and those to run as C.

    The file of each is written to ``path``.
    """
    simulated = 0
    to_compile: dict[bytes, _Expected] = {}
    examples = examples_for(cases)

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(cases.strategy)
    def compare(drawn: SingleOpCase) -> None:
        nonlocal simulated
        # A new file each time: some file systems wait for the disk where one is overwritten.
        path.unlink(missing_ok=True)
        path.write_bytes(drawn.content)
        found = _compare(drawn, path, cases.target)
        if found is not None and simulated % max(1, examples // COMPILED) == 0:
            to_compile[drawn.content] = found
        simulated += 1

    compare()
    return simulated, list(to_compile.values())


@dataclass(frozen=True)
class _Expected:
    """A lowered module, and what LiteRT makes of the rows."""

    module: Module
    rows: tuple[Arrays, ...]
    outputs: list[dict[str, NDArray[Any]]] = field(repr=False)


def _compare(drawn: SingleOpCase, path: Path, target: str | None) -> _Expected | None:
    expected = LiteRT(drawn.content).run_all(drawn.rows)
    module = mrqc.load(path)
    if target is None:
        _compare_reals(module, drawn.rows, expected)
        return None
    lowered = mrqc.lower(module, _target(target))
    program = mrqc.simulate(lowered)
    types = output_types(lowered)
    for row, outputs in zip(drawn.rows, expected, strict=True):
        found = program.run(row)
        assert found.keys() == outputs.keys()
        for name, array in outputs.items():
            assert_same_bytes(as_runtime(found[name], types[name], array.dtype), array, module, f"output {name!r}")
    return _Expected(lowered, drawn.rows, expected)


@cache
def _target(name: str) -> Target:
    return load_target(name)


def _compare_reals(module: Module, rows: tuple[Arrays, ...], expected: list[dict[str, NDArray[Any]]]) -> None:
    program = reference(module)
    for row, outputs in zip(rows, expected, strict=True):
        found = program.run(row)
        assert found.keys() == outputs.keys()
        for name, array in outputs.items():
            assert_close(found[name], array, f"{module}\noutput {name!r}")


def _compare_compiled(cases: list[_Expected]) -> None:
    """Compare the C of several modules, side by side in one program, with LiteRT."""
    batches = min(len(expected.rows) for expected in cases)
    joined = side_by_side([expected.module for expected in cases])
    inputs = {
        f"{number}_{name}": np.concatenate([row[name] for row in expected.rows[:batches]])
        for number, expected in enumerate(cases)
        for name in (value.name for value in expected.module.graph.inputs)
    }
    # Compiling takes longest, least of all without optimization.
    with CompiledKernel(joined, optimization="-O0") as kernel:
        found = kernel.run(inputs)
    for number, expected in enumerate(cases):
        types = output_types(expected.module)
        for name in expected.outputs[0]:
            array = np.concatenate([np.atleast_1d(outputs[name]) for outputs in expected.outputs[:batches]])
            codes = as_runtime(found[f"{number}_{name}"], types[name], array.dtype)
            assert_same_bytes(codes, array, expected.module, f"C of output {name!r}")


def output_types(module: Module) -> Mapping[str, TensorType]:
    """Return the type of each output by its name."""
    return {output.name: output.value.type for output in module.graph.outputs}


def as_runtime(array: NDArray[Any], type_: TensorType, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an output as the file's runtime gives it; the dequantize at the end of a lowered module is the host's."""
    if dtype == np.float32 and type_.quantization is not None:
        return type_.quantization.dequantize(array).astype(np.float32)
    return array


def assert_same_bytes(found: NDArray[Any], expected: NDArray[Any], *subject: object) -> None:
    """Assert that two arrays have the same type, shape and bytes; the message begins with ``subject``."""
    assert found.dtype == expected.dtype, subject
    assert found.shape == expected.shape, subject
    if found.tobytes() == expected.tobytes():
        return
    where = np.argwhere(found != expected)
    lines = (f"at {index.tolist()}: {found[tuple(index)]}, LiteRT {expected[tuple(index)]}" for index in where[:5])
    raise AssertionError(
        "\n".join(map(str, subject)) + f": {len(where)} of {found.size} elements differ\n  " + "\n  ".join(lines)
    )


def _rows(file: TfliteFile, seed: int) -> Iterator[Arrays]:
    """Yield sets of inputs: all least, all greatest, and random ones, some of these mostly extremes."""
    random = np.random.default_rng(seed)
    inputs = [file.graph.tensors[index] for index in file.graph.inputs]
    yield {tensor.name: _filled(tensor, greatest=False) for tensor in inputs}
    yield {tensor.name: _filled(tensor, greatest=True) for tensor in inputs}
    yield {tensor.name: _random(tensor, random) for tensor in inputs}
    yield {
        tensor.name: np.where(
            random.random(tensor.shape) < 0.5,
            _random(tensor, random),
            _filled(tensor, greatest=bool(random.integers(2))),
        ).astype(NUMPY[_DTYPES[tensor.type]])
        for tensor in inputs
    }


def _filled(tensor: Any, greatest: bool) -> NDArray[Any]:
    numpy = NUMPY[_DTYPES[tensor.type]]
    if np.issubdtype(numpy, np.floating):
        return np.full(tensor.shape, 8.0 if greatest else -8.0, numpy)
    limits = np.iinfo(numpy)
    return np.full(tensor.shape, limits.max if greatest else limits.min, numpy)


def _random(tensor: Any, random: np.random.Generator) -> NDArray[Any]:
    numpy = NUMPY[_DTYPES[tensor.type]]
    if np.issubdtype(numpy, np.floating):
        return random.normal(0, 3, tensor.shape).astype(numpy)
    limits = np.iinfo(numpy)
    return random.integers(limits.min, limits.max, tensor.shape, numpy, endpoint=True)
