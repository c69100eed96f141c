"""A statement that is being written, and the table of rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mrqc.backends.onnx.writer import Form, Layout, Writer
from mrqc.ir import DType, Element, Op, RuleTable, Statement, Value
from mrqc.ops.nn import UNBOUNDED

Clamp: TypeAlias = tuple[float, float]

BYTES = (DType.I8, DType.U8)
"""Codes that operators over codes take, and beside floats those that merely move or compare elements."""


@dataclass(frozen=True, slots=True)
class Site:
    """A statement that is being written."""

    writer: Writer
    statement: Statement

    @property
    def result(self) -> Value:
        """What the statement defines."""
        return self.statement.result

    @property
    def name(self) -> str:
        """The name of the result."""
        return self.result.name

    def uses_qoperator(self, *activations: Value, weight: Value | None = None) -> bool:
        """Whether the statement may become an operator over codes.

        The form must ask for it, and all be bytes: activations and result of one type, weights of that type or signed.
        """
        if self.writer.form is not Form.QOPERATOR:
            return False
        dtype = self.result.type.dtype
        possible = weight is None or (weight.type.element.is_quantized and weight.type.dtype in (dtype, DType.I8))
        return possible and all(
            value.type.element.is_quantized and value.type.dtype is dtype and dtype in BYTES
            for value in (*activations, self.result)
        )

    def movable(self, value: Value, layout: Layout) -> tuple[str, Callable[[str, Layout], None]]:
        """Return an operand that stays what it is, and what makes the outcome the result.

        Operators that move elements, or compare them, work on what is stored; 16-bit codes, for which most of them
        have no kernel, are dequantized and quantized again, which gives the same codes.
        """
        if value.type.element.is_quantized and value.type.dtype not in BYTES:
            return self.writer.real(value, layout), self.define
        return self.writer.codes(value, layout), self.define_codes

    def quantization_of(self, value: Value) -> tuple[str, str]:
        """Return the names of scale and zero point of a quantized value."""
        quantization = value.type.quantization
        assert quantization is not None
        return self.writer.quantization(value.name, quantization, value.type.dtype)

    def codes_and_quantization(self, value: Value, layout: Layout) -> tuple[str, str, str]:
        """Return what operators over codes take for an operand: codes, scale, zero point."""
        return (self.writer.codes(value, layout), *self.quantization_of(value))

    def node(self, kind: str, inputs: Sequence[str], domain: str = "", **attributes: object) -> str:
        """Append a node on the way to the result."""
        return self.writer.node(kind, inputs, f"{self.name}_{kind.lower()}", domain, **attributes)

    def common_layout(self, *values: Value) -> Layout:
        """Return the order in which an elementwise operator works: that of the first operand that is computed."""
        if all(value.type.rank == 4 for value in values):
            for value in values:
                if not self.writer.is_constant(value):
                    has_logical = self.writer.holds(value, Layout.LOGICAL)
                    return Layout.LOGICAL if has_logical else Layout.CHANNELS_FIRST
        return Layout.LOGICAL

    def define_clipped(self, name: str, layout: Layout, clamp: Clamp) -> None:
        """Make real values the result: clamped before they are quantized, so that the clamp stays between scales."""
        self.define(self._clipped_reals(name, clamp), layout)

    def define(self, name: str, layout: Layout, clamp: Clamp = UNBOUNDED) -> None:
        """Make real values the result: clamped, and quantized where the result is."""
        element = self.result.type.element
        if element.quantization is None:
            self.writer.define_codes(self.result, self._clipped_reals(name, clamp), layout)
            return
        if clamp_codes(clamp, element) != code_range(element.dtype) and element.dtype not in BYTES:
            name, clamp = self._clipped_reals(name, clamp), UNBOUNDED
        scale, zero_point = self.quantization_of(self.result)
        self.define_codes(self.writer.node("QuantizeLinear", (name, scale, zero_point), self.name), layout, clamp)

    def define_codes(self, name: str, layout: Layout, clamp: Clamp = UNBOUNDED) -> None:
        """Make codes the result, clamped.

        Rounding is monotone: to clamp the codes is to clamp the real values, and leaves the operator in front alone,
        so that runtimes recognise it.
        """
        element = self.result.type.element
        codes = None if clamp == UNBOUNDED else clamp_codes(clamp, element)
        if codes is not None and codes != code_range(element.dtype):
            limits = [self.writer.initializer(f"code_{code}", np.array(code, element.dtype.numpy)) for code in codes]
            name = self.writer.node("Clip", (name, *limits), f"{self.name}_clipped")
        self.writer.define_codes(self.result, name, layout)

    def _clipped_reals(self, name: str, clamp: Clamp) -> str:
        if clamp == UNBOUNDED:
            return name
        if clamp == (0.0, math.inf):
            return self.node("Relu", (name,))
        limits = [
            self.writer.initializer(wanted, np.array(limit, np.float32)) if math.isfinite(limit) else ""
            for wanted, limit in (("minimum", clamp[0]), ("maximum", clamp[1]))
        ]
        return self.node("Clip", (name, *limits) if limits[1] else (name, limits[0]))


def code_range(dtype: DType) -> tuple[int, int]:
    """Return the least and greatest code of a storage type."""
    return dtype.minimum, dtype.maximum


def clamp_codes(clamp: Clamp, element: Element) -> tuple[int, int]:
    """Return the codes that a real interval confines a per-tensor quantized result to."""
    assert element.quantization is not None
    if clamp == UNBOUNDED:
        return code_range(element.dtype)
    ends = np.rint(np.asarray(clamp) / element.quantization.scale) + element.quantization.zero_point
    low, high = np.clip(ends, element.dtype.minimum, element.dtype.maximum)
    return int(low), int(high)


Rule: TypeAlias = Callable[[Op, Site], None]

ONNX_EXPORTS: RuleTable[Rule] = RuleTable("onnx export")
"""For each ``nn`` op: write the nodes that compute it. Constants are written where they are used."""
