"""Functions of one tensor: RELU and its kin, LOGISTIC, TANH, SOFTMAX."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mrqc.frontends.tflite.site import Handler, Site, Support
from mrqc.ir.dtype import DType
from mrqc.ir.op import Value
from mrqc.ops import nn
from mrqc.ops.nn.activation import FunctionBase


def import_softmax(site: Site) -> Value:
    """Along the last axis, floats or codes; codes of 8 bits may become codes of 16."""
    value = site.real_value(0)
    beta = site.number("beta")
    element = site.element()
    widens = element.dtype is DType.I16 and value.type.dtype in (DType.I8, DType.U8)
    return site.emit(nn.Softmax(value, beta, element if widens else site.real_element(value)))


def _clip(low: float, high: float) -> Handler:
    def import_clip(site: Site) -> Value:
        """Floats or codes."""
        value = site.real_value(0)
        return site.emit(nn.Clip(value, (low, high), site.real_element(value)))

    return import_clip


def import_leaky_relu(site: Site) -> Value:
    """Floats or codes."""
    value = site.real_value(0)
    return site.emit(nn.LeakyRelu(value, site.number("alpha"), site.real_element(value)))


def import_elu(site: Site) -> Value:
    """Floats or codes."""
    value = site.real_value(0)
    return site.emit(nn.Elu(value, element=site.real_element(value)))


def _function(function: type[FunctionBase]) -> Handler:
    def import_function(site: Site) -> Value:
        """Floats or codes."""
        value = site.real_value(0)
        return site.emit(function(value, site.real_element(value)))

    return import_function


def import_gelu(site: Site) -> Value:
    """Floats or codes, by the error function or its approximation."""
    value = site.real_value(0)
    return site.emit(nn.Gelu(value, site.flag("approximate"), site.real_element(value)))


def import_log_softmax(site: Site) -> Value:
    """Along the last axis, floats or codes."""
    value = site.real_value(0)
    return site.emit(nn.LogSoftmax(value, site.real_element(value)))


ACTIVATION_RULES: Mapping[str, Support] = {
    "RELU": Support(_clip(0.0, math.inf), (1, 1)),
    "RELU6": Support(_clip(0.0, 6.0), (1, 1)),
    "RELU_N1_TO_1": Support(_clip(-1.0, 1.0), (1, 1)),
    "RELU_0_TO_1": Support(_clip(0.0, 1.0), (1, 1)),
    "SOFTMAX": Support(import_softmax, (1, 1), "SoftmaxOptions", ("beta",)),
    "LOG_SOFTMAX": Support(import_log_softmax, (1, 1), "LogSoftmaxOptions"),
    "LEAKY_RELU": Support(import_leaky_relu, (1, 1), "LeakyReluOptions", ("alpha",)),
    "ELU": Support(import_elu, (1, 1)),
    "LOGISTIC": Support(_function(nn.Sigmoid), (1, 1)),
    "TANH": Support(_function(nn.Tanh), (1, 1)),
    "GELU": Support(import_gelu, (1, 1), "GeluOptions", ("approximate",)),
    "ABS": Support(_function(nn.Abs), (1, 1), "AbsOptions"),
    "EXP": Support(_function(nn.Exp), (1, 1), "ExpOptions"),
    "LOG": Support(_function(nn.Log), (1, 1)),
    "SQRT": Support(_function(nn.Sqrt), (1, 1)),
    "RSQRT": Support(_function(nn.Rsqrt), (1, 1)),
    "HARD_SWISH": Support(_function(nn.HardSwish), (1, 1), "HardSwishOptions"),
}
"""Operators that apply a function to one tensor."""
