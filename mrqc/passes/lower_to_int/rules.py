"""The table of lowering rules and what each of them is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrqc.errors import RefusalError
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.quantization import Quantization
from mrqc.ir.rewrite import GraphBuilder
from mrqc.ir.rules import RuleTable
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.lower_to_int.multipliers import Arithmetic
from mrqc.targets import Target


@dataclass(frozen=True, slots=True)
class Site:
    """Where a rule works: the target, the graph under construction and the statement's location.

    Attributes:
        target: The target.
        builder: Receives the integer statements.
        location: Of the statement that is lowered.
    """

    target: Target
    builder: GraphBuilder
    location: Location

    def arithmetic(self, mnemonic: str) -> Arithmetic:
        """Return how ``mnemonic`` requantizes on the target."""
        return Arithmetic.of(self.target, mnemonic)

    def emit(self, op: Op) -> Value:
        """Append an integer statement."""
        return self.builder.emit(op, self.location)

    def limits(self, element: Element, clamp: tuple[float, float] = nn.UNBOUNDED) -> tuple[int, int]:
        """Return the codes that a real clamp confines a result to, within what its storage has.

        The clamp's ends are rounded half to even, as any real value is.

        Raises:
            RefusalError: The result is float.
        """
        quantization = element.quantization
        if quantization is None:
            raise RefusalError("the result is float", "quantize it: the target runs quantized models only")
        low, high = element.dtype.minimum, element.dtype.maximum
        scheme = self.target.activation
        if scheme.dtype != "any" and element.dtype in scheme.storages and quantization.is_symmetric:
            low, high = scheme.code_range(element.dtype)
        ends = np.clip(np.asarray(clamp) / quantization.scale + quantization.zero_point, low, high)
        return int(np.rint(ends[0])), int(np.rint(ends[1]))


LoweringRule = Callable[[Op, Site], Value]
LOWERINGS: RuleTable[LoweringRule] = RuleTable("lowering")
"""For each ``nn`` op, over operands of the new graph: emit integer statements and return the result."""


def per_tensor(value: Value) -> Quantization:
    """Return the quantization of an activation.

    Raises:
        RefusalError: The value is float, or has a scale for each channel.
    """
    quantization = value.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        kind = "float" if quantization is None else "quantized per channel"
        raise RefusalError(f"{value} is {kind}", "run the pass 'requantize' first")
    return quantization


def operand(value: Value, site: Site) -> Quantization:
    """Return the quantization of an activation that the target computes with.

    Raises:
        RefusalError: The value is float or per channel, or has a zero point other than 0 on a symmetric target.
    """
    quantization = per_tensor(value)
    if site.target.activation.symmetric and not quantization.is_symmetric:
        raise RefusalError(f"{value} has zero point {quantization.zero_point}", "run the pass 'requantize' first")
    return quantization


def result_scale(element: Element) -> float:
    """Return the scale of a result's element.

    Raises:
        RefusalError: The element is float.
    """
    if element.quantization is None:
        raise RefusalError("the result is float", "run the pass 'requantize' first")
    return element.quantization.scale
