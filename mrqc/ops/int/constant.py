"""``int.constant``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.ops.structure import ConstantBase


@dataclass(frozen=True)
class Constant(ConstantBase):
    """Weights, biases and tables."""

    mnemonic: ClassVar[str] = "int.constant"
