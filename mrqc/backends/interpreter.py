"""Runs a module statement by statement over numpy arrays: what both interpreters have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrqc.analysis.batching import is_batchwise
from mrqc.backends.inputs import bind_inputs, initial_states
from mrqc.ir import Module, Statement, Value

Array: TypeAlias = NDArray[Any]
Kernel: TypeAlias = Callable[..., Array]
"""Takes the arrays of the operands in order, absent ones left out, and returns the array of the result; never
changes an operand. The leading extent may be any multiple of the module's."""
KernelMaker: TypeAlias = Callable[[Statement, Mapping[Value, Array]], Kernel]
"""Given a statement and the arrays that are known already, return its kernel."""

SLICE_BYTES = 32 << 20
"""Activations that are alive at the same time stay near this, however large the batch."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, ready to run.

    Attributes:
        kernel: Computes the result.
        operands: Names of the operands.
        result: Name of the result.
        last_used: Names of the values that nothing needs after this step.
    """

    kernel: Kernel
    operands: tuple[str, ...]
    result: str
    last_used: tuple[str, ...]


class Interpreter:
    """A module compiled to numpy kernels.

    What depends on no input is computed once, here; the rest runs in slices of the batch, whose number has no
    influence on the result.
    """

    def __init__(self, module: Module, make_kernel: KernelMaker) -> None:
        """Compile ``module``, which must be well formed."""
        self.module = module
        self._known: dict[Value, Array] = {}
        moving: list[tuple[Statement, Kernel]] = []
        for statement in module.graph.statements:
            kernel = make_kernel(statement, self._known)
            operands = statement.op.operands
            if all(operand in self._known for operand in operands):
                self._known[statement.result] = kernel(*(self._known[operand] for operand in operands))
            else:
                moving.append((statement, kernel))
        self._steps = _with_last_uses(moving, {value.name for value in (*module.graph.output_values, *self._known)})
        self._values = {value.name: value for value in module.graph.values()}
        self._batches_per_slice = 1
        if is_batchwise(module, self._known):
            self._batches_per_slice = max(1, SLICE_BYTES // _greatest_live_bytes(module, self._steps))

    @property
    def known(self) -> Mapping[Value, Array]:
        """What every value is that depends on no input; not to be changed."""
        return self._known

    @property
    def batches_per_slice(self) -> int:
        """How many batches of the module run at once; 1 where it does not treat them one by one."""
        return self._batches_per_slice

    def run(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return the outputs by their names, for any number of batches.

        Raises:
            InputError: The inputs do not fit the module.
        """
        wanted = {output.name: output.value for output in self.module.graph.outputs}
        slices = [self._outputs(values, wanted, count) for values, count in self._run_slices(inputs, free=True)]
        return {name: _joined([found[name] for found in slices]) for name in wanted}

    def trace(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> dict[str, Array]:
        """Return every value by its name, inputs and constants too, for any number of batches.

        A value that depends on no input is given once, whatever the number of batches.

        Raises:
            InputError: The inputs do not fit the module.
        """
        slices = [values for values, _ in self._run_slices(inputs, free=False)]
        return {
            value.name: self._known[value].copy()
            if value in self._known
            else _joined([found[value.name] for found in slices])
            for value in self.module.graph.values()
        }

    def walk(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> Iterator[tuple[Value, Array]]:
        """Yield the inputs and each value that depends on them as soon as it is there, slice after slice of the batch.

        An array is given up after its last use, so that no whole trace is ever held; it must not be changed.

        Raises:
            InputError: The inputs do not fit the module.
        """
        for values, _ in self._slices(inputs):
            yield from ((value, values[value.name]) for value in self.module.graph.inputs)
            for name, array in self._results(values, free=True):
                yield self._values[name], array

    def _run_slices(
        self, inputs: Mapping[str, ArrayLike] | ArrayLike, *, free: bool
    ) -> Iterator[tuple[dict[str, Array], int]]:
        """Yield the values of each slice, and how many batches of the module it has."""
        for values, count in self._slices(inputs):
            for _ in self._results(values, free=free):
                pass
            yield values, count

    def _slices(self, inputs: Mapping[str, ArrayLike] | ArrayLike) -> Iterator[tuple[dict[str, Array], int]]:
        """Yield what is known of each slice before it runs, for :meth:`_results` to add to, and its batches.

        The runs of a stream are slices of one batch, and each takes its states from what the one before came to.
        """
        arrays, batches = bind_inputs(self.module, inputs)
        states = initial_states(self.module) if any(s.input not in arrays for s in self.module.states) else {}
        outputs = {output.name: output.value.name for output in self.module.graph.outputs}
        for part, count in self._parts(arrays, batches, 1 if states else self._batches_per_slice):
            values = {value.name: array for value, array in self._known.items()} | part | states
            yield values, count
            if states:
                states = {state.input: values[outputs[state.output]] for state in self.module.states}

    def _parts(self, arrays: Mapping[str, Array], batches: int, step: int) -> Iterator[tuple[dict[str, Array], int]]:
        extents = {value.name: value.type.shape[0] for value in self.module.graph.inputs if value.type.shape}
        if extents.keys().isdisjoint(arrays):
            yield dict(arrays), batches
            return
        for first in range(0, batches, step):
            last = min(first + step, batches)
            part = {
                name: array[first * extents[name] : last * extents[name]] if name in extents else array
                for name, array in arrays.items()
            }
            yield part, last - first

    def _results(self, values: dict[str, Array], *, free: bool) -> Iterator[tuple[str, Array]]:
        """Run the steps on ``values``, adding each result to them, and yield it."""
        for step in self._steps:
            array = values[step.result] = step.kernel(*(values[name] for name in step.operands))
            if free:
                for name in step.last_used:
                    del values[name]
            yield step.result, array

    def _outputs(self, values: Mapping[str, Array], wanted: Mapping[str, Value], count: int) -> dict[str, Array]:
        return {
            name: _repeated(values[value.name], count) if value in self._known else values[value.name]
            for name, value in wanted.items()
        }


def _joined(slices: list[Array]) -> Array:
    """Return the slices as one fresh array."""
    if len(slices) == 1:
        return slices[0].copy()
    return np.concatenate([np.atleast_1d(part) for part in slices])


def _repeated(array: Array, count: int) -> Array:
    return array if count == 1 else np.concatenate([np.atleast_1d(array)] * count)


def _with_last_uses(moving: list[tuple[Statement, Kernel]], kept: set[str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    seen = set(kept)
    for statement, kernel in reversed(moving):
        operands = tuple(operand.name for operand in statement.op.operands)
        result = statement.result.name
        last_used = [name for name in dict.fromkeys(operands) if name not in seen]
        if result not in seen:
            last_used.append(result)
        seen.update(operands)
        steps.append(Step(kernel, operands, result, tuple(last_used)))
    return tuple(reversed(steps))


def _greatest_live_bytes(module: Module, steps: tuple[Step, ...]) -> int:
    """Return the most bytes of values alive at once for one batch of the module; floats are doubles."""
    sizes = {
        value.name: value.type.size * (value.type.dtype.bytes if value.type.dtype.is_integer else 8)
        for value in module.graph.values()
    }
    live = greatest = sum(sizes[value.name] for value in module.graph.inputs)
    for step in steps:
        live += sizes[step.result]
        greatest = max(greatest, live)
        live -= sum(sizes[name] for name in step.last_used)
    return max(1, greatest)
