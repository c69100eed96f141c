from __future__ import annotations

from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType
from mrqc.report import describe_tensor, format_table, tensor_facts


def test_columns_are_aligned_and_lines_have_no_blanks_at_the_end() -> None:
    rows = [("a", "long cell", ""), ("bcd", "x", "y")]
    assert format_table(rows) == "a    long cell\nbcd  x          y\n"
    assert format_table([("1", "2")], ("name", "n"), "  ") == "  name  n\n  ----  -\n  1     2\n"
    assert format_table([]) == ""


def test_tensor_facts_are_those_of_the_contract() -> None:
    assert tensor_facts("x", TensorType((1, 3), Element.per_tensor(DType.U8, 0.5, 7))) == {
        "name": "x",
        "shape": [1, 3],
        "dtype": "u8",
        "scale": 0.5,
        "zero_point": 7,
    }
    assert tensor_facts("y", TensorType((2,), FLOAT))["scale"] is None
    per_axis = Element(DType.I8, Quantization.per_axis((0.5, 0.25), (0, 1), 0))
    facts = tensor_facts("z", TensorType((2,), per_axis))
    assert (facts["scale"], facts["zero_point"]) == ([0.5, 0.25], [0, 1])


def test_a_tensor_in_words() -> None:
    type_ = TensorType((1, 3), Element.per_tensor(DType.U8, 0.5, 7))
    assert describe_tensor("x", type_) == ("x", "u8 [1, 3]", "scale 0.5, zero point 7")
    assert describe_tensor("x", TensorType((), FLOAT)) == ("x", "f32 []", "")
