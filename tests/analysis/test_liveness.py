"""Live intervals, shared storage, and the plan of the arena."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.analysis.liveness import (
    Block,
    Interval,
    blocks_for,
    keeps_order,
    live_intervals,
    plan_arena,
    storage_roots,
)
from mrqc.ir import Data, DType, Element, Graph, GraphBuilder, Module, Output, TensorType, Value
from mrqc.numerics import Rounding
from mrqc.ops import int as ops
from mrqc.testing import int_modules

I8 = Element.per_tensor(DType.I8, 1.0)
I16 = Element.per_tensor(DType.I16, 1.0)
PLAIN = ops.Requantize((1,), (0,), Rounding.FLOOR, 0, -128, 127)
IN_PLACE = (ops.Add, ops.Clamp, ops.Rescale)


def value(name: str, *shape: int) -> Value:
    return Value(name, TensorType(shape, I8))


class Chain:
    """Builds graphs of rows of ten elements."""

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self.x = self.builder.add_input("x", TensorType((1, 10), I8))

    def clamp(self, operand: Value) -> Value:
        return self.builder.emit(ops.Clamp(operand, -5, 5))

    def rescale(self, operand: Value, element: Element) -> Value:
        return self.builder.emit(ops.Rescale(operand, 0, PLAIN, element))

    def add(self, lhs: Value, rhs: Value) -> Value:
        return self.builder.emit(ops.Add(lhs, rhs, 1, 1, PLAIN, I8))

    def reshape(self, operand: Value, *shape: int) -> Value:
        return self.builder.emit(ops.Reshape(operand, shape))

    def finish(self, *outputs: Value) -> Graph:
        return self.builder.finish([Output(f"y{index}", output) for index, output in enumerate(outputs)])


def blocks_of(graph: Graph, *elsewhere: Value) -> list[tuple[Value, ...]]:
    roots = storage_roots(graph)
    wanted = {root for root in roots.values() if root not in graph.inputs and root not in elsewhere}
    return [block.values for block in blocks_for(graph, roots, wanted, IN_PLACE)]


def test_intervals_reach_from_the_definition_to_the_last_use() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.clamp(a)
    c = chain.add(a, b)
    unused = chain.clamp(chain.x)
    graph = chain.finish(c)
    assert live_intervals(graph, storage_roots(graph)) == {
        chain.x: Interval(-1, 3),
        a: Interval(0, 2),
        b: Interval(1, 2),
        c: Interval(2, 4),
        unused: Interval(3, 3),
    }


def test_a_use_through_a_reshape_keeps_the_memory_alive() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.reshape(chain.reshape(a, 10), 2, 5)
    chain.clamp(chain.x)
    c = chain.clamp(b)
    graph = chain.finish(c)
    roots = storage_roots(graph)
    assert roots[b] == a
    assert live_intervals(graph, roots)[a] == Interval(0, 4)
    assert b not in live_intervals(graph, roots)


@pytest.mark.parametrize(
    ("shape", "permutation", "expected"),
    [
        ((1, 5, 1, 7), (0, 2, 1, 3), True),
        ((1, 5, 1, 7), (1, 3, 0, 2), True),
        ((1, 5, 1, 7), (0, 3, 2, 1), False),
        ((2, 3), (1, 0), False),
        ((2, 3), (0, 1), True),
        ((), (), True),
    ],
)
def test_a_transpose_that_moves_nothing_keeps_the_order(
    shape: tuple[int, ...], permutation: tuple[int, ...], expected: bool
) -> None:
    assert keeps_order(ops.Transpose(value("x", *shape), permutation)) is expected
    array = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(array.transpose(permutation).ravel(), array.ravel()) is expected


def test_an_elementwise_result_takes_over_a_dying_operand() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.clamp(a)
    c = chain.add(chain.clamp(chain.x), b)
    d = chain.clamp(c)
    graph = chain.finish(d)
    assert blocks_of(graph, d) == [(a, b), tuple(graph.statements[index].result for index in (2, 3))]


def test_an_operand_that_is_used_later_is_not_overwritten() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.clamp(a)
    graph = chain.finish(chain.add(a, b))
    assert blocks_of(graph, graph.outputs[0].value) == [(a,), (b,)]


def test_an_operand_that_is_seen_through_a_reshape_later_is_not_overwritten() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    seen = chain.reshape(a, 10)
    b = chain.clamp(a)
    graph = chain.finish(chain.clamp(b), chain.clamp(seen))
    assert blocks_of(graph, *graph.output_values) == [(a,), (b,)]


def test_a_larger_result_does_not_take_over_a_smaller_operand() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.rescale(a, I16)
    c = chain.rescale(b, I8)
    graph = chain.finish(chain.clamp(c))
    assert blocks_of(graph, graph.outputs[0].value) == [(a,), (b, c)]


def test_inputs_and_what_lives_elsewhere_are_never_overwritten() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.clamp(a)
    graph = chain.finish(a, chain.clamp(b))
    assert blocks_of(graph, *graph.output_values) == [(b,)]


def test_a_block_lives_as_long_as_all_its_values() -> None:
    chain = Chain()
    a = chain.clamp(chain.x)
    b = chain.rescale(a, I8)
    c = chain.clamp(chain.x)
    graph = chain.finish(chain.add(b, c))
    roots = storage_roots(graph)
    (first, second) = blocks_for(graph, roots, {a, b, c}, IN_PLACE)
    assert first == Block((a, b), 10, Interval(0, 3))
    assert second == Block((c,), 10, Interval(2, 3))


def test_blocks_that_never_meet_share_memory() -> None:
    plan = plan_arena(
        [
            Block((value("a", 100),), 100, Interval(0, 1)),
            Block((value("b", 50),), 50, Interval(1, 2)),
            Block((value("c", 100),), 100, Interval(2, 3)),
        ]
    )
    assert plan.offsets[value("a", 100)] == plan.offsets[value("c", 100)] == 0
    assert plan.offsets[value("b", 50)] == 112
    assert plan.bytes == 162


def test_nothing_needs_no_memory() -> None:
    assert plan_arena([]).bytes == 0


INTERVALS = st.tuples(st.integers(0, 20), st.integers(0, 8)).map(lambda pair: Interval(pair[0], pair[0] + pair[1]))


@given(st.lists(st.tuples(st.integers(1, 300), INTERVALS), max_size=25), st.sampled_from((1, 4, 16)))
def test_no_two_living_blocks_overlap(wanted: list[tuple[int, Interval]], alignment: int) -> None:
    blocks = [Block((value(f"v{index}", size),), size, interval) for index, (size, interval) in enumerate(wanted)]
    plan = plan_arena(blocks, alignment)
    ends = [0]
    for block in blocks:
        offset = plan.offsets[block.values[0]]
        assert offset >= 0
        assert offset % alignment == 0
        ends.append(offset + block.bytes)
    assert plan.bytes == max(ends)
    for one, other in itertools.combinations(blocks, 2):
        if one.interval.overlaps(other.interval):
            first, second = plan.offsets[one.values[0]], plan.offsets[other.values[0]]
            assert first + one.bytes <= second or second + other.bytes <= first
    least = max(
        (sum(block.bytes for block in blocks if block.interval.first <= t <= block.interval.last) for t in range(30)),
        default=0,
    )
    assert plan.bytes >= least
    assert plan.bytes <= sum(block.bytes + alignment for block in blocks)


@given(int_modules(max_layers=10))
def test_no_value_is_overwritten_while_it_is_needed(module: Module) -> None:
    """Walk through a drawn module and its plan; the results in one place must never be needed at the same time."""
    graph = module.graph
    roots = storage_roots(graph)
    known = [statement.result for statement in graph.statements if isinstance(statement.op, ops.Constant)]
    wanted = {root for root in roots.values() if root not in graph.inputs and root not in known}
    plan = plan_arena(blocks_for(graph, roots, wanted, IN_PLACE))
    assert plan.offsets.keys() == wanted
    owner: dict[int, Value] = {}
    for index, statement in enumerate(graph.statements):
        for operand in statement.op.operands:
            if roots[operand] in wanted:
                start = plan.offsets[roots[operand]]
                assert {owner[byte] for byte in range(start, start + operand.type.bytes)} == {roots[operand]}, index
        root = roots[statement.result]
        if root in wanted and root == statement.result:
            start = plan.offsets[root]
            owner.update(dict.fromkeys(range(start, start + root.type.bytes), root))
    for output in graph.outputs:
        if roots[output.value] in wanted:
            start = plan.offsets[roots[output.value]]
            assert {owner[byte] for byte in range(start, start + output.value.type.bytes)} == {roots[output.value]}


def test_residual_blocks_need_no_more_than_their_widest_moment() -> None:
    chain = Chain()
    found = chain.clamp(chain.x)
    weights = chain.builder.emit(ops.Constant(Data(np.ones((10, 10), np.int8)), I8))
    for _ in range(10):
        branch = chain.builder.emit(ops.FullyConnected(found, weights, requantize=PLAIN, element=I8))
        found = chain.add(found, branch)
    graph = chain.finish(chain.clamp(found))
    roots = storage_roots(graph)
    wanted = {root for root in roots.values() if root not in (chain.x, weights, graph.outputs[0].value)}
    assert plan_arena(blocks_for(graph, roots, wanted, IN_PLACE)).bytes == 16 + 10
