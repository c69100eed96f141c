"""``nn.batch_normalization``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mrqc.backends.interpreter import Array, Kernel
from mrqc.backends.reference.rules import RULES
from mrqc.ir import Value
from mrqc.ops.nn import BatchNormalization


@RULES.register(BatchNormalization)
def batch_normalization(op: BatchNormalization, _: Mapping[Value, Array]) -> Kernel:
    """Return the kernel of a batch normalization."""

    def kernel(reals: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
        return (reals - mean) / np.sqrt(variance + op.epsilon) * scale + bias

    return kernel
