"""What a target is: data, validated key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mrqc.ir.dtype import DType
from mrqc.numerics import Rounding
from mrqc.ops import INT_OPS
from mrqc.ops.int.requantize import SHIFT_LIMIT


class _Section(BaseModel):
    """A table of the file: unknown keys are errors and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ActivationScheme(_Section):
    """How activations are stored.

    Attributes:
        dtype: Storage: ``i8``, or ``any`` on a target that runs every model in its own scheme.
        symmetric: Whether the zero point is 0; may be false only on such a target.
        range: ``full`` uses -128..127, ``restricted`` -127..127.
        granularity: One scale for a tensor.
        scale: ``any`` real number.
    """

    dtype: Literal["i8", "any"]
    symmetric: bool
    range: Literal["full", "restricted"] = "full"
    granularity: Literal["per-tensor"] = "per-tensor"
    scale: Literal["any"] = "any"

    @property
    def storage(self) -> DType:
        """The dtype of activations, where there is one."""
        assert self.dtype != "any"
        return DType(self.dtype)

    @property
    def minimum(self) -> int:
        """The least code."""
        return self.storage.minimum + (self.range == "restricted")

    @property
    def maximum(self) -> int:
        """The greatest code."""
        return self.storage.maximum


class WeightScheme(_Section):
    """How weights are stored: as activations, but a scale for each output channel is possible.

    Attributes:
        dtype: Storage, as for activations.
        symmetric: Whether the zero point is 0, as for activations.
        range: ``restricted`` leaves out the least code.
        granularity: One scale for a tensor or one for each output channel.
        scale: ``any`` real number.
    """

    dtype: Literal["i8", "any"]
    symmetric: bool
    range: Literal["full", "restricted"] = "restricted"
    granularity: Literal["per-tensor", "per-channel"] = "per-tensor"
    scale: Literal["any"] = "any"

    @property
    def minimum(self) -> int:
        """The least code."""
        return DType(self.dtype).minimum + (self.range == "restricted")

    @property
    def maximum(self) -> int:
        """The greatest code."""
        return DType(self.dtype).maximum

    @property
    def is_per_channel(self) -> bool:
        """Whether every output channel has its own scale."""
        return self.granularity == "per-channel"


class BiasScheme(_Section):
    """How biases are stored: at the scale of the accumulator, in this many bits.

    Attributes:
        dtype: Storage in the emitted program.
        bits: Width of the hardware's register, at most that of the storage.
    """

    dtype: Literal["i32"] = "i32"
    bits: Annotated[int, Field(ge=8, le=32)] = 32


class RequantizeScheme(_Section):
    """From accumulators to codes.

    Attributes:
        multiplier: ``power-of-two`` (a shift alone), ``fixed-point``, or ``float32``: single-precision arithmetic.
        bits: Width of a fixed-point multiplier; absent for the others.
        shift: Least and greatest right shift.
        rounding: What happens to the bits that are shifted out.
    """

    multiplier: Literal["power-of-two", "fixed-point", "float32"]
    bits: Literal[8, 16, 31] | None = None
    shift: tuple[int, int]
    rounding: Rounding

    @property
    def only_shifts(self) -> bool:
        """Whether the multiplier is a power of two."""
        return self.multiplier == "power-of-two"

    @field_validator("shift", mode="before")
    @classmethod
    def _shift_is_a_pair(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

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


class AccumulatorScheme(_Section):
    """The register that sums products.

    Attributes:
        bits: Its width, sign included.
        overflow: ``forbid``: the compiler proves from the weights that it cannot happen.
    """

    bits: Annotated[int, Field(ge=16, le=64)] = 32
    overflow: Literal["forbid"] = "forbid"


class OpSupport(_Section):
    """Where an op runs, and within which limits.

    Attributes:
        on: ``accelerator``, or ``host``: the emitted C on the processor beside it, free of the rules of [requantize].
        max_kernel: The greatest kernel height and width.
        max_stride: The greatest stride.
        max_dilation: The greatest dilation.
        groups: ``any``, ``depthwise`` (1 or one channel a group) or ``none``.
    """

    on: Literal["accelerator", "host"]
    max_kernel: Annotated[int, Field(ge=1)] | None = None
    max_stride: Annotated[int, Field(ge=1)] | None = None
    max_dilation: Annotated[int, Field(ge=1)] | None = None
    groups: Literal["any", "depthwise", "none"] = "any"


OP_NAMES: tuple[str, ...] = tuple(op.mnemonic for op in INT_OPS if op.mnemonic != "int.constant")
"""The keys that ``[ops]`` can have."""


Semantics = Literal["generic", "tflite", "onnxruntime"]
"""Who decides how each op computes: the keys of the file alone, or op by op the kernels of a runtime."""


class Target(_Section):
    """A chip's quantization scheme and integer operations, or the arithmetic of a runtime.

    Attributes:
        name: What ``--target`` takes.
        description: One line.
        semantics: ``generic`` for hardware; else the runtime whose results are reproduced, for models in their own
            quantization scheme.
        pipeline: The passes that lower to it.
        activation: How activations are stored.
        weight: How weights are stored.
        bias: How biases are stored.
        requantize: From accumulators to codes.
        accumulator: The register that sums products.
        ops: Where each integer op runs; a runtime has all of them.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str
    semantics: Semantics = "generic"
    pipeline: str = "default"
    activation: ActivationScheme
    weight: WeightScheme
    bias: BiasScheme = BiasScheme()
    requantize: RequantizeScheme
    accumulator: AccumulatorScheme = AccumulatorScheme()
    ops: Mapping[str, OpSupport]

    @property
    def is_runtime(self) -> bool:
        """Whether models run in their own quantization scheme, as a runtime would run them."""
        return self.semantics != "generic"

    @model_validator(mode="before")
    @classmethod
    def _a_runtime_has_every_op(cls, content: object) -> object:
        """Fill in the ops that a runtime's file leaves out."""
        if not isinstance(content, dict):
            return content
        keys = cast(dict[str, object], content)
        if keys.get("semantics", "generic") == "generic" or "ops" in keys:
            return keys
        return {**keys, "ops": {name: {"on": "host"} for name in OP_NAMES}}

    @field_validator("ops")
    @classmethod
    def _known_ops(cls, ops: Mapping[str, OpSupport]) -> Mapping[str, OpSupport]:
        for name in ops:
            if name not in OP_NAMES:
                raise ValueError(f"{name}: no such integer op; there are {', '.join(OP_NAMES)}")
        return ops

    @model_validator(mode="after")
    def _hardware_has_one_scheme(self) -> Target:
        if self.is_runtime:
            return self
        for section, scheme in (("activation", self.activation), ("weight", self.weight)):
            if scheme.dtype == "any":
                raise ValueError(f"{section}.dtype: must be 'i8', found 'any'; only a runtime (semantics) takes any")
            if not scheme.symmetric:
                raise ValueError(f"{section}.symmetric: must be true, found false")
        if self.requantize.multiplier == "float32":
            raise ValueError("requantize.multiplier: only a runtime (semantics) computes in float32")
        return self

    @model_validator(mode="after")
    def _bias_fits_the_accumulator(self) -> Target:
        if self.bias.bits > self.accumulator.bits:
            raise ValueError(
                f"bias.bits: {self.bias.bits} is wider than the accumulator's {self.accumulator.bits} bits "
                "(accumulator.bits)"
            )
        return self
