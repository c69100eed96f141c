"""Immutable, content-hashed arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.ir import Data, DType
from mrqc.testing import code_arrays


@st.composite
def arrays(draw: st.DrawFn) -> Data:
    dtype = draw(st.sampled_from(DType))
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    if dtype.is_integer:
        return Data.of(draw(code_arrays(shape, dtype.minimum, dtype.maximum)), dtype)
    return Data.of(draw(code_arrays(shape, -1000, 1000)) / 7, dtype)


@given(arrays())
def test_bytes_read_back_to_the_equal_array(data: Data) -> None:
    again = Data.from_bytes(data.to_bytes(), data.dtype, data.shape)
    assert again == data
    assert hash(again) == hash(data)
    assert (again.array == data.array).all()


@given(arrays(), arrays())
def test_equality_is_that_of_type_shape_and_content(first: Data, second: Data) -> None:
    same = (first.dtype, first.shape, first.to_bytes()) == (second.dtype, second.shape, second.to_bytes())
    assert (first == second) == same


def test_shape_and_type_belong_to_the_content() -> None:
    zeros = np.zeros(4, np.int8)
    assert Data(zeros) != Data(zeros.reshape(2, 2))
    assert Data(zeros) != Data(zeros.astype(np.uint8))


def test_the_hash_does_not_depend_on_memory_order_or_byte_order() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert Data(np.asfortranarray(array)).digest == Data(array).digest
    assert Data.of(array.astype(">i2"), DType.I16).digest == Data(array).digest
    assert Data(array).to_bytes() == bytes([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0])


def test_the_source_may_change_afterwards() -> None:
    array = np.zeros(3, np.int8)
    data = Data(array)
    array[0] = 1
    assert data.array.tolist() == [0, 0, 0]


def test_the_array_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Data(np.zeros(3, np.int8)).array[0] = 1


@pytest.mark.parametrize("value", [128, -129, 300])
def test_nothing_wraps(value: int) -> None:
    with pytest.raises(ValueError, match="do not fit i8"):
        Data.of([0, value], DType.I8)


def test_a_foreign_type_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        Data(np.zeros(1))


def test_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Data.from_bytes(b"123", DType.I8, (2, 2))
