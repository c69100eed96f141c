"""RELU and its kin, SOFTMAX."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrqc.frontends.tflite.site import Handler, Site, Support
from mrqc.frontends.tflite.tensors import UnsupportedOperatorError
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ops import nn


def import_softmax(site: Site) -> Value:
    """Along the last axis, floats or codes, with beta 1; codes of 8 bits may become codes of 16."""
    value = site.real_value(0)
    beta = site.number("beta")
    if beta != 1.0:
        raise UnsupportedOperatorError(f"beta = {beta} is not supported", "possible: 1")
    element = site.element()
    widens = element.dtype is DType.I16 and value.type.dtype in (DType.I8, DType.U8)
    return site.emit(nn.Softmax(value, element if widens else site.real_element(value)))


def _clip(low: float, high: float) -> Handler:
    def import_clip(site: Site) -> Value:
        """Floats or codes."""
        value = site.real_value(0)
        return site.emit(nn.Clip(value, (low, high), site.real_element(value)))

    return import_clip


ACTIVATION_RULES: Mapping[str, Support] = {
    "RELU": Support(_clip(0.0, math.inf), (1, 1)),
    "RELU6": Support(_clip(0.0, 6.0), (1, 1)),
    "RELU_N1_TO_1": Support(_clip(-1.0, 1.0), (1, 1)),
    "RELU_0_TO_1": Support(_clip(0.0, 1.0), (1, 1)),
    "SOFTMAX": Support(import_softmax, (1, 1), "SoftmaxOptions", ("beta",)),
}
"""Operators that apply a function to one tensor."""
