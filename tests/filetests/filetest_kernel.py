"""All int cases as one compiled kernel, since starting a compiler takes longer than any case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from filetest_format import Case
from filetest_runner import Arrays, inputs_of, is_integer, load
from numpy.typing import NDArray

from mrqc.backends.c.harness import CompiledKernel
from mrqc.errors import MrqcError
from mrqc.ir import Module
from mrqc.testing import side_by_side


def int_module(case: Case) -> Module | None:
    """Return the module of a case that C is made of; a case that does not load fails in its own test."""
    if not case.runs or case.all("error"):
        return None
    try:
        module = load(case)
    except MrqcError:
        return None
    return module if is_integer(module) else None


def compiled_outputs(cases: Sequence[Case]) -> list[list[dict[str, NDArray[Any]]]]:
    """Return what the C of each int case gives, for each of its runs."""
    modules = [module for case in cases if (module := int_module(case)) is not None]
    assert len(modules) == len(cases)
    runs = [[inputs_of(module, run) for run in case.runs] for case, module in zip(cases, modules, strict=True)]
    joined = [{name: np.concatenate([run[name] for run in of_case]) for name in of_case[0]} for of_case in runs]
    with CompiledKernel(side_by_side(modules), sanitize=True) as kernel:
        outputs = kernel.run(merged_inputs(modules, joined))
    return [
        list(_split(index, module, of_case, outputs))
        for index, (module, of_case) in enumerate(zip(modules, runs, strict=True))
    ]


def merged_inputs(modules: Sequence[Module], fed: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Return the inputs of the merged module: every one repeated until all hold the same number of batches."""
    batches = max(
        fed[index][value.name].shape[0] // value.type.shape[0]
        for index, module in enumerate(modules)
        for value in module.graph.inputs
    )
    return {
        f"{index}_{value.name}": np.resize(
            fed[index][value.name], (batches * value.type.shape[0], *value.type.shape[1:])
        )
        for index, module in enumerate(modules)
        for value in module.graph.inputs
    }


def _split(index: int, module: Module, runs: Sequence[Arrays], outputs: Arrays) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the outputs of each run of one case; the batches of its runs stand one after the other."""
    first = module.graph.inputs[0]
    position = 0
    for run in runs:
        end = position + run[first.name].shape[0] // first.type.shape[0]
        yield {
            output.name: outputs[f"{index}_{output.name}"][
                position * output.value.type.shape[0] : end * output.value.type.shape[0]
            ]
            for output in module.graph.outputs
        }
        position = end
