"""The tables of a target file, validated key by key."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mrqc.ir.dtype import DType
from mrqc.ir.types import Element
from mrqc.numerics import FixedPoint, Rounding
from mrqc.ops.int.requantize import SHIFT_LIMIT

Interval = tuple[int, int]
"""A least and a greatest number, both allowed; a list of two in the file."""

_KERNEL = re.compile(r"[1-9]\d*x[1-9]\d*")


class Section(BaseModel):
    """A table of the file: unknown keys are errors and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Name = TypeVar("_Name", bound=str)


class CodeScheme(Section, Generic[_Name]):
    """What the storage of activations and that of weights have in common; the names of dtypes are not."""

    dtype: _Name
    symmetric: bool
    range: Literal["full", "restricted"]
    scale: Literal["any", "power-of-two"] = "any"

    @property
    def storage(self) -> DType:
        """The dtype, where there is one; of activations that may be negative."""
        assert self.dtype != "any"
        return DType(self.dtype)

    @property
    def minimum(self) -> int:
        """The least code of ``storage``."""
        return self.storage.minimum + (self.range == "restricted")

    @property
    def maximum(self) -> int:
        """The greatest code of ``storage``."""
        return self.storage.maximum

    @property
    def only_powers_of_two(self) -> bool:
        """Whether every scale is a power of two."""
        return self.scale == "power-of-two"


class ActivationScheme(CodeScheme[Literal["i8", "u8", "i16", "any"]]):
    """How activations are stored.

    Attributes:
        dtype: Storage: ``i8``, ``u8`` or ``i16``; ``any`` on a target that runs every model in its own scheme.
        symmetric: Whether the zero point is 0; ``u8`` alone is not.
        unsigned: Whether a tensor without negative values is stored in ``u8``, zero point 0, in place of ``i8``.
        range: ``full`` uses every code, ``restricted`` leaves out the least of a signed type.
        granularity: One scale for a tensor.
        scale: ``any`` real number, or a ``power-of-two``.
    """

    unsigned: bool = False
    range: Literal["full", "restricted"] = "full"
    granularity: Literal["per-tensor"] = "per-tensor"

    @property
    def storages(self) -> tuple[DType, ...]:
        """Every dtype that an activation may be stored in."""
        return (self.storage, DType.U8) if self.unsigned else (self.storage,)

    def storage_for(self, non_negative: bool) -> DType:
        """Return the dtype of an activation, given whether it is known to have no negative value."""
        return DType.U8 if self.unsigned and non_negative else self.storage

    def code_range(self, dtype: DType) -> Interval:
        """Return the least and greatest code of an activation stored in ``dtype``."""
        is_restricted = self.range == "restricted" and dtype is not DType.U8
        return dtype.minimum + is_restricted, dtype.maximum

    @property
    def probabilities(self) -> Element:
        """What a softmax results in: 1 is one code above the greatest, 0 the least code or, where symmetric, 0."""
        dtype = self.storage_for(True)
        zero_point = 0 if self.symmetric else dtype.minimum
        return Element.per_tensor(dtype, 1.0 / (dtype.maximum + 1 - zero_point), zero_point)

    @model_validator(mode="after")
    def _is_possible(self) -> ActivationScheme:
        if self.unsigned and not (self.dtype == "i8" and self.symmetric):
            raise ValueError("unsigned: only beside symmetric i8")
        if self.dtype == "u8" and self.symmetric:
            raise ValueError("symmetric: must be false for u8; 'unsigned' beside i8 has u8 without zero points")
        if self.dtype == "i16" and not self.symmetric:
            raise ValueError("symmetric: must be true for i16")
        if self.range == "restricted" and not self.symmetric:
            raise ValueError("range: must be 'full' where zero points are free")
        return self


