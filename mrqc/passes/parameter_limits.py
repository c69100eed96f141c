"""Limits that hardware sets to weights and biases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.targets import Target


def weight_problems(value: Value, codes: NDArray[Any] | None, target: Target) -> Iterator[str]:
    """Yield a sentence for each way in which weights do not fit their storage.

    Args:
        value: The weights.
        codes: Theirs, where they are constant.
        target: Whose storage.
    """
    scheme = target.weight
    if value.type.dtype is not scheme.storage:
        yield f"weights are {value.type.dtype}, the target holds {scheme.storage} (weight.dtype)"
    elif codes is not None and codes.min() < scheme.minimum:
        yield (f"weights reach {codes.min()}, the target holds {scheme.minimum} to {scheme.maximum} (weight.range)")


def bias_problems(codes: NDArray[Any] | None, target: Target) -> Iterator[str]:
    """Yield a sentence for each way in which the codes of a bias do not fit its register."""
    if codes is None:
        return
    scheme = target.bias
    if DType.of(codes.dtype) is DType.I64 and scheme.dtype == "i32":
        yield "biases are i64, the target stores i32 (bias.dtype)"
    low, high = int(codes.min()), int(codes.max())
    shift = 0 if scheme.shift is None else min(scheme.shift[1], _trailing_zeros(codes))
    limit = 1 << (scheme.bits - 1 + shift)
    if max(-low, high + 1) > limit:
        key = "bias.bits" if scheme.shift is None else "bias.bits, bias.shift"
        behind = "" if scheme.shift is None else f" shifted to the left by {shift}"
        yield f"biases from {low} to {high} do not fit {scheme.bits} bits{behind} ({key})"


def _trailing_zeros(codes: NDArray[Any]) -> int:
    """Return by how many bits all codes can be shifted to the right without loss."""
    joint = int(np.bitwise_or.reduce(codes.astype(np.int64).reshape(-1)))
    return 64 if joint == 0 else (joint & -joint).bit_length() - 1
