"""Ops that this arithmetic does not have."""

from __future__ import annotations

from mrqc.ir.op import Op, Value
from mrqc.ops import nn
from mrqc.passes.lower_to_int.multipliers import RefusalError
from mrqc.passes.lower_to_int.rules import Site
from mrqc.passes.lower_to_int.tflite.rules import TFLITE_LOWERINGS


@TFLITE_LOWERINGS.register(
    nn.Conv2D,
    nn.FullyConnected,
)
def refuse(op: Op, site: Site) -> Value:
    """Refuse, naming the op and the target."""
    raise RefusalError(f"{op.mnemonic} cannot be run with the arithmetic of {site.target.name}")
