"""``nn.reshape`` and ``nn.transpose``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mrqc.ops.structure import ReshapeBase, TransposeBase


@dataclass(frozen=True)
class Reshape(ReshapeBase):
    """The same elements under another shape."""

    mnemonic: ClassVar[str] = "nn.reshape"


@dataclass(frozen=True)
class Transpose(TransposeBase):
    """The axes in another order."""

    mnemonic: ClassVar[str] = "nn.transpose"
