"""Rebuilding graphs, and what graphs know about themselves."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given

from mrqc.ir import (
    DType,
    Element,
    Graph,
    GraphBuilder,
    Location,
    Module,
    Output,
    Statement,
    TensorType,
    Value,
    rewrite,
    verify,
    without_dead_statements,
)
from mrqc.ops.nn import Add, Clip, Quantize
from mrqc.testing import nn_modules

CODES = TensorType((1, 4), Element.per_tensor(DType.I8, 0.5))


def chain() -> Module:
    """Return ``y = clip(x + x)``, ``z = clip(y)`` and a dead addition."""
    builder = GraphBuilder()
    x = builder.add_input("x", CODES)
    y = builder.emit(Add(x, x, element=CODES.element), Location.of("first"), "y")
    z = builder.emit(Clip(y, (0.0, 6.0), CODES.element), Location.of("second"), "z")
    builder.emit(Add(y, x, element=CODES.element), name="dead")
    return Module("chain", builder.finish([Output("out", z)]))


def keep(_statement: Statement, _builder: GraphBuilder) -> Sequence[Value] | None:
    return None


@given(nn_modules(float_io=None))
def test_keeping_everything_changes_nothing(module: Module) -> None:
    assert rewrite(module, keep) == module
    assert without_dead_statements(module) == module


@given(nn_modules())
def test_values_know_who_defines_and_uses_them(module: Module) -> None:
    graph = module.graph
    assert set(graph.definitions) == set(graph.values()) - set(graph.inputs)
    for statement in graph.statements:
        assert all(statement in graph.uses[operand] for operand in statement.op.operands)
    assert sum(len(users) for users in graph.uses.values()) == sum(
        len(set(statement.op.operands)) for statement in graph.statements
    )


def test_dead_statements_go_and_the_rest_stays() -> None:
    module = without_dead_statements(chain())
    assert [statement.result.name for statement in module.graph.statements] == ["y", "z"]
    assert without_dead_statements(module) is module


def test_inputs_stay_though_nothing_uses_them() -> None:
    builder = GraphBuilder()
    x, unused = builder.add_input("x", CODES), builder.add_input("unused", CODES)
    module = Module("m", builder.finish([Output("y", builder.emit(Clip(x, element=CODES.element)))]))
    assert without_dead_statements(module).graph.inputs == (x, unused)


def test_a_replacement_reaches_later_operands_and_outputs() -> None:
    def drop_clips(statement: Statement, _builder: GraphBuilder) -> Sequence[Value] | None:
        return (statement.op.input,) if isinstance(statement.op, Clip) else None

    module = rewrite(chain(), drop_clips)
    y = module.graph.statements[0].result
    assert module.graph.outputs == (Output("out", y),)
    assert verify(module) == []


def test_a_kept_statement_takes_the_new_types_of_its_operands() -> None:
    wide = Element.per_tensor(DType.I16, 0.25)

    def widen(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        if not isinstance(statement.op, Add):
            return None
        return (builder.emit(Quantize(statement.op.lhs, wide), statement.location),)

    builder = GraphBuilder()
    x = builder.add_input("x", CODES)
    y = builder.emit(Add(x, x, element=CODES.element), name="y")
    z = builder.emit(Quantize(y, CODES.element), name="z")
    module = rewrite(Module("m", builder.finish([Output("z", z)])), widen)
    assert [statement.result.type.dtype for statement in module.graph.statements] == [DType.I16, DType.I8]
    assert verify(module) == []


def test_new_names_avoid_the_old_ones() -> None:
    def duplicate(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        return (builder.emit(statement.op, statement.location, statement.result.name),)

    module = rewrite(chain(), duplicate)
    assert [statement.result.name for statement in module.graph.statements] == ["y_1", "z_1", "dead_1"]
    assert verify(module) == []


def test_unnamed_values_are_numbered_around_taken_names() -> None:
    builder = GraphBuilder(["1"])
    x = builder.add_input("0", CODES)
    names = [builder.emit(Clip(x, element=CODES.element)).name for _ in range(3)]
    assert names == ["2", "3", "4"]


def test_locations_survive_but_do_not_make_statements_different() -> None:
    module = rewrite(chain(), keep)
    assert [str(statement.location) for statement in module.graph.statements] == ["first", "second", ""]
    first = module.graph.statements[0]
    assert first == Statement(first.results, first.op, Location.of("elsewhere"))


def test_merged_locations_keep_each_source_once() -> None:
    merged = Location.of("conv", "relu").merge(Location.of("relu", "add"), Location())
    assert str(merged) == "conv + relu + add"


def test_facts_are_sorted_and_replaced() -> None:
    module = Module("m", Graph((), (), ())).with_facts(target="b", source="a").with_facts(target="c")
    assert module.metadata == (("source", "a"), ("target", "c"))
    assert module.fact("target") == "c"
    assert module.fact("missing") is None