class WeightScheme(CodeScheme[Literal["i8", "u8", "any"]]):
    """How weights are stored.

    Attributes:
        dtype: Storage: ``i8`` or ``u8``; ``any`` as for activations.
        symmetric: Whether the zero point is 0; else there is one zero point for a tensor.
        range: ``restricted`` leaves out the least code.
        granularity: One scale for a tensor or one for each output channel.
        per_tensor_ops: The ops that have one scale for a tensor in any case.
        scale: ``any`` real number, or a ``power-of-two``.
    """

    range: Literal["full", "restricted"] = "restricted"
    granularity: Literal["per-tensor", "per-channel"] = "per-tensor"
    per_tensor_ops: tuple[str, ...] = ()

    @property
    def zero_point(self) -> int:
        """The zero point in the middle of the codes: symmetric codes plus this one keep their grid."""
        return (self.storage.minimum + self.maximum + 1) // 2

    @property
    def is_per_channel(self) -> bool:
        """Whether every output channel has its own scale, in most ops."""
        return self.granularity == "per-channel"

    def is_per_channel_for(self, mnemonic: str) -> bool:
        """Return whether every output channel of an op, named in either dialect, has its own scale."""
        name = mnemonic.rpartition(".")[2]
        return self.is_per_channel and all(op.rpartition(".")[2] != name for op in self.per_tensor_ops)

    @field_validator("per_tensor_ops", mode="before")
    @classmethod
    def _ops_are_a_list(cls, value: object) -> object:
        return _as_tuple(value)

    @model_validator(mode="after")
    def _is_possible(self) -> WeightScheme:
        if self.dtype == "any":
            return self
        if self.dtype == "u8" and self.symmetric:
            raise ValueError("symmetric: must be false for u8")
        if not self.symmetric and self.is_per_channel:
            raise ValueError("granularity: must be 'per-tensor' where there is a zero point (symmetric = false)")
        if not self.symmetric and self.range == "restricted":
            raise ValueError("range: must be 'full' where there is a zero point (symmetric = false)")
        return self


class BiasScheme(Section):
    """How biases are stored.

    Attributes:
        dtype: Storage in the emitted program, at the scale of the accumulator.
        bits: Width of the hardware's register, at most that of the storage.
        shift: Least and greatest left shift with which biases enter the accumulator, one for a layer; without the
            key they are at the scale of the accumulator. A negative one shifts to the right.
        shift_budget: With a right shift of biases, that shift is at most this less ``bits`` and the layer's own
            right shift.
    """

    dtype: Literal["i32", "i64"] = "i32"
    bits: Annotated[int, Field(ge=8, le=64)] = 32
    shift: Interval | None = None
    shift_budget: Annotated[int, Field(ge=0, le=64)] | None = None

    def least_shift(self, right_shift: int) -> int:
        """Return the least shift of biases in a layer that shifts its accumulators to the right by ``right_shift``."""
        assert self.shift is not None
        if self.shift_budget is None:
            return self.shift[0]
        return max(self.shift[0], min(0, self.bits + right_shift - self.shift_budget))

    @field_validator("shift", mode="before")
    @classmethod
    def _shift_is_a_pair(cls, value: object) -> object:
        return _as_tuple(value)

    @model_validator(mode="after")
    def _is_possible(self) -> BiasScheme:
        storage_bits = 8 * DType(self.dtype).bytes
        if self.bits > storage_bits:
            raise ValueError(f"bits: {self.bits} is wider than {self.dtype} (bias.dtype)")
        if self.shift is not None and not -32 <= self.shift[0] <= 0 <= self.shift[1] < 32:
            raise ValueError(f"shift: must be [least, greatest] around 0 and within -32..31, found {list(self.shift)}")
        if self.shift_budget is not None and self.shift is None:
            raise ValueError("shift_budget: goes with bias.shift")
        return self


