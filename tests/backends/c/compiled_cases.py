"""Many small modules in one compiled kernel, since starting a compiler takes longer than any of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from integer_oracle import simulate
from numpy.typing import NDArray

from mrqc.backends.c import CompiledKernel
from mrqc.backends.simulator import Program
from mrqc.ir import Module, verify
from mrqc.testing.merging import side_by_side

Arrays = Mapping[str, NDArray[Any]]


def extreme_inputs(module: Module, batches: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return random codes, every third at one of the ends of its dtype."""
    random = np.random.default_rng(seed)
    arrays: dict[str, NDArray[Any]] = {}
    for value in module.graph.inputs:
        shape = (batches * value.type.shape[0], *value.type.shape[1:]) if value.type.shape else ()
        dtype = value.type.dtype
        codes = random.integers(dtype.minimum, dtype.maximum + 1, shape)
        ends = random.choice([dtype.minimum, dtype.maximum], shape)
        arrays[value.name] = np.where(random.random(shape) < 1 / 3, ends, codes).astype(dtype.numpy)
    return arrays


def oracle_outputs(module: Module, inputs: Arrays, batches: int) -> dict[str, NDArray[Any]]:
    """Return what Python integers make of each batch, joined."""
    results: list[dict[str, NDArray[Any]]] = []
    for batch in range(batches):
        part = {
            value.name: inputs[value.name].reshape(batches, *value.type.shape)[batch] for value in module.graph.inputs
        }
        found = simulate(module, part)
        results.append({output.name: found[output.value.name] for output in module.graph.outputs})
    return {
        output.name: np.concatenate([np.atleast_1d(result[output.name]) for result in results])
        for output in module.graph.outputs
    }


def assert_bits(modules: Sequence[Module], *, batches: int = 2, oracle: bool = True, **options: Any) -> None:
    """Assert that the compiled C of ``modules`` gives the bits of the simulator, and of Python integers.

    Args:
        modules: Run side by side, in one program.
        batches: How many are fed.
        oracle: Whether to compare with the slow oracle too.
        options: For the compiled kernel.
    """
    joined = side_by_side(modules)
    assert verify(joined) == []
    inputs = extreme_inputs(joined, batches)
    # Compiling takes longest, least of all without optimization; what optimizers make of the code is tested elsewhere.
    with CompiledKernel(joined, **{"optimization": "-O0", **options}) as kernel:
        found = kernel.run(inputs)
    expectations = [Program(joined).run(inputs)]
    if oracle:
        expectations.append(oracle_outputs(joined, inputs, batches))
    locations = {output.name: output.value for output in joined.graph.outputs}
    for expected in expectations:
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert found[name].dtype == array.dtype, name
            assert found[name].shape == array.shape, name
            number = int(name.partition("_")[0])
            assert np.array_equal(found[name], array), f"{locations[name]} of {modules[number]}"
