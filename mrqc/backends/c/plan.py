"""From a module to kernel calls and memory: everything but the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.analysis.accumulators import accumulator_bounds
from mrqc.backends.c import (
    activation,
    constant,
    contraction,
    elementwise,
    float32,
    layout,
    moves,
    pooling,
    reduction,
    rescale,
    resize,
)
from mrqc.backends.c.calls import C_RULES, Argument, Facts, KernelCall, Record, Table, Tensor, TensorList
from mrqc.backends.c.placement import Placement, place_values
from mrqc.backends.c.support import arithmetic_problems, structure_problems
from mrqc.errors import TargetError
from mrqc.ir import Module, Statement, Value, without_dead_statements
from mrqc.ops.int import INT_OPS

FAMILIES = (activation, constant, contraction, elementwise, float32, layout, moves, pooling, reduction, rescale, resize)
"""The files whose import fills the table."""

C_RULES.seal(INT_OPS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the C of a module consists of.

    Attributes:
        module: Without the statements that nothing uses.
        calls: Each statement that is not known at compile time, with its call; None where none is needed.
        placement: Where each value lives.
    """

    module: Module
    calls: tuple[tuple[Statement, KernelCall | None], ...]
    placement: Placement

    def constant_table(self, value: Value) -> Table:
        """Return the array in flash that holds a value known at compile time."""
        return Table("constant", self.placement.constants[value])

    def tables(self) -> Iterator[tuple[int, Table]]:
        """Yield the arrays in flash in order of use, duplicates included, each with the number of its statement."""
        constants = self.placement.constants
        for index, (_, call) in enumerate(self.calls):
            for argument in call.arguments if call is not None else ():
                if isinstance(argument, Table):
                    yield index, argument
                for value in _values(argument):
                    if value in constants:
                        yield index, self.constant_table(value)
        for _, value in self.placement.copies:
            if value in constants:
                yield len(self.calls), self.constant_table(value)

    def records(self) -> Iterator[Record]:
        """Yield the constants that belong to single calls."""
        for _, call in self.calls:
            if call is not None:
                yield from (argument for argument in call.arguments if isinstance(argument, Record))


def _values(argument: Argument) -> tuple[Value, ...]:
    """Return the values whose elements an argument points to."""
    match argument:
        case Tensor(value=value):
            return (value,)
        case TensorList(values=values):
            return values
        case _:
            return ()


def plan_module(module: Module) -> Plan:
    """Return the plan of a lowered module.

    Raises:
        TargetError: Something in it cannot be expressed in portable integer C; every finding is listed.
    """
    module = without_dead_statements(module)
    subject = f"module {module.name!r} cannot be emitted as C"
    constants = constant.constant_values(module.graph)
    if found := list(structure_problems(module, constants)):
        raise TargetError.collect(subject, found)
    bounds = accumulator_bounds(module)
    if found := list(arithmetic_problems(module.graph, constants, bounds)):
        raise TargetError.collect(subject, found)
    facts = Facts(constants, bounds)
    calls = tuple(
        (statement, C_RULES[type(statement.op)](statement, facts))
        for statement in module.graph.statements
        if statement.result not in constants
    )
    return Plan(module, calls, place_values(module.graph, constants, _next_contents(module)))


def _next_contents(module: Module) -> dict[int, Value]:
    """Return, for the index of each output that a state takes over, the input that this state is."""
    inputs = {value.name: value for value in module.graph.inputs}
    taken = {state.output: inputs[state.input] for state in module.states}
    return {index: taken[out.name] for index, out in enumerate(module.graph.outputs) if out.name in taken}
