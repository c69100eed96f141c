"""Storage types, quantizations and tensor types."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrqc.ir import FLOAT, DType, Element, Quantization, TensorType, Value
from mrqc.ops import nn
from mrqc.testing import code_arrays, quantizations, tensor_types

INTEGERS = [dtype for dtype in DType if dtype.is_integer]


@pytest.mark.parametrize(
    ("dtype", "minimum", "maximum", "size"),
    [
        (DType.I8, -128, 127, 1),
        (DType.U8, 0, 255, 1),
        (DType.I16, -32768, 32767, 2),
        (DType.I32, -(2**31), 2**31 - 1, 4),
    ],
)
def test_codes_of_a_storage_type(dtype: DType, minimum: int, maximum: int, size: int) -> None:
    assert (dtype.minimum, dtype.maximum, dtype.bytes) == (minimum, maximum, size)


@pytest.mark.parametrize("dtype", DType)
def test_a_storage_type_is_found_by_its_numpy_type(dtype: DType) -> None:
    assert DType.of(dtype.numpy) is dtype
    assert DType.of(np.dtype(np.float64)) is None


@given(tensor_types())
def test_drawn_types_are_valid(type_: TensorType) -> None:
    assert list(type_.problems()) == []
    assert type_.bytes == math.prod(type_.shape) * type_.dtype.bytes


@given(st.data())
def test_every_code_survives_its_real_value(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from((DType.I8, DType.U8, DType.I16)))
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    quantization = data.draw(quantizations(dtype, shape))
    codes = data.draw(code_arrays(shape, dtype.minimum, dtype.maximum))
    real = quantization.dequantize(codes)
    assert (quantization.quantize(real, dtype.minimum, dtype.maximum) == codes).all()


def test_quantization_rounds_half_to_even_and_saturates() -> None:
    quantization = Quantization.per_tensor(0.5, 10)
    real = np.array([0.25, 0.75, -0.25, 0.26, 1000.0, -1000.0])
    assert quantization.quantize(real, -128, 127).tolist() == [10, 12, 10, 11, 127, -128]


def test_scales_run_along_their_axis() -> None:
    quantization = Quantization.per_axis((1.0, 10.0), (0, 1), 1)
    assert quantization.dequantize(np.array([[1, 2], [3, 4]])).tolist() == [[1.0, 10.0], [3.0, 30.0]]
    assert quantization.broadcast_scales(3).shape == (1, 2, 1)


def test_symmetric_means_no_zero_point() -> None:
    assert Quantization.per_axis((1.0, 2.0), (0, 0), 0).is_symmetric
    assert not Quantization.per_axis((1.0, 2.0), (0, 1), 0).is_symmetric


@pytest.mark.parametrize(
    ("quantization", "sentence"),
    [
        (Quantization.per_tensor(0.0), "positive and finite, found 0.0"),
        (Quantization.per_tensor(-1.0), "positive and finite, found -1.0"),
        (Quantization.per_tensor(math.nan), "positive and finite, found nan"),
        (Quantization.per_tensor(math.inf), "positive and finite, found inf"),
        (Quantization.per_tensor(1.0, 128), "between -128 and 127"),
        (Quantization((1.0, 2.0), (0,), None), "2 scales but 1 zero points"),
        (Quantization((1.0, 2.0), (0, 0), None), "one scale, found 2"),
        (Quantization((), (), 0), "at least one scale"),
        (Quantization.per_axis((1.0, 2.0), (0, 0), 2), "axis 2 is outside a tensor of rank 2"),
        (Quantization.per_axis((1.0, 2.0), (0, 0), 1), "axis 1 has 3 entries but there are 2 scales"),
    ],
)
def test_a_bad_quantization_is_explained(quantization: Quantization, sentence: str) -> None:
    type_ = TensorType((2, 3), Element(DType.I8, quantization))
    assert any(sentence in problem for problem in type_.problems()), list(type_.problems())


def test_a_shape_has_positive_extents() -> None:
    assert any("at least 1" in problem for problem in TensorType((2, 0), FLOAT).problems())


def test_floats_are_not_quantized() -> None:
    type_ = TensorType((2,), Element.per_tensor(DType.F32, 1.0))
    assert any("stored in integers" in problem for problem in type_.problems())


def test_the_real_range_of_an_element() -> None:
    assert Element.per_tensor(DType.U8, 0.5, 128).real_range == (-64.0, 63.5)
    assert FLOAT.real_range == (-math.inf, math.inf)


def test_a_transpose_moves_the_quantization_axis() -> None:
    element = Element(DType.I8, Quantization.per_axis((1.0, 2.0, 3.0), (0, 0, 0), 1))
    (type_,) = nn.Transpose(Value("x", TensorType((2, 3), element)), (1, 0)).infer()
    assert type_.shape == (3, 2)
    assert type_.quantization is not None
    assert type_.quantization.axis == 0
    assert list(type_.problems()) == []
