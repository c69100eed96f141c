"""Random int.* modules of one op, with inputs that reach the extremes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mrqc.ir import Data, DType, Element, GraphBuilder, Module, Op, Output, TensorType, Value, verify
from mrqc.numerics import Rounding
from mrqc.ops.int import Constant, Requantize
from mrqc.ops.window import Window

ACTIVATIONS = st.sampled_from((DType.I8, DType.U8, DType.I16))
ROUNDINGS = st.sampled_from(Rounding)
SEEDS = st.integers(0, 2**32)


def element(dtype: DType, scale: float = 0.5) -> Element:
    return Element.per_tensor(dtype, scale, 0)


def module_of(
    inputs: Sequence[TensorType], make: Callable[..., Op], constants: Sequence[np.ndarray | None] = ()
) -> Module:
    """Return a module of one op; ``make`` gets the inputs, then the constants, None where absent."""
    builder = GraphBuilder()
    operands: list[Value | None] = [builder.add_input(f"x{index}", type_) for index, type_ in enumerate(inputs)]
    operands += [None if array is None else constant(builder, array) for array in constants]
    result = builder.emit(make(*operands), name="y")
    module = Module("one_op", builder.finish([Output("y", result)]))
    assert verify(module) == []
    return module


def constant(builder: GraphBuilder, array: np.ndarray) -> Value:
    data = Data(array)
    return builder.emit(Constant(data, element(data.dtype)))


def codes(shape: tuple[int, ...], dtype: DType, seed: int) -> np.ndarray:
    """Return random codes; a third of them lie at the ends of the dtype."""
    random = np.random.default_rng(seed)
    array = random.integers(dtype.minimum, dtype.maximum + 1, shape)
    extreme = random.choice([dtype.minimum, dtype.maximum], shape)
    return np.where(random.random(shape) < 1 / 3, extreme, array).astype(dtype.numpy)


def random_inputs(module: Module, seed: int, batches: int = 1) -> dict[str, np.ndarray]:
    return {
        value.name: codes((batches * value.type.shape[0], *value.type.shape[1:]), value.type.dtype, seed + index)
        for index, value in enumerate(module.graph.inputs)
    }


@st.composite
def requantizations(draw: st.DrawFn, dtype: DType, channels: int = 1, reach_bits: int = 24) -> Requantize:
    """Any requantization; shifts are mostly such that results vary."""
    multipliers = st.one_of(
        st.just(1), st.integers(1, 255), st.integers(1 << 30, (1 << 31) - 1), st.just((1 << 31) - 1)
    )
    shifts = st.one_of(st.integers(0, reach_bits), st.integers(0, 62), st.just(62))
    count = st.sampled_from((1, channels))
    multiplier, shift = (
        tuple(draw(st.lists(numbers, min_size=size, max_size=size)))
        for numbers, size in ((multipliers, draw(count)), (shifts, draw(count)))
    )
    codes_ = st.integers(dtype.minimum, dtype.maximum)
    low, high = sorted((draw(codes_), draw(codes_)))
    if draw(st.booleans()):
        low, high = dtype.minimum, dtype.maximum
    return Requantize(multiplier, shift, draw(ROUNDINGS), draw(codes_), low, high)


@st.composite
def windows(draw: st.DrawFn, *, pool: bool = False) -> tuple[Window, int, int]:
    """A window with the height and width of an image that it fits; in a pool each window holds an element."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilations = (1, 1) if pool else draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    extent = Window(kernel, dilations=dilations).extent
    most = [size - 1 if pool else 3 for size in extent]
    padding = draw(st.tuples(*(st.integers(0, most[side % 2]) for side in range(4))))
    least = [max(1, size - padding[axis] - padding[axis + 2]) for axis, size in enumerate(extent)]
    height, width = (draw(st.integers(smallest, smallest + 4)) for smallest in least)
    return Window(kernel, draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), padding, dilations), height, width


def geometry(window: Window) -> dict[str, Any]:
    return {"strides": window.strides, "padding": window.padding}
