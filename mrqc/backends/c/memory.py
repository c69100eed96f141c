"""RAM and flash of an emitted kernel, to the byte."""

from __future__ import annotations

from dataclasses import dataclass

from mrqc.backends.c.library import Selection
from mrqc.backends.c.placement import Home
from mrqc.backends.c.plan import Plan, plan_module
from mrqc.ir import Module


@dataclass(frozen=True, slots=True)
class ArenaBuffer:
    """A value that lives in the arena.

    Attributes:
        name: Of the value.
        offset: In bytes.
        bytes: Size.
    """

    name: str
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What an emitted kernel takes.

    Attributes:
        arena_bytes: The buffer that the caller provides, at least 1; inputs and outputs come on top.
        constant_bytes: Weights, biases, tables and layer parameters in flash; code comes on top.
        stack_bytes: The most that kernels keep in arrays on the stack at once.
        state_bytes: What the caller keeps from one call to the next.
        buffers: What lives in the arena, in order of execution; what is never alive at once may overlap.
    """

    arena_bytes: int
    constant_bytes: int
    stack_bytes: int
    state_bytes: int
    buffers: tuple[ArenaBuffer, ...]


def memory_report(module: Module) -> MemoryReport:
    """Return what the C of a lowered module takes.

    Raises:
        TargetError: The module cannot be emitted as C.
    """
    plan = plan_module(module)
    return memory_of(plan, select_kernels(plan))


def select_kernels(plan: Plan) -> Selection:
    """Return the kernels that a plan calls."""
    kernels = Selection()
    for _, call in plan.calls:
        if call is not None:
            kernels.add(call.kernel, call.binding)
    return kernels


def memory_of(plan: Plan, kernels: Selection) -> MemoryReport:
    """Return what the C of a plan and its kernels takes."""
    tables = {table.contents: table.bytes for _, table in plan.tables()}
    constant_bytes = sum(tables.values()) + sum(record.bytes for record in plan.records())
    placement = plan.placement
    buffers = tuple(
        ArenaBuffer(value.name, placement.places[value].index, value.type.bytes)
        for value in plan.module.graph.values()
        if placement.places[value].home is Home.ARENA and placement.roots[value] == value
    )
    kept = {state.input for state in plan.module.states}
    state_bytes = sum(value.type.bytes for value in plan.module.graph.inputs if value.name in kept)
    return MemoryReport(max(1, placement.arena_bytes), constant_bytes, kernels.stack_bytes, state_bytes, buffers)
