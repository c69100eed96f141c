"""Do two modules give the same bits? Checked by running both on seeded inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir.graph import Module
from mrqc.ir.op import Value

_SAMPLES = 4
_SEED = 20230807


def random_inputs(module: Module, samples: int = _SAMPLES, seed: int = _SEED) -> dict[str, NDArray[Any]]:
    """Return codes over the whole range of each input (floats: standard normal), ``samples`` batches of them."""
    generator = np.random.default_rng(seed)
    return {value.name: _random_codes(value, samples, generator) for value in module.graph.inputs}


def run_module(module: Module, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Run a module of either dialect: ``int.*`` in the simulator, ``nn.*`` over the reals."""
    if is_integer_module(module):
        return Program(module).run(inputs)
    return ReferenceProgram(module).run(inputs)


def is_integer_module(module: Module) -> bool:
    """Whether every statement is of the ``int`` dialect."""
    return all(statement.op.mnemonic.startswith("int.") for statement in module.graph.statements)


def first_difference(before: Module, after: Module) -> str | None:
    """Return a sentence about the first result that differs on random inputs, or None where all bits agree."""
    inputs = random_inputs(before)
    expected, found = run_module(before, inputs), run_module(after, inputs)
    for name, reference in expected.items():
        other = found.get(name)
        if other is None or other.shape != reference.shape or other.dtype != reference.dtype:
            return f"output {name!r} is missing or of another type"
        wrong = np.argwhere(reference != other)
        if len(wrong):
            place = tuple(int(index) for index in wrong[0])
            return (
                f"output {name!r} differs in {len(wrong)} of {reference.size} elements, "
                f"first at {list(place)}: {reference[place]} before, {other[place]} after"
            )
    return None


def _random_codes(value: Value, samples: int, generator: np.random.Generator) -> NDArray[Any]:
    shape = (samples * value.type.shape[0], *value.type.shape[1:])
    dtype = value.type.dtype
    if not dtype.is_integer:
        return generator.standard_normal(shape).astype(np.float32)
    return generator.integers(dtype.minimum, dtype.maximum, shape, dtype.numpy, endpoint=True)
