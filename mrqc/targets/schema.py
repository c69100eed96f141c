"""What a target is: data, validated key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import Field, field_validator, model_validator

from mrqc.ops import INT_OPS
from mrqc.targets.sections import (
    AccumulatorScheme,
    ActivationScheme,
    BiasScheme,
    OpSupport,
    RequantizeScheme,
    Section,
    WeightScheme,
)

OP_NAMES: tuple[str, ...] = tuple(op.mnemonic for op in INT_OPS if op.mnemonic not in ("int.constant", "int.relabel"))
"""The keys that ``[ops]`` can have; what computes nothing needs none."""


Semantics = Literal["generic", "tflite", "onnxruntime"]
"""Who decides how each op computes: the keys of the file alone, or op by op the kernels of a runtime."""


class Target(Section):
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
                raise ValueError(f"{section}.dtype: 'any' is for a runtime (semantics)")
        for name in self.weight.per_tensor_ops:
            if name not in OP_NAMES:
                raise ValueError(f"weight.per_tensor_ops: {name}: no such integer op")
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
