"""How batch normalizations are drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mrqc.ir import FLOAT, Value
from mrqc.ops import nn
from mrqc.testing.arrays import code_arrays
from mrqc.testing.draft import Draft, Limits, strategy_for
from mrqc.testing.types import single_precision


def _is_float(_limits: Limits, value: Value) -> bool:
    return value.type.element == FLOAT and value.type.rank >= 2


@strategy_for(nn.BatchNormalization, accepts=_is_float)
def nn_batch_normalization(draft: Draft, operand: Value) -> Value:
    """Append a batch normalization of floats with constant parameters, multiples of a sixteenth."""

    def parameter(least: int, greatest: int) -> Value:
        sixteenths = draft.draw(code_arrays(operand.type.shape[-1:], least, greatest))
        return draft.constant(nn.Constant, (sixteenths / 16).astype(np.float32), FLOAT)

    scale, bias, mean, variance = parameter(-32, 32), parameter(-32, 32), parameter(-16, 16), parameter(1, 64)
    epsilon = single_precision(draft.draw(st.sampled_from((1e-5, 0.0, 1e-3, 0.125))))
    return draft.emit(nn.BatchNormalization(operand, scale, bias, mean, variance, epsilon))
