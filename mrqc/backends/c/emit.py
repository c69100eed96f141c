"""One C99 file and its header from an ``int.*`` module."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mrqc.backends.c.body import BodyWriter
from mrqc.backends.c.calls import Contents
from mrqc.backends.c.header import (
    Interface,
    Parameter,
    header_text,
    provenance,
    reset_definition,
    signature,
    state_members,
)
from mrqc.backends.c.literals import table_definition
from mrqc.backends.c.memory import MemoryReport, memory_of, memory_report, select_kernels
from mrqc.backends.c.names import unique_identifiers
from mrqc.backends.c.plan import Plan, plan_module
from mrqc.errors import UsageError
from mrqc.ir import Module

__all__ = ["CPUS", "MemoryReport", "emit_c", "memory_report"]

CPUS = ("generic",)
"""What code can be generated for: ``generic`` is portable C99."""

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def emit_c(module: Module, name: str = "kernel", cpu: str = "generic") -> dict[str, str]:
    """Return C source and header of a lowered module, by file name.

    The text depends on nothing but module and name.

    Args:
        module: An ``int.*`` module.
        name: A C identifier: name of the files, and prefix of the function and the macros.
        cpu: What to generate code for, one of :data:`CPUS`.

    Raises:
        UsageError: ``name`` or ``cpu`` is not possible.
        TargetError: Something in the module cannot be expressed in portable integer C; every finding is listed.
    """
    if not _IDENTIFIER.fullmatch(name):
        raise UsageError(f"the name of a kernel must be a C identifier, found {name!r}")
    if cpu not in CPUS:
        raise UsageError(f"no code is generated for cpu {cpu!r} yet (possible: {', '.join(CPUS)})")
    plan = plan_module(module)
    kernels = select_kernels(plan)
    tables = _table_names(plan)
    taken = {*kernels.identifiers, *tables.values()}
    if plan.module.states:
        taken |= {"state", f"{name}_state", f"{name}_reset"}
    interface = _interface(plan.module, taken)
    input_names, output_names = _buffer_names(plan.module, interface)
    body = BodyWriter(plan, input_names, output_names, tables, kernels).write()
    source = [
        f"/* {provenance(module, f'{name}.c')}\n * The inner loops are written to be optimized for speed (-O3). */",
        f'#include "{name}.h"\n\n#include <stdint.h>\n#include <string.h>',
        kernels.text,
        *(table_definition(table_name, *contents) for contents, table_name in tables.items()),
        *((reset_definition(name, interface),) if interface.states else ()),
        f"{signature(name, interface)}\n{{\n{body}\n}}",
    ]
    return {
        f"{name}.c": "\n\n".join(part for part in source if part) + "\n",
        f"{name}.h": header_text(module, name, interface, memory_of(plan, kernels)),
    }


def _table_names(plan: Plan) -> dict[Contents, str]:
    """Return a name for each different array in flash, after the first layer that needs it."""
    names: dict[Contents, str] = {}
    for index, table in plan.tables():
        stem = f"{table.role}_{index}"
        if table.contents not in names:
            taken = sum(name.startswith(f"{stem}_") or name == stem for name in names.values())
            names[table.contents] = f"{stem}_{taken + 1}" if taken else stem
    return names


def _interface(module: Module, taken: Iterable[str]) -> Interface:
    """Return inputs, outputs and states under the names that they have in C, none of them ``taken``.

    A lone input or output is called just that: callers can exchange models without a change of their code. Kernels
    use both words for parameters of their own only, so there is nothing to collide with.
    """
    inputs, outputs = module.data_inputs, module.data_outputs
    kinds = ["input"] * len(inputs) + ["output"] * len(outputs)
    model_names = [value.name for value in inputs] + [output.name for output in outputs]
    types = [value.type for value in inputs] + [output.value.type for output in outputs]
    lone = [kind for kind in kinds if kinds.count(kind) == 1]
    several = [pair for pair in zip(model_names, kinds, strict=True) if pair[1] not in lone]
    given = iter(unique_identifiers(several, {*taken, *lone}))
    names = [kind if kind in lone else next(given) for kind in kinds]
    macros: list[str] = []
    for kind, name in zip(kinds, names, strict=True):
        stem = macro = (kind if kinds.count(kind) == 1 else name).upper()
        number = 1
        while macro in macros:
            number += 1
            macro = f"{stem}_{number}"
        macros.append(macro)
    parameters = [Parameter(*row) for row in zip(names, macros, model_names, types, strict=True)]
    return Interface(tuple(parameters[: len(inputs)]), tuple(parameters[len(inputs) :]), state_members(module))


def _buffer_names(module: Module, interface: Interface) -> tuple[list[str], list[str]]:
    """Return what the buffers of all inputs and of all outputs of a module are called in its function."""
    inputs = {parameter.model_name: parameter.name for parameter in interface.inputs}
    outputs = {parameter.model_name: parameter.name for parameter in interface.outputs}
    for state, member in zip(module.states, interface.states, strict=True):
        inputs[state.input] = outputs[state.output] = f"state->{member.name}"
    graph = module.graph
    return [inputs[value.name] for value in graph.inputs], [outputs[output.name] for output in graph.outputs]
