"""What to feed a module: drawn batches, and seeded ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import Module, Quantization, Value
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays

OVERSHOOT = 1.25
"""Float inputs reach beyond what their quantization holds, so that it saturates."""

FRACTIONS = 8
"""Steps between two codes at which float inputs lie; the middle one is a tie."""


@st.composite
def inputs_for(draw: st.DrawFn, module: Module, *, max_batches: int = 2) -> dict[str, NDArray[Any]]:
    """Return a strategy for the inputs of ``module``: codes over the whole range, extremes included.

    Args:
        draw: Supplied by hypothesis.
        module: Inputs without axes are fed as they are, others with a multiple of their leading extent.
        max_batches: The greatest such multiple; the same for all inputs of one draw.

    Returns:
        An array for each input's name. Float inputs are multiples of an eighth of the scale that they are
        quantized with, ties included, and reach beyond its range.
    """
    batches = draw(st.integers(1, max_batches))
    drawn: dict[str, NDArray[Any]] = {}
    for value in module.graph.inputs:
        shape = _batched(value, batches)
        minimum, maximum = _code_range(module, value)
        codes = draw(code_arrays(shape, minimum, maximum))
        drawn[value.name] = _as_fed(module, value, codes)
    return drawn


def random_inputs(module: Module, batches: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Return reproducible inputs: the least codes, then the greatest, then uniform ones.

    Args:
        module: What to feed.
        batches: Multiple of the leading extents; inputs without axes are fed once.
        seed: Same seed, same arrays.
    """
    generator = np.random.default_rng(seed)
    fed: dict[str, NDArray[Any]] = {}
    for value in module.graph.inputs:
        minimum, maximum = _code_range(module, value)
        codes = generator.integers(minimum, maximum, _batched(value, batches), np.int64, endpoint=True)
        if batches > 2 and value.type.rank:
            extent = value.type.shape[0]
            codes[:extent], codes[extent : 2 * extent] = minimum, maximum
        fed[value.name] = _as_fed(module, value, codes)
    return fed


def _batched(value: Value, batches: int) -> tuple[int, ...]:
    shape = value.type.shape
    return (shape[0] * batches, *shape[1:]) if shape else shape


def _quantization_of(module: Module, value: Value) -> tuple[Quantization, int, int] | None:
    """Return how a float input is quantized, and to which codes, if it is at once."""
    for statement in module.graph.uses.get(value, ()):
        quantization = statement.result.type.quantization
        if isinstance(statement.op, nn.Quantize) and quantization is not None and quantization.is_per_tensor:
            return quantization, statement.result.type.dtype.minimum, statement.result.type.dtype.maximum
    return None


def _code_range(module: Module, value: Value) -> tuple[int, int]:
    """Return the integers that inputs are made of: codes, or eighths of codes around zero for floats."""
    if value.type.dtype.is_integer:
        return value.type.dtype.minimum, value.type.dtype.maximum
    found = _quantization_of(module, value)
    if found is None:
        return -16 * FRACTIONS, 16 * FRACTIONS
    quantization, minimum, maximum = found
    low, high = (code - quantization.zero_point for code in (minimum, maximum))
    return int(low * FRACTIONS * OVERSHOOT), int(high * FRACTIONS * OVERSHOOT)


def _as_fed(module: Module, value: Value, codes: NDArray[np.int64]) -> NDArray[Any]:
    if value.type.dtype.is_integer:
        return codes.astype(value.type.dtype.numpy)
    found = _quantization_of(module, value)
    scale = 1.0 if found is None else found[0].scale
    return (codes * (scale / FRACTIONS)).astype(np.float32)
