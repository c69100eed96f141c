"""Strategies for modules that keep something from one run to the next."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from mrqc.ir import Graph, GraphBuilder, Module, Op, Output, State, Statement, TensorType, Value
from mrqc.ops import int as int_ops
from mrqc.ops import nn

FRAME, MEMORY = "frame", "memory"
"""The input and the state that stand for an input of rows."""


def with_memory(module: Module, name: str, kept: int, initial: float = 0.0) -> Module:
    """Return a module that sees the last rows of a stream, where the given one sees them all at once.

    The input of that name, ``[N, rows, …]``, becomes an input :data:`FRAME` of ``rows - kept`` new rows behind a state
    :data:`MEMORY` of the ``kept`` rows before them. This is how streaming convolutions work.

    Args:
        module: Of either dialect.
        name: Of an input of rank 2 or more, with more than ``kept`` rows.
        kept: How many rows are remembered, at least 1.
        initial: What these rows are at first.
    """
    graph = module.graph
    value = next(value for value in graph.inputs if value.name == name)
    rows, element = value.type.shape[1], value.type.element
    assert 1 <= kept < rows, f"{kept} of {rows} rows"
    names = GraphBuilder([*(each.name for each in graph.values()), *(output.name for output in graph.outputs)])
    frame, memory, later = (names.fresh_name(wanted) for wanted in (FRAME, MEMORY, f"{MEMORY}_next"))
    new = Value(frame, _with_rows(value.type, rows - kept))
    old = Value(memory, _with_rows(value.type, kept))
    following = Value(later, old.type)
    begin = (0, rows - kept, *(0 for _ in value.type.shape[2:]))
    is_integer = bool(graph.statements) and graph.statements[0].op.mnemonic.startswith("int.")
    dialect = int_ops if is_integer else nn
    concat: Op = dialect.Concat((old, new), 1, element)
    cut: Op = dialect.Slice(value, begin, old.type.shape, tuple(1 for _ in begin))
    inputs = [new if each == value else each for each in graph.inputs]
    statements = (Statement((value,), concat), *graph.statements, Statement((following,), cut))
    outputs = (*graph.outputs, Output(later, following))
    state = State(memory, later, initial)
    return replace(module, graph=Graph((old, *inputs), statements, outputs), states=(*module.states, state))


@st.composite
def stateful_modules(draw: st.DrawFn, modules: st.SearchStrategy[Module]) -> Module:
    """Return a strategy for modules with one state, made of others by :func:`with_memory`.

    Args:
        draw: Supplied by hypothesis.
        modules: What is changed; those whose inputs have a single row are passed over.
    """
    module = draw(modules.filter(lambda module: any(map(_has_rows, module.graph.inputs))))
    value = draw(st.sampled_from([value for value in module.graph.inputs if _has_rows(value)]))
    kept = draw(st.integers(1, value.type.shape[1] - 1))
    quantization, dtype = value.type.quantization, value.type.dtype
    if quantization is None:
        return with_memory(module, value.name, kept, draw(st.sampled_from((0.0, -1.5))))
    code = draw(st.sampled_from((quantization.zero_points[0], dtype.minimum, dtype.maximum)))
    return with_memory(module, value.name, kept, quantization.scales[0] * (code - quantization.zero_points[0]))


def _has_rows(value: Value) -> bool:
    quantization = value.type.quantization
    return value.type.rank >= 2 and value.type.shape[1] > 1 and (quantization is None or quantization.is_per_tensor)


def _with_rows(type_: TensorType, rows: int) -> TensorType:
    return TensorType((type_.shape[0], rows, *type_.shape[2:]), type_.element)
