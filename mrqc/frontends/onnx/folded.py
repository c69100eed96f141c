"""Operators that exporters put around shapes and grids: of constants only, and computed at import."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.frontends.constants import Constant, UnsupportedError
from mrqc.frontends.onnx.site import NodeRule, Site
from mrqc.frontends.onnx.tensors import Activation, Tensor

_LARGEST = 1 << 24


def import_range(site: Site) -> Tensor:
    """With constant ends and step."""
    start, limit, delta = (site.plain_array(index, "operand") for index in range(3))
    if not start.size == limit.size == delta.size == 1 or not start.dtype == limit.dtype == delta.dtype:
        raise UnsupportedError("start, limit and delta must be one number each, of one type")
    first, end, step = (array.reshape(-1)[0].item() for array in (start, limit, delta))
    if step == 0 or not all(map(math.isfinite, (first, end, step))):
        raise UnsupportedError(f"there is no range from {first} to {end} in steps of {step}")
    count = max(math.ceil((end - first) / step), 0)
    if count > _LARGEST:
        raise UnsupportedError(f"{count} numbers are too many for a constant")
    # The runtimes add the step over and over in the type itself; for integers it makes no difference.
    numbers = np.full(count, delta.reshape(-1)[0])
    numbers[:1] = start.reshape(-1)[0]
    return Constant(site.node.outputs[0], np.add.accumulate(numbers, dtype=start.dtype))


def _constant_rule(
    function: Callable[..., NDArray[Any]], operands: int = 1, dtype: type[np.generic] | None = None
) -> NodeRule:
    """Return a rule that applies a function to constants; the result has ``dtype``, or that of the first."""

    def handler(site: Site) -> Tensor:
        """Of constants."""
        if any(isinstance(site.operand(index), Activation) for index in range(operands)):
            raise UnsupportedError(f"operator {site.node.op_type} of computed tensors cannot be imported")
        arrays = [site.plain_array(index, "operand") for index in range(operands)]
        try:
            result = np.asarray(function(*arrays))
        except (TypeError, ValueError) as error:
            raise UnsupportedError(f"its constants do not fit it: {error}") from None
        return Constant(site.node.outputs[0], result.astype(dtype or arrays[0].dtype))

    return NodeRule(handler, operands)


FOLDED_RULES: Mapping[str, NodeRule] = {
    "Range": NodeRule(import_range, 3),
    "Neg": _constant_rule(np.negative),
    "Floor": _constant_rule(np.floor),
    "Ceil": _constant_rule(np.ceil),
    "Not": _constant_rule(np.logical_not),
    "And": _constant_rule(np.logical_and, 2, np.bool_),
    "Or": _constant_rule(np.logical_or, 2, np.bool_),
    "Greater": _constant_rule(np.greater, 2, np.bool_),
    "GreaterOrEqual": _constant_rule(np.greater_equal, 2, np.bool_),
    "Less": _constant_rule(np.less, 2, np.bool_),
    "LessOrEqual": _constant_rule(np.less_equal, 2, np.bool_),
}
"""Nodes that are computed at import."""
