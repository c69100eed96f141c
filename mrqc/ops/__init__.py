"""The operations of both dialects."""

from collections.abc import Mapping
from types import MappingProxyType

from mrqc.ir.op import Op
from mrqc.ops.int import INT_OPS
from mrqc.ops.nn import NN_OPS

ALL_OPS: tuple[type[Op], ...] = (*NN_OPS, *INT_OPS)
"""Every op, in the order of the documentation."""

OPS_BY_MNEMONIC: Mapping[str, type[Op]] = MappingProxyType({op.mnemonic: op for op in ALL_OPS})
"""Every op by the name that the text has."""

__all__ = ["ALL_OPS", "INT_OPS", "NN_OPS", "OPS_BY_MNEMONIC"]
