"""From an accumulator to a code: the integer arithmetic that every ``int.*`` op ends with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.ir.dtype import DType
from mrqc.numerics import Rounding

MULTIPLIER_LIMIT = 1 << 31
SHIFT_LIMIT = 62


@dataclass(frozen=True, slots=True)
class Requantize:
    """``clamp(round(accumulator * multiplier / 2**shift) + zero_point, minimum, maximum)``.

    The product is exact in 64 bits. With more than one multiplier or shift, there is one for each output channel
    (the last axis).

    Attributes:
        multiplier: Between 0 and 2**31 - 1; 1 where the target only shifts, 0 where the ratio is too small for it.
        shift: Between 0 and 62.
        rounding: What happens to the bits that are shifted out.
        zero_point: Added after rounding.
        minimum: The least code that may result.
        maximum: The greatest code that may result.
    """

    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    rounding: Rounding
    zero_point: int
    minimum: int
    maximum: int

    @property
    def is_per_channel(self) -> bool:
        """Whether the output channels differ."""
        return len(self.multiplier) > 1 or len(self.shift) > 1

    @property
    def only_shifts(self) -> bool:
        """Whether no multiplication is needed."""
        return self.multiplier == (1,)

    def problems(self, dtype: DType, channels: int) -> Iterator[str]:
        """Yield a sentence for each way in which this cannot make codes of ``dtype`` in ``channels`` channels."""
        for name, numbers in (("multiplier", self.multiplier), ("shift", self.shift)):
            if len(numbers) not in (1, channels):
                yield f"requantize has {len(numbers)} entries of {name} for {channels} channels"
        if any(not 0 <= multiplier < MULTIPLIER_LIMIT for multiplier in self.multiplier):
            yield "multipliers must lie between 0 and 2^31 - 1"
        if any(not 0 <= shift <= SHIFT_LIMIT for shift in self.shift):
            yield f"shifts must lie between 0 and {SHIFT_LIMIT}"
        if not dtype.is_integer:
            yield f"a requantized result is stored in integers, not {dtype}"
            return
        if not dtype.minimum <= self.minimum <= self.maximum <= dtype.maximum:
            yield f"the clamp [{self.minimum}, {self.maximum}] is not an interval of {dtype}"
        if not dtype.minimum <= self.zero_point <= dtype.maximum:
            yield f"zero point {self.zero_point} is no code of {dtype}"
