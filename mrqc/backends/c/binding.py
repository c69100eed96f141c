"""What the emitter puts in the slots of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mrqc.ir import DType
from mrqc.numerics import Rounding


class Scaling(StrEnum):
    """How accumulators become codes: each is a file ``requantize_*.h``."""

    SHIFT = "shift"
    CHANNEL_SHIFT = "channel_shift"
    MULTIPLIER = "multiplier"
    CHANNEL_MULTIPLIER = "channel_multiplier"
    WIDE_MULTIPLIER = "wide_multiplier"
    CHANNEL_WIDE_MULTIPLIER = "channel_wide_multiplier"

    @property
    def scale_type(self) -> str:
        """The C type of one scale."""
        is_shift = self in (Scaling.SHIFT, Scaling.CHANNEL_SHIFT)
        return "uint8_t" if is_shift else "struct fixed_point"


@dataclass(frozen=True, slots=True)
class Binding:
    """The content of every slot; a kernel looks only at those that it has.

    Attributes:
        input: Element type of the operand.
        other: Element type of the second operand.
        output: Element type of the result.
        scaling: How accumulators become codes.
        rounding: What happens to the bits that are shifted out.
        accumulator_bits: Width of the accumulators.
        centre_input: Whether the operand has a zero point to subtract.
        centre_weight: Whether the weights have one.
        sum_bits: Width of a softmax's sums.
        width: Width of a rounding shift; set by the kernel itself.
    """

    input: DType = DType.I8
    other: DType = DType.I8
    output: DType = DType.I8
    scaling: Scaling = Scaling.SHIFT
    rounding: Rounding = Rounding.HALF_UP
    accumulator_bits: int = 32
    centre_input: bool = False
    centre_weight: bool = False
    sum_bits: int = 32
    width: int = 32
