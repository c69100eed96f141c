"""Cases of the operators that reduce along axes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from single_ops import SingleOpCase, case, operator_cases
from tflite_files import TfliteFile, options
from tflite_strategies import draw_scales, draw_shape


@operator_cases("MEAN", "i8", "u8", "i16")
def mean(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _reduction(draw, dtype, "MEAN")


# LiteRT's reference kernel of SUM takes the codes of any type for unsigned bytes.
@operator_cases("SUM", "u8")
def sum_(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _reduction(draw, dtype, "SUM")


@operator_cases("REDUCE_MAX", "i8", "u8", "i16")
def reduce_max(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _reduction(draw, dtype, "REDUCE_MAX", rescales=False)


@operator_cases("REDUCE_MIN", "i8", "u8", "i16")
def reduce_min(draw: DrawFn, dtype: str) -> SingleOpCase:
    return _reduction(draw, dtype, "REDUCE_MIN", rescales=False)


def _reduction(draw: DrawFn, dtype: str, builtin: str, *, rescales: bool = True) -> SingleOpCase:
    shape = draw_shape(draw, 2, 5, 6)
    chosen = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    written = [axis - len(shape) if draw(st.booleans()) else axis for axis in chosen]
    if draw(st.booleans()):
        written.append(written[0])
    keep_dims = draw(st.booleans())
    result = [1 if axis in chosen else extent for axis, extent in enumerate(shape) if keep_dims or axis not in chosen]
    source = draw_scales(draw, dtype)
    target = draw(st.sampled_from((source, draw_scales(draw, dtype)))) if rescales else source
    file = TfliteFile()
    file.operator(
        builtin,
        [file.input(dtype, shape, source), file.integers(written)],
        [file.output(dtype, result, target)],
        options("ReducerOptions", keep_dims=keep_dims),
        version=2,
    )
    return case(draw, file)
