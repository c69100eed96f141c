"""Which of the requantization kernels a layer needs, and the constants that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mrqc.backends.c.binding import Scaling
from mrqc.backends.c.calls import Argument, Record, Table, struct_record
from mrqc.ir import Data
from mrqc.numerics import DOUBLE_ROUNDING_BITS, Rounding
from mrqc.ops.int import Requantize

INT32_MAXIMUM = (1 << 31) - 1
INT64_MAXIMUM = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Scales:
    """The multipliers and shifts of a requantization: one of each, or one of each for every channel."""

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]

    @classmethod
    def of(cls, requantize: Requantize) -> Scales:
        """Return both at the same length, and no longer than needed."""
        channels = max(len(requantize.multiplier), len(requantize.shift))
        multipliers = _stretched(requantize.multiplier, channels)
        shifts = _stretched(requantize.shift, channels)
        if len(set(multipliers)) == 1 and len(set(shifts)) == 1:
            return cls(multipliers[:1], shifts[:1])
        return cls(multipliers, shifts)

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """Multiplier and shift of each entry."""
        return zip(self.multipliers, self.shifts, strict=True)

    @property
    def is_per_channel(self) -> bool:
        """Whether the channels differ."""
        return len(self.shifts) > 1

    @property
    def only_shifts(self) -> bool:
        """Whether no multiplication is needed."""
        return set(self.multipliers) == {1}


def choose_scaling(requantize: Requantize, magnitude: int) -> Scaling:
    """Return the kernel for accumulators of at most ``magnitude``: in 32 bits as far as nothing can overflow."""
    scales = Scales.of(requantize)
    if magnitude > INT32_MAXIMUM:
        return Scaling.CHANNEL_WIDE_MULTIPLIER if scales.is_per_channel else Scaling.WIDE_MULTIPLIER
    if scales.only_shifts and _fits_32_bits(requantize, max(scales.shifts), magnitude):
        return Scaling.CHANNEL_SHIFT if scales.is_per_channel else Scaling.SHIFT
    if _rounds_to_32_bits(requantize, scales, magnitude):
        return Scaling.CHANNEL_MULTIPLIER if scales.is_per_channel else Scaling.MULTIPLIER
    return Scaling.CHANNEL_WIDE_MULTIPLIER if scales.is_per_channel else Scaling.WIDE_MULTIPLIER


def fits_64_bits(requantize: Requantize, magnitude: int) -> bool:
    """Return whether products of accumulators of at most ``magnitude`` can be rounded in 64 bits."""
    return all(
        magnitude * multiplier + _rounding_term(requantize.rounding, shift) + abs(requantize.zero_point)
        <= INT64_MAXIMUM
        for multiplier, shift in Scales.of(requantize).pairs
    )


def scale_arguments(requantize: Requantize, scaling: Scaling) -> tuple[Argument, Argument]:
    """Return the two arguments that a requantizing kernel takes: scales and code range."""
    scales = Scales.of(requantize)
    limits = code_range(requantize.zero_point, requantize.minimum, requantize.maximum)
    match scaling:
        case Scaling.SHIFT:
            return Record("shift", "uint8_t", (("", scales.shifts[0]),), 1), limits
        case Scaling.MULTIPLIER | Scaling.WIDE_MULTIPLIER:
            fields = (("multiplier", scales.multipliers[0]), ("shift", scales.shifts[0]))
            return struct_record("scale", "fixed_point", fields), limits
        case Scaling.CHANNEL_SHIFT:
            return Table("shifts", Data(np.array(scales.shifts, np.uint8))), limits
        case Scaling.CHANNEL_MULTIPLIER | Scaling.CHANNEL_WIDE_MULTIPLIER:
            rows = np.array(list(scales.pairs), np.int32)
            return Table("scales", Data(rows), "fixed_point"), limits


def code_range(zero_point: int, minimum: int, maximum: int) -> Record:
    """Return the argument that says how codes are centred and clamped."""
    fields = (("zero_point", zero_point), ("minimum", minimum), ("maximum", maximum))
    return struct_record("range", "code_range", fields)


def _stretched(numbers: tuple[int, ...], count: int) -> tuple[int, ...]:
    return numbers * count if len(numbers) == 1 else numbers


def _fits_32_bits(requantize: Requantize, greatest_shift: int, magnitude: int) -> bool:
    if greatest_shift > 31:
        return False
    term = _rounding_term(requantize.rounding, greatest_shift)
    return magnitude + term + abs(requantize.zero_point) <= INT32_MAXIMUM


def _rounds_to_32_bits(requantize: Requantize, scales: Scales, magnitude: int) -> bool:
    """Return whether the rounded products, the zero point added, fit 32 bits before they are clamped."""
    return all(
        ((magnitude * multiplier + _rounding_term(requantize.rounding, shift)) >> shift)
        + 1
        + abs(requantize.zero_point)
        <= INT32_MAXIMUM
        for multiplier, shift in scales.pairs
    )


def _rounding_term(rounding: Rounding, shift: int) -> int:
    """Return the most that is added to a value before it is shifted."""
    match rounding:
        case Rounding.FLOOR:
            return 0
        case Rounding.TO_ZERO:
            return (1 << shift) - 1
        case Rounding.DOUBLE:
            return (1 << min(shift, DOUBLE_ROUNDING_BITS)) >> 1
        case _:
            return (1 << shift) >> 1
