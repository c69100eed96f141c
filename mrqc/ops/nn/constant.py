"""``nn.constant``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.ops.structure import ConstantBase


@dataclass(frozen=True)
class Constant(ConstantBase):
    """Weights, biases and other tensors of the model, at their own scale."""

    mnemonic: ClassVar[str] = "nn.constant"
