"""The schema that an op's annotations are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from mrqc.ir import FLOAT, DType, Element, FieldKind, Op, TensorType, Value, op_schema
from mrqc.ops import ALL_OPS, OPS_BY_MNEMONIC, nn
from mrqc.ops import int as int_ops

FLOATS = TensorType((2, 3), FLOAT)
A, B, C = (Value(name, FLOATS) for name in "abc")


@dataclass(frozen=True)
class Everything(Op):
    """One field of each kind."""

    mnemonic: ClassVar[str] = "test.everything"
    first: Value
    second: Value | None
    rest: tuple[Value, ...]
    count: int
    element: Element = FLOAT

    def infer(self) -> tuple[TensorType, ...]:
        return (TensorType((self.count,), self.element),)


def test_annotations_decide_what_a_field_is() -> None:
    kinds = {field.name: field.kind for field in op_schema(Everything)}
    assert kinds == {
        "first": FieldKind.OPERAND,
        "second": FieldKind.OPTIONAL_OPERAND,
        "rest": FieldKind.VARIADIC_OPERAND,
        "count": FieldKind.ATTRIBUTE,
        "element": FieldKind.ELEMENT,
    }


def test_the_schema_knows_defaults() -> None:
    defaults = {field.name: field.default for field in op_schema(Everything)}
    assert defaults["element"] == FLOAT
    assert defaults["count"] is dataclasses.MISSING


def test_operands_come_in_order_without_the_absent() -> None:
    assert Everything(A, B, (C, A), 1).operands == (A, B, C, A)
    assert Everything(A, None, (), 1).operands == (A,)


def test_mapping_operands_reaches_all_of_them() -> None:
    op = Everything(A, B, (B, C), 1)
    assert op.map_operands({A: C, B: A, C: B}.__getitem__) == Everything(C, A, (A, B), 1)


def test_mapping_to_the_same_operands_returns_the_same_op() -> None:
    op = Everything(A, None, (B,), 1)
    assert op.map_operands(lambda value: value) is op


def test_ops_compare_and_hash_by_content() -> None:
    assert Everything(A, B, (), 1) == Everything(A, B, (), 1)
    assert len({Everything(A, B, (), 1), Everything(A, B, (), 1), Everything(A, B, (), 2)}) == 2


def test_an_op_that_can_change_is_refused() -> None:
    @dataclass
    class Changing(Op):
        mnemonic: ClassVar[str] = "test.changing"

        def infer(self) -> tuple[TensorType, ...]:
            return ()

    with pytest.raises(TypeError, match="must be a frozen dataclass"):
        op_schema(Changing)


def test_a_required_operand_after_an_optional_one_is_refused() -> None:
    @dataclass(frozen=True)
    class Misordered(Op):
        mnemonic: ClassVar[str] = "test.misordered"
        first: Value | None
        second: Value

        def infer(self) -> tuple[TensorType, ...]:
            return ()

    with pytest.raises(TypeError, match=r"Misordered.*required, optional, variadic"):
        op_schema(Misordered)


def test_two_variadic_operands_are_refused() -> None:
    @dataclass(frozen=True)
    class Ambiguous(Op):
        mnemonic: ClassVar[str] = "test.ambiguous"
        first: tuple[Value, ...]
        second: tuple[Value, ...] = field(default=())

        def infer(self) -> tuple[TensorType, ...]:
            return ()

    with pytest.raises(TypeError, match=r"Ambiguous.*variadic"):
        op_schema(Ambiguous)


@pytest.mark.parametrize("op", ALL_OPS, ids=lambda op: op.mnemonic)
def test_every_op_has_a_schema_and_a_docstring(op: type[Op]) -> None:
    fields = op_schema(op)
    assert fields
    assert op.__doc__ is not None
    assert not op.__doc__.startswith(op.__name__ + "(")
    assert OPS_BY_MNEMONIC[op.mnemonic] is op


def test_mnemonics_are_unique_and_name_their_dialect() -> None:
    assert len(OPS_BY_MNEMONIC) == len(ALL_OPS)
    assert {mnemonic.partition(".")[0] for mnemonic in OPS_BY_MNEMONIC} == {"nn", "int"}


def test_transpose_takes_a_quantization_axis_along() -> None:
    scales = Element(DType.I8, quantization=None)
    assert nn.Transpose(Value("x", TensorType((2, 3, 4), scales)), (2, 0, 1)).infer()[0].shape == (4, 2, 3)


def test_both_dialects_share_shape_rules() -> None:
    image = Value("x", TensorType((1, 5, 6, 2), Element.per_tensor(DType.I8, 1.0)))
    pools = [op(image, (3, 2), (2, 2), (1, 0, 1, 0)).infer() for op in (nn.MaxPool2D, int_ops.MaxPool2D)]
    assert [types[0].shape for types in pools] == [(1, 3, 3, 2)] * 2
