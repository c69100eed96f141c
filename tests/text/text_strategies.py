"""Random modules over the test ops: weird names, every bit pattern of a float, every dtype."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st
from text_ops import Constant, Everything, Level, Limits, Mode, Split

from mrqc.ir import (
    Data,
    DType,
    Element,
    Graph,
    Location,
    Module,
    Output,
    Quantization,
    Statement,
    TensorType,
    Value,
)

SPECIAL_TEXTS = (
    "",
    "%0",
    "a/b:0",
    'say "hi"',
    "back\\slash",
    "line\nend\r",
    "\ud83d\ude00",
    "😀",
    "// x",
    "\x00\x85\u2028",
)
any_text = st.one_of(
    st.text("ab01._$-/: ", max_size=6),
    st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=3).map("".join),
    st.sampled_from(SPECIAL_TEXTS),
)
bits64 = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
any_float = st.one_of(st.floats(allow_nan=False), st.sampled_from([-0.0, 0.0, 1e16, 5e-324]))
scales = st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False)
integers = st.one_of(st.integers(-130, 130), st.integers())
shapes = st.lists(st.integers(1, 5), max_size=3).map(tuple)


@st.composite
def constants(draw: st.DrawFn, shape: tuple[int, ...] | None = None) -> Data:
    """Any bytes under any dtype, so that f32 takes on every bit pattern, payloads of a NaN included."""
    dtype = draw(st.sampled_from(list(DType)))
    shape = draw(st.lists(st.integers(0, 4), max_size=3).map(tuple)) if shape is None else shape
    size = int(np.prod(shape, dtype=int)) * dtype.bytes
    raw = draw(st.binary(min_size=size, max_size=size))
    return Data.from_bytes(raw, dtype, shape)


@st.composite
def elements(draw: st.DrawFn, shape: tuple[int, ...], dtype: DType | None = None) -> Element:
    dtype = draw(st.sampled_from(list(DType))) if dtype is None else dtype
    if not dtype.is_integer or draw(st.booleans()):
        return Element(dtype)
    zero_points = st.integers(dtype.minimum, dtype.maximum) | st.just(0)
    if not shape or draw(st.booleans()):
        return Element.per_tensor(dtype, draw(scales), draw(zero_points))
    axis = draw(st.integers(0, len(shape) - 1))
    pairs = [(draw(scales), draw(zero_points)) for _ in range(shape[axis])]
    return Element(dtype, Quantization.per_axis([s for s, _ in pairs], [z for _, z in pairs], axis))


@st.composite
def tensor_types(draw: st.DrawFn) -> TensorType:
    shape = draw(shapes)
    return TensorType(shape, draw(elements(shape)))


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    modes = st.sampled_from(list(Mode))
    limits = st.builds(
        Limits, any_float, high=any_float, modes=st.lists(modes, max_size=2).map(tuple), table=st.none() | constants()
    )
    choices: dict[str, st.SearchStrategy[Any]] = {
        "flag": st.booleans(),
        "count": integers,
        "ratio": any_float,
        "label": any_text,
        "mode": modes,
        "level": st.sampled_from(list(Level)),
        "dtype": st.sampled_from(list(DType)),
        "sizes": st.lists(integers, max_size=20).map(tuple),
        "ratios": st.lists(any_float, max_size=3).map(tuple),
        "labels": st.lists(any_text, max_size=3).map(tuple),
        "mixed": st.tuples(integers, any_text, st.booleans()),
        "nested": st.lists(st.lists(integers, max_size=2).map(tuple), max_size=3).map(tuple),
        "maximum": st.none() | integers,
        "number": integers | any_float | any_text,
        "limits": st.none() | limits,
        "table": st.none() | constants(),
        "tables": st.lists(constants(), max_size=2).map(tuple),
    }
    names = draw(st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=5))
    return {name: draw(choices[name]) for name in names}


@st.composite
def modules(draw: st.DrawFn) -> Module:
    numbers = itertools.count()

    def name() -> str:
        number = next(numbers)
        return draw(st.sampled_from(SPECIAL_TEXTS)) if number == 0 else f"{draw(any_text)}{number}"

    inputs = [Value(name(), draw(tensor_types())) for _ in range(draw(st.integers(1, 2)))]
    values, statements = list(inputs), []
    for kind in draw(st.lists(st.sampled_from(["everything", "split", "constant"]), max_size=4)):
        some_value = st.sampled_from(values)
        if kind == "constant":
            data = draw(constants(draw(shapes)))
            op: Any = Constant(data, draw(elements(data.shape, data.dtype)))
        elif kind == "split":
            value = draw(some_value)
            op = Split(value, draw(elements(value.type.shape)), draw(elements(value.type.shape)))
            if value.type.rank == 3:
                continue
        else:
            type_ = draw(tensor_types())
            op = Everything(
                draw(some_value),
                draw(st.none() | some_value),
                draw(st.none() | some_value),
                tuple(draw(st.lists(some_value, max_size=2))),
                **draw(attributes()),
                shape=type_.shape,
                element=type_.element,
            )
        location = Location(tuple(draw(st.lists(any_text, max_size=2))))
        results = tuple(Value(name(), type_) for type_ in op.infer())
        statements.append(Statement(results, op, location))
        values += results
    outputs = [
        Output(output, draw(st.sampled_from(values)))
        for output in draw(st.lists(any_text, unique=True, min_size=1, max_size=2))
    ]
    metadata = tuple(sorted(draw(st.dictionaries(any_text, any_text, max_size=2)).items()))
    return Module("m", Graph(tuple(inputs), tuple(statements), tuple(outputs)), metadata)
