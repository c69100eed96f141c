"""Which fused activation stands for a clamp."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import tflite

from mrqc.ir import Element
from mrqc.ops.nn import UNBOUNDED

Clamp: TypeAlias = tuple[float, float]

_ACTIVATIONS: tuple[tuple[int, Clamp], ...] = (
    (tflite.ActivationFunctionType.NONE, UNBOUNDED),
    (tflite.ActivationFunctionType.RELU, (0.0, math.inf)),
    (tflite.ActivationFunctionType.RELU6, (0.0, 6.0)),
    (tflite.ActivationFunctionType.RELU_N1_TO_1, (-1.0, 1.0)),
)


def fused_activation(clamp: Clamp, element: Element) -> tuple[int, Clamp]:
    """Return the fused activation of a result, and the clamp that is still to be done behind it.

    The activation with exactly that interval is taken, or else one that leaves the same codes; where there is none,
    the clamp is left whole.
    """
    for code, interval in _ACTIVATIONS:
        if interval == clamp:
            return code, UNBOUNDED
    codes = _codes(clamp, element)
    if codes is not None:
        for code, interval in _ACTIVATIONS:
            if _codes(interval, element) == codes:
                return code, UNBOUNDED
    return tflite.ActivationFunctionType.NONE, clamp


def _codes(clamp: Clamp, element: Element) -> tuple[int, int] | None:
    """Return the codes that a clamp confines a quantized result to, None for floats."""
    quantization = element.quantization
    if quantization is None:
        return None
    scale, zero_point = quantization.scale, quantization.zero_point
    low, high = (
        int(
            np.clip(np.rint(np.clip(end / scale, -1e9, 1e9)) + zero_point, element.dtype.minimum, element.dtype.maximum)
        )
        for end in clamp
    )
    return low, high
