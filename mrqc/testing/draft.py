"""A module while it is being drawn, and the table of how each op extends it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import strategies as st
from numpy.typing import NDArray

from mrqc.ir import Data, DType, Element, GraphBuilder, Location, Op, RuleTable, TensorType, Value
from mrqc.ops.int.contraction import ACTIVATION_DTYPES
from mrqc.testing.types import single_precision

ACCUMULATOR_BUDGET = 1 << 30
"""Products, and the bias on top of them, are each drawn below this, so that their sum fits 32 bits."""

ROW_LIMIT = 1024
"""Greatest extent of the last axis that fully connected layers and softmax take."""

AWKWARD_NAMES = (
    "a b",
    "x/y:0",
    'quo"te',
    "back\\slash",
    "*/",
    "// %",
    "line\nbreak",
    "Größe",
    "int",
    "a_b",
    "0",
)
"""Names that model files hold and that a text format or a C comment may stumble over."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large the drawn tensors may become.

    Attributes:
        batch: Greatest extent of the leading axis.
        spatial: Greatest height and width of an input.
        channels: Greatest number of channels of an input or of a layer's result.
    """

    batch: int = 2
    spatial: int = 8
    channels: int = 8


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the exporter of an nn module quantizes.

    Attributes:
        activation: Storage of all activations.
        symmetric: Whether the activations' zero points are 0; only for a signed type.
        power_of_two: Whether the activations' scales are powers of two.
        per_axis: Whether weights are symmetric i8 with a scale for each output channel; else they have one
            scale and zero point.
    """

    activation: DType = DType.I8
    symmetric: bool = False
    power_of_two: bool = False
    per_axis: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """Where nearly all real values of a tensor lie; an estimate that later scales are fitted to."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def deviation(self) -> float:
        """Standard deviation, as if the values were uniform."""
        return (self.high - self.low) / math.sqrt(12)

    def clamped(self, clamp: tuple[float, float]) -> Spread:
        """Return what a clamp leaves."""
        low, high = (min(max(bound, clamp[0]), clamp[1]) for bound in (self.low, self.high))
        return Spread(low, high)


@dataclass
class Draft:
    """The module so far: mutable, and never leaves the strategy that draws it."""

    draw: st.DrawFn
    limits: Limits = Limits()
    scheme: Scheme = Scheme()
    awkward: bool = False
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    values: list[Value] = field(default_factory=list[Value])
    spreads: dict[Value, Spread] = field(default_factory=dict[Value, Spread])

    def name(self, plain: str) -> str:
        """Return a user's name for something: ``plain`` or an awkward one."""
        return self.draw(st.sampled_from((plain, *AWKWARD_NAMES))) if self.awkward else plain

    def add_input(self, plain: str, type_: TensorType) -> Value:
        """Declare an input and make it available as an operand."""
        value = self.builder.add_input(self.name(plain), type_)
        self.values.append(value)
        if type_.quantization is not None:
            self.spreads[value] = Spread(*type_.element.real_range)
        return value

    def emit(self, op: Op, spread: Spread | None = None) -> Value:
        """Append a statement and make its result available as an operand."""
        value = self._append(op)
        self.values.append(value)
        if spread is not None:
            self.spreads[value] = spread
        return value

    def constant(self, op: Callable[[Data, Element], Op], codes: NDArray[Any], element: Element) -> Value:
        """Append a constant of either dialect; no layer takes it up by chance."""
        return self._append(op(Data.of(codes, element.dtype), element))

    def alike(self, operand: Value) -> list[Value]:
        """Return the activations of the operand's shape, latest first."""
        return [
            value
            for value in reversed(self.values)
            if value.type.shape == operand.type.shape and is_activation(self.limits, value)
        ]

    def element_for(self, spread: Spread) -> Element:
        """Return an activation element of the module's scheme that covers ``spread``, and zero, fairly well.

        Range and scale follow docs/requantization.md equation 3: min-max, at times halved or doubled.
        """
        stretch = self.draw(st.sampled_from((1.0, 0.75, 2.0)))
        low, high = min(spread.low, 0.0) * stretch, max(spread.high, 0.0) * stretch
        dtype = self.scheme.activation
        if self.scheme.symmetric:
            scale, zero_point = max(-low, high) / dtype.maximum, 0
        else:
            scale, zero_point = (high - low) / (dtype.maximum - dtype.minimum), None
        # A constant zero has no range of its own; any scale does.
        scale = scale or 1.0
        if self.scheme.power_of_two:
            scale = 2.0 ** math.ceil(math.log2(scale))
        scale = single_precision(scale)
        if zero_point is None:
            zero_point = min(max(dtype.minimum - round(low / scale), dtype.minimum), dtype.maximum)
        return Element.per_tensor(dtype, scale, zero_point)

    def clamp_for(self, spread: Spread) -> tuple[float, float]:
        """Return no clamp, a ReLU, a ReLU6, or a clamp that cuts into ``spread``."""
        cutting = sorted((single_precision(spread.low / 2), single_precision(spread.high / 2)))
        none, relu = (-math.inf, math.inf), (0.0, math.inf)
        return self.draw(st.sampled_from((none, relu, (0.0, 6.0), (cutting[0], cutting[1]))))

    def _append(self, op: Op) -> Value:
        mnemonic = op.mnemonic.partition(".")[2]
        location = Location.of(self.name(f"model/{mnemonic}"))
        name = self.name(mnemonic) if self.awkward else None
        return self.builder.emit(op, location, name)


Accepts: TypeAlias = Callable[[Limits, Value], bool]
Extend: TypeAlias = Callable[[Draft, Value], Value]


@dataclass(frozen=True, slots=True)
class OpStrategy:
    """How modules grow by one op.

    Attributes:
        accepts: Whether the op can take a value as its main operand without outgrowing the limits.
        extend: Draw the rest (attributes, weights, second operands), append the op, and return its result.
    """

    accepts: Accepts
    extend: Extend


OP_STRATEGIES: RuleTable[OpStrategy] = RuleTable("testing")
"""How each op is drawn; sealed against every op of both dialects."""


def strategy_for(*ops: type[Op], accepts: Accepts) -> Callable[[Extend], Extend]:
    """Return a decorator that makes its function the strategy of ``ops``."""

    def decorate(extend: Extend) -> Extend:
        OP_STRATEGIES.register(*ops)(OpStrategy(accepts, extend))
        return extend

    return decorate


def is_quantized(_limits: Limits, value: Value) -> bool:
    """Accept any quantized tensor."""
    return value.type.element.is_quantized


def is_activation(_limits: Limits, value: Value) -> bool:
    """Accept a quantized tensor that ops compute with: codes of 8 or 16 bits."""
    return value.type.element.is_quantized and value.type.dtype in ACTIVATION_DTYPES


def is_activation_image(limits: Limits, value: Value) -> bool:
    """Accept an image of such codes."""
    return is_activation(limits, value) and is_image(limits, value)


def is_image(limits: Limits, value: Value) -> bool:
    """Accept a quantized NHWC tensor that padding may have grown, but not much."""
    if not value.type.element.is_quantized or value.type.rank != 4:
        return False
    _, height, width, channels = value.type.shape
    return max(height, width) <= 2 * limits.spatial and channels <= 2 * limits.channels
