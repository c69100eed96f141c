"""Random nn.* modules of one op, and their comparison with exact fractions."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from integer_modules import codes
from real_oracle import acceptable_codes, clamped, exact_values

from mrqc.backends.reference import ReferenceProgram
from mrqc.ir import (
    FLOAT,
    Data,
    DType,
    Element,
    GraphBuilder,
    Module,
    Op,
    Output,
    Quantization,
    TensorType,
    Value,
    verify,
)
from mrqc.ops.nn import UNBOUNDED, Constant, Conv2D, FullyConnected

ODD_SCALE = 0.1
"""Its multiples by powers of two have exact ratios, but are no powers of two."""
ROUNDING_ERROR = Fraction(1, 10**9)

DTYPES = st.sampled_from((DType.I8, DType.U8, DType.I16))
CLAMPS = st.sampled_from((UNBOUNDED, (0.0, float("inf")), (0.0, 64 * ODD_SCALE), (-2 * ODD_SCALE, 3 * ODD_SCALE)))


def related_scales(base: float = ODD_SCALE) -> st.SearchStrategy[float]:
    """Scales whose ratios are powers of two: with them, no floating-point operation of the reference rounds."""
    return st.integers(-4, 4).map(lambda exponent: base * 2.0**exponent)


ANY_SCALE = st.floats(1e-3, 10.0)


@st.composite
def elements(draw: st.DrawFn, scales: st.SearchStrategy[float], channels: int = 0, axis: int = 0) -> Element:
    """A quantized element; with ``channels`` perhaps with a scale and zero point for each of them along ``axis``."""
    dtype = draw(DTYPES)
    zero_points = st.integers(dtype.minimum, dtype.maximum)
    if channels and draw(st.booleans()):
        scale = tuple(draw(st.lists(scales, min_size=channels, max_size=channels)))
        zero_point = tuple(draw(st.lists(zero_points, min_size=channels, max_size=channels)))
        return Element(dtype, Quantization(scale, zero_point, axis))
    return Element.per_tensor(dtype, draw(scales), draw(zero_points))


def tensor(type_: TensorType, seed: int) -> np.ndarray:
    """Return codes that cluster near zero, where rounding shows, or normally distributed floats."""
    if not type_.dtype.is_integer:
        return np.random.default_rng(seed).normal(0, 2, type_.shape)
    random = np.random.default_rng(seed)
    found = codes(type_.shape, type_.dtype, seed)
    zero_points = np.zeros((), int)
    if type_.quantization is not None:
        zero_points = type_.quantization.broadcast_zero_points(len(type_.shape))
    near = np.clip(zero_points + random.integers(-9, 10, type_.shape), type_.dtype.minimum, type_.dtype.maximum)
    return np.where(random.random(type_.shape) < 0.7, near, found).astype(type_.dtype.numpy)


def module_of(
    inputs: Sequence[TensorType],
    make: Callable[..., Op],
    constants: Sequence[tuple[np.ndarray, Element] | None] = (),
) -> Module:
    """Return a module of one op; ``make`` gets the inputs, then the constants, None where absent."""
    builder = GraphBuilder()
    operands: list[Value | None] = [builder.add_input(f"x{index}", type_) for index, type_ in enumerate(inputs)]
    operands += [
        None if constant is None else builder.emit(Constant(Data(constant[0]), constant[1])) for constant in constants
    ]
    module = Module("one_op", builder.finish([Output("y", builder.emit(make(*operands), name="y"))]))
    assert verify(module) == []
    return module


def stored(type_: TensorType, seed: int) -> tuple[np.ndarray, Element]:
    return tensor(type_, seed).astype(type_.dtype.numpy), type_.element


def rounding_of_sums(module: Module, inputs: dict[str, Any]) -> float:
    """What doubles may lose in the sums of a layer: n additions of n products, each half a unit in the last place.

    Sums that cancel each other are as wrong as their terms are large.
    """
    op = module.graph.statements[-1].op
    if not isinstance(op, Conv2D | FullyConnected):
        return 0.0
    known = ReferenceProgram(module).trace(inputs)

    def greatest(value: Value) -> float:
        quantization = value.type.quantization
        real = known[value.name] if quantization is None else quantization.dequantize(known[value.name])
        return float(np.abs(real).max(initial=0.0))

    count = int(np.prod(op.weight.type.shape[1:])) + 1
    terms = count * greatest(op.input) * greatest(op.weight) + (0.0 if op.bias is None else greatest(op.bias))
    return count * float(np.finfo(np.float64).eps) * terms


def assert_meaning(module: Module, seed: int, slack: Fraction = ROUNDING_ERROR) -> None:
    """Check the op against fractions: codes exactly (scaled values may be off by ``slack``), floats to rounding."""
    inputs = {value.name: tensor(value.type, seed + index) for index, value in enumerate(module.graph.inputs)}
    exact = exact_values(module, inputs)
    (statement,) = module.graph.statements[-1:]
    type_, clamp = statement.result.type, getattr(statement.op, "clamp", UNBOUNDED)
    found = ReferenceProgram(module).trace(inputs)["y"]
    assert found.shape == exact.shape
    if type_.element == FLOAT:
        assert found.dtype == np.float64
        expected = np.vectorize(lambda real: float(clamped(real, clamp)), otypes=[np.float64])(exact)
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-12 + rounding_of_sums(module, inputs))
        return
    assert found.dtype == type_.dtype.numpy
    low, high = acceptable_codes(exact, type_, clamp, slack)
    assert (low <= found).all()
    assert (found <= high).all()