class RequantizeScheme(Section):
    """From accumulators to codes.

    Attributes:
        multiplier: ``power-of-two`` (a shift alone), ``fixed-point``, or ``float32``: single-precision arithmetic.
        bits: Width of a fixed-point multiplier; absent for the others.
        shift: Least and greatest right shift.
        rounding: What happens to the bits that are shifted out.
    """

    multiplier: Literal["power-of-two", "fixed-point", "float32"]
    bits: Literal[8, 16, 31] | None = None
    shift: Interval
    rounding: Rounding

    @property
    def only_shifts(self) -> bool:
        """Whether the multiplier is a power of two."""
        return self.multiplier == "power-of-two"

    @field_validator("shift", mode="before")
    @classmethod
    def _shift_is_a_pair(cls, value: object) -> object:
        return _as_tuple(value)

    @field_validator("rounding", mode="before")
    @classmethod
    def _rounding_by_name(cls, value: object) -> object:
        if isinstance(value, str) and value not in set(Rounding):
            raise ValueError(f"must be one of {', '.join(Rounding)}")
        return Rounding(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _bits_go_with_fixed_point(self) -> RequantizeScheme:
        if self.multiplier != "fixed-point" and self.bits is not None:
            raise ValueError(f"bits: a {self.multiplier} multiplier has none; leave the key out")
        if self.multiplier == "fixed-point" and self.bits is None:
            raise ValueError("bits: a fixed-point multiplier needs its width: 8, 16 or 31")
        if not 0 <= self.shift[0] <= self.shift[1] <= SHIFT_LIMIT:
            raise ValueError(f"shift: must be [least, greatest] within 0..{SHIFT_LIMIT}, found {list(self.shift)}")
        return self


class AccumulatorScheme(Section):
    """The register that sums products.

    Attributes:
        bits: Its width, sign included.
        overflow: ``forbid``: the compiler proves from the weights that it cannot happen.
    """

    bits: Annotated[int, Field(ge=16, le=64)] = 32
    overflow: Literal["forbid"] = "forbid"


class OpSupport(Section):
    """Where an op runs, and within which limits.

    Attributes:
        on: ``accelerator``, or ``host``: the emitted C on the processor beside it, free of the rules of [requantize].
        max_kernel: The greatest kernel height and width.
        max_stride: The greatest stride.
        max_dilation: The greatest dilation.
        groups: ``any``, ``depthwise`` (1 or one channel a group) or ``none``.
        shift: Least and greatest right shift in place of ``requantize.shift``. That of an addition, with this key,
            leads from the scale of the coarser operand to the result's, and may be negative.
        operand_shift: Least and greatest shift between the scales of an addition's operands.
        same_scale: Whether operands and result must have one scale.
        reciprocals: For a pool's kernel, ``HEIGHTxWIDTH``, the multiplier and right shift that stand for the division
            by its number of elements, on a target that otherwise only shifts.
        reciprocal_bits: For all other kernels, with n elements, the multiplier over ``2**shift`` that is the nearest
            to 1/n with a shift below this and ``ceil(log2(n))``.
    """

    on: Literal["accelerator", "host"]
    max_kernel: Annotated[int, Field(ge=1)] | None = None
    max_stride: Annotated[int, Field(ge=1)] | None = None
    max_dilation: Annotated[int, Field(ge=1)] | None = None
    groups: Literal["any", "depthwise", "none"] = "any"
    shift: Interval | None = None
    operand_shift: Interval | None = None
    same_scale: bool = False
    reciprocals: Mapping[str, tuple[int, int]] | None = None
    reciprocal_bits: Annotated[int, Field(ge=1, le=16)] | None = None

    def reciprocal(self, kernel: tuple[int, int]) -> FixedPoint | None:
        """Return what a pool multiplies a sum by in place of a division, where the op has such numbers."""
        listed = (self.reciprocals or {}).get(f"{kernel[0]}x{kernel[1]}")
        if listed is not None:
            return FixedPoint(*listed)
        if self.reciprocal_bits is None:
            return None
        count = math.prod(kernel)
        shifts = range(self.reciprocal_bits + (count - 1).bit_length())
        candidates = [FixedPoint(round(Fraction(1 << shift, count)), shift) for shift in shifts]
        return min(
            candidates, key=lambda factor: abs(Fraction(factor.multiplier, 1 << factor.shift) - Fraction(1, count))
        )

    @field_validator("shift", "operand_shift", mode="before")
    @classmethod
    def _shift_is_a_pair(cls, value: object) -> object:
        return _as_tuple(value)

    @field_validator("reciprocals", mode="before")
    @classmethod
    def _entries_are_pairs(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: _as_tuple(entry) for key, entry in cast(dict[object, object], value).items()}

    @model_validator(mode="after")
    def _is_possible(self) -> OpSupport:
        for name, interval in (("shift", self.shift), ("operand_shift", self.operand_shift)):
            if interval is not None and not -32 <= interval[0] <= interval[1] <= SHIFT_LIMIT:
                raise ValueError(f"{name}: must be [least, greatest] within -32..{SHIFT_LIMIT}, found {list(interval)}")
        for kernel, (multiplier, shift) in (self.reciprocals or {}).items():
            if not _KERNEL.fullmatch(kernel):
                raise ValueError(f"reciprocals: {kernel!r} is no kernel; the form is '3x3'")
            count = math.prod(int(extent) for extent in kernel.split("x"))
            if not (1 <= multiplier < 1 << 16 and 0 <= shift < 32 and abs(count * multiplier / 2**shift - 1) < 0.1):
                raise ValueError(f"reciprocals: {multiplier} / 2^{shift} is not near 1/{count}")
        return self


def _as_tuple(value: object) -> object:
    """Return a list of the file as the tuple that a strict model wants."""
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
