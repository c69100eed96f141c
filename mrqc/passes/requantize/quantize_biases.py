"""``quantize-biases``: biases at the scale of the accumulator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mrqc.errors import Diagnostic, TargetError
from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Module
from mrqc.ir.types import Element
from mrqc.ops import nn
from mrqc.passes.definition import Exactness, Pass
from mrqc.passes.requantize.form import Edits, LayerForm, Real, along_channels, edited, layers_of
from mrqc.targets import Target


@dataclass(frozen=True)
class QuantizeBiases(Pass):
    """Round each real bias to the scale of its accumulator, ``input scale * weight scale``, or to that times 2^n.

    Hardware that shifts a narrow bias into its accumulator gets the least shift at which the largest bias fits
    (docs/requantization.md equation 2).

    Attributes:
        target: Its bias register.
    """

    name: ClassVar[str] = "quantize-biases"
    summary: ClassVar[str] = "round biases to the scale of the accumulator"
    exactness: ClassVar[Exactness] = "lossy"
    target: Target

    def __call__(self, module: Module) -> Module:
        """Return the module with integer biases.

        Raises:
            TargetError: Biases that do not fit the register, all of them.
        """
        constants: dict[str, nn.Constant] = {}
        findings: list[Diagnostic] = []
        for layer in layers_of(module):
            if layer.bias is None:
                continue
            found = self._quantized(layer)
            if isinstance(found, str):
                findings.append(Diagnostic(found, str(layer.statement.location)))
            else:
                constants[layer.bias.result.name] = found
        if findings:
            raise TargetError.collect(f"target {self.target.name} cannot run this model", findings)
        return edited(module, Edits(constants=constants))

    def _quantized(self, layer: LayerForm) -> nn.Constant | str:
        scheme, real = self.target.bias, layer.real_bias()
        accumulator = layer.input_scale * layer.weight_scales
        limit = 1 << (scheme.bits - 1)
        unit = accumulator * 2.0 ** self._shift(real / accumulator, limit)
        codes = np.rint(real / unit)
        if scheme.shift is not None:
            codes = np.clip(codes, -limit, limit - 1)
        worst = int(np.argmax(np.abs(codes)))
        if abs(codes[worst]) >= limit and codes[worst] != -limit:
            return (
                f"the bias of channel {worst} is {codes[worst]:.0f} at the accumulator's scale and does not fit "
                f"{scheme.bits} bits (bias.bits)"
            )
        dtype = DType(scheme.dtype)
        return nn.Constant(Data.of(codes.astype(np.int64), dtype), Element(dtype, along_channels(unit)))

    def _shift(self, codes: Real, limit: int) -> int:
        """Return by how much the hardware shifts a bias to the left."""
        interval = self.target.bias.shift
        greatest = float(np.abs(codes).max(initial=0.0))
        if interval is None or greatest < 1.0:
            return 0
        return min(max(math.ceil(math.log2(greatest / (limit - 0.5))), 0), interval[1])
