"""What people who write passes, ops and backends assert about whole modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c.harness import CompiledKernel
from mrqc.backends.reference import ReferenceProgram
from mrqc.backends.simulator import Program
from mrqc.ir import Module, verify
from mrqc.ir.text import parse_module, print_module
from mrqc.ops import INT_OPS, OPS_BY_MNEMONIC
from mrqc.testing.inputs import random_inputs

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


def run_module(module: Module, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """Return the outputs of a module by name: simulated if it holds int ops, else from the reference."""
    if any(type(statement.op) in INT_OPS for statement in module.graph.statements):
        return dict(Program(module).run(dict(inputs)))
    return dict(ReferenceProgram(module).run(dict(inputs)))


def assert_same_arrays(expected: Arrays, found: Arrays, subject: str) -> None:
    """Assert that two sets of outputs agree in names, types, shapes and every value.

    Raises:
        AssertionError: They do not; for each output, the message has the number of differences and the first.
    """
    assert list(expected) == list(found), f"{subject}: outputs {list(expected)} became {list(found)}"
    differences: list[str] = []
    for name, wanted in expected.items():
        got = found[name]
        if (wanted.dtype, wanted.shape) != (got.dtype, got.shape):
            before, after = (f"{array.dtype}{list(array.shape)}" for array in (wanted, got))
            differences.append(f"{name}: {before} became {after}")
            continue
        unequal = np.argwhere(wanted != got)
        if len(unequal):
            index = tuple(int(position) for position in unequal[0])
            differences.append(
                f"{name}: {len(unequal)} of {wanted.size} elements differ, first at {list(index)}: "
                f"{wanted[index]} became {got[index]}"
            )
    assert not differences, f"{subject}:\n  " + "\n  ".join(differences)


def assert_well_formed(module: Module) -> None:
    """Assert that the verifier finds nothing.

    Raises:
        AssertionError: It does; the message lists the findings.
    """
    found = verify(module)
    assert not found, "not well formed:\n  " + "\n  ".join(map(str, found))


def assert_pass_exact(pass_: Callable[[Module], Module], module: Module, samples: int = 8, seed: int = 0) -> Module:
    """Assert that a pass gives a well-formed module with bit-identical results, and return that.

    Args:
        pass_: The pass under test.
        module: A well-formed module of either dialect.
        samples: How many random batches to run before and after, the extremes of the codes among them.
        seed: Seed of the batches.

    Raises:
        AssertionError: The result is malformed, has other inputs or outputs, or computes something else.
    """
    name = getattr(pass_, "name", type(pass_).__name__)
    after = pass_(module)
    assert_well_formed(after)
    before_types = {value.name: value.type for value in module.graph.inputs}
    after_types = {value.name: value.type for value in after.graph.inputs}
    assert before_types == after_types, f"pass {name} changed the inputs"
    inputs = random_inputs(module, samples, seed)
    assert_same_arrays(run_module(module, inputs), run_module(after, inputs), f"pass {name} is not exact")
    return after


def assert_round_trips(module: Module) -> None:
    """Assert that the text of a module parses back to the equal module, locations and metadata included.

    Raises:
        AssertionError: It does not, or the parsed module prints differently.
    """
    text = print_module(module)
    again = parse_module(text, OPS_BY_MNEMONIC)
    assert again == module, f"parsed back to another module:\n{text}\nwhich prints as\n{print_module(again)}"
    locations = [statement.location for statement in module.graph.statements]
    assert [statement.location for statement in again.graph.statements] == locations, f"locations lost:\n{text}"
    assert print_module(again) == text, "the parsed module prints differently"


def assert_c_matches_simulator(module: Module, inputs: Arrays, *, sanitize: bool = True) -> None:
    """Assert that the emitted C, compiled and run, gives the simulator's every byte.

    Args:
        module: A well-formed int module.
        inputs: An array for each input's name, with a multiple of the module's leading extent.
        sanitize: Compile with address and undefined-behaviour sanitizers.

    Raises:
        AssertionError: An output differs.
    """
    expected = Program(module).run(dict(inputs))
    with CompiledKernel(module, sanitize=sanitize) as kernel:
        found = kernel.run(dict(inputs))
    assert_same_arrays(expected, found, "C differs from the simulator")
