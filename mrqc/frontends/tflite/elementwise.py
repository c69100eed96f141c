"""ADD."""

from __future__ import annotations

from collections.abc import Mapping

from mrqc.frontends.tflite.site import Site, Support
from mrqc.frontends.tflite.windows import FUSED, fused_clamp
from mrqc.ir.op import Value
from mrqc.ops import nn


def import_add(site: Site) -> Value:
    """Tensors of equal shape, floats or codes; a clamp as fused activation."""
    lhs, rhs = site.real_value(0), site.real_value(1)
    site.real_element(rhs)
    return site.emit(nn.Add(lhs, rhs, fused_clamp(site), site.real_element(lhs)))


ELEMENTWISE_RULES: Mapping[str, Support] = {
    "ADD": Support(import_add, (2, 2), "AddOptions", (FUSED, "pot_scale_int16")),
}
"""Operators that combine two tensors element by element."""
