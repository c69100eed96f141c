"""``fold-qdq``: from float operations between dequantize and quantize to operations on quantized tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, TypeAlias

from mrqc.ir.graph import Module, Statement
from mrqc.ir.location import Location
from mrqc.ir.op import Op, Value
from mrqc.ir.rewrite import GraphBuilder, rewrite, without_dead_statements
from mrqc.ir.types import FLOAT, Element
from mrqc.ops import nn
from mrqc.ops.nn.clamp import UNBOUNDED, intersect_clamps
from mrqc.passes.definition import Exactness, Pass

_Move: TypeAlias = nn.Reshape | nn.Transpose | nn.Slice | nn.Take | nn.Pad | nn.MirrorPad
"""What puts elements in other places, each on its own: it changes places with a dequantize or a quantize."""

_Clampable: TypeAlias = (
    nn.Conv2D
    | nn.TransposeConv2D
    | nn.FullyConnected
    | nn.BatchMatMul
    | nn.Add
    | nn.Sub
    | nn.Mul
    | nn.AveragePool2D
    | nn.MaxPool2D
)
_NOT_FOLDED = (nn.Constant, nn.Quantize, nn.Dequantize, nn.Clip)


@dataclass(frozen=True)
class FoldQdq(Pass):
    """Make one quantized op of each dequantize, float op, clips, quantize.

    An op is folded where its operands are dequantized codes and each float value up to the quantize has no
    other use; a bias may also be a float constant, and may be added behind a fully connected layer. Moves (reshape,
    transpose, slice and so on) and, where that is exact, maximum pools, pads and clips, are done on codes. What does
    not fit stays as it is. The result is the same over the reals: every rounding is one that was there before, and
    none is left out.
    """

    name: ClassVar[str] = "fold-qdq"
    summary: ClassVar[str] = "fold dequantize, float op, clip, quantize into quantized ops"
    exactness: ClassVar[Exactness] = "exact"

    def __call__(self, module: Module) -> Module:
        """Return the module with quantized ops wherever the pattern fits."""
        module = _merge_equal_quantizes(module)
        module = _Rewriting(module).apply(_move_on_codes)
        module = _Rewriting(module).apply(_with_bias)
        module = _Rewriting(module).apply(_fold)
        return without_dead_statements(module)


_Rule: TypeAlias = "Callable[[_Rewriting, Statement, GraphBuilder], Value | None]"


class _Rewriting:
    """One walk over a module, with the definitions of the new values at hand.

    No rule here changes a result's type, so a kept statement's result is the same value as before.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.definitions: dict[Value, Statement] = {}

    def apply(self, rule: _Rule) -> Module:
        """Return the module with each statement replaced by what ``rule`` emits for it, if anything."""

        def replacement(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
            value = rule(self, statement, builder)
            if value is None:
                self.definitions.update((result, statement) for result in statement.results)
                return None
            return (value,)

        return rewrite(self.module, replacement)

    def emit(self, builder: GraphBuilder, op: Op, location: Location) -> Value:
        """Append a statement and remember it."""
        value = builder.emit(op, location)
        self.definitions[value] = Statement((value,), op, location)
        return value

    def codes(self, value: Value) -> Value | None:
        """Return the quantized value that ``value`` is the dequantization of."""
        definition = self.definitions.get(value)
        return definition.op.input if definition is not None and isinstance(definition.op, nn.Dequantize) else None

    def is_constant(self, value: Value) -> bool:
        """Return whether a value is a constant, dequantized or as it is."""
        definition = self.definitions.get(self.codes(value) or value)
        return definition is not None and isinstance(definition.op, nn.Constant)

    def only_user(self, value: Value) -> Statement | None:
        """Return the one statement that uses a value of the old graph, if nothing else does."""
        users = self.module.graph.uses.get(value, ())
        if len(users) != 1 or value in self.module.graph.output_values:
            return None
        return users[0]

    def leads_to_quantize(self, value: Value) -> bool:
        """Return whether a value is used only by a quantize, maybe behind clips and moves."""
        user = self.only_user(value)
        while user is not None and isinstance(user.op, nn.Clip | _Move):
            user = self.only_user(user.result)
        return user is not None and isinstance(user.op, nn.Quantize)


def _merge_equal_quantizes(module: Module) -> Module:
    """Exporters may quantize one float value once for each user; a value with one user can be folded."""
    seen: dict[Op, Value] = {}

    def rule(statement: Statement, builder: GraphBuilder) -> Sequence[Value] | None:
        del builder
        if not isinstance(statement.op, nn.Quantize):
            return None
        first = seen.setdefault(statement.op, statement.result)
        return None if first is statement.result else (first,)

    return rewrite(module, rule)


def _move_on_codes(rewriting: _Rewriting, statement: Statement, builder: GraphBuilder) -> Value | None:
    """Turn ``move(dequantize(x))`` into ``dequantize(move(x))``, and search for extremes among codes."""
    op = statement.op
    if not isinstance(op, _Move | nn.Clip | nn.MaxPool2D | nn.ResizeNearest | nn.ArgMax):
        return None
    codes = rewriting.codes(op.input)
    if codes is None:
        return None
    location = statement.location
    if isinstance(op, nn.ArgMax):
        is_per_tensor = codes.type.quantization is not None and codes.type.quantization.is_per_tensor
        return rewriting.emit(builder, replace(op, input=codes), location) if is_per_tensor else None
    moved = _on_codes(op, codes, rewriting.leads_to_quantize(statement.result))
    if moved is None:
        return None
    dequantize = rewriting.definitions[op.input]
    value = rewriting.emit(builder, moved, location)
    return rewriting.emit(builder, nn.Dequantize(value), dequantize.location)


def _on_codes(op: _Move | nn.Clip | nn.MaxPool2D | nn.ResizeNearest, codes: Value, quantized_next: bool) -> Op | None:
    """Return ``op`` on the codes of its input with the same element, where that is exact and pays."""
    quantization = codes.type.quantization
    assert quantization is not None
    if isinstance(op, nn.Transpose):
        return replace(op, input=codes)
    if not quantization.is_per_tensor:
        return None
    if isinstance(op, nn.ResizeNearest):
        return replace(op, input=codes, element=codes.type.element) if op.element == FLOAT else None
    if isinstance(op, nn.Pad):
        return replace(op, input=codes) if _is_on_grid((op.value, op.value), codes.type.element) else None
    if isinstance(op, _Move):
        return replace(op, input=codes)
    # A quantize that follows takes the op in, together with its own change of scale.
    if not quantized_next and op.element == FLOAT and _is_on_grid(op.clamp, codes.type.element):
        return replace(op, input=codes, element=codes.type.element)
    return None


def _with_bias(rewriting: _Rewriting, statement: Statement, builder: GraphBuilder) -> Value | None:
    """Turn a constant that is added to a fully connected layer of codes into its bias, where a quantize follows."""
    op = statement.op
    if not isinstance(op, nn.Add) or op.element != FLOAT or not rewriting.leads_to_quantize(statement.result):
        return None
    source = rewriting.definitions.get(op.lhs)
    if source is None or not isinstance(source.op, nn.FullyConnected) or source.op.bias is not None:
        return None
    layer = source.op
    if layer.clamp != UNBOUNDED or rewriting.only_user(op.lhs) is None or not rewriting.is_constant(op.rhs):
        return None
    if op.rhs.type.shape != layer.output_shape[1:] or _operand_codes(rewriting, layer) is None:
        return None
    return rewriting.emit(
        builder, replace(layer, bias=op.rhs, clamp=op.clamp), source.location.merge(statement.location)
    )


def _is_on_grid(clamp: tuple[float, float], element: Element) -> bool:
    """Whether clamping the element's real values yields nothing but real values of codes."""
    assert element.quantization is not None
    scale, zero_point = element.quantization.scale, element.quantization.zero_point
    low, high = element.real_range
    for bound in clamp:
        if low < bound < high and scale * (round(bound / scale + zero_point) - zero_point) != bound:
            return False
    # An interval beside the range confines everything to a bound that may be no code.
    return clamp[0] <= high and clamp[1] >= low


@dataclass(frozen=True)
class _Chain:
    """What stands between a float value and the quantize of it.

    Attributes:
        source: The float value.
        clips: The clamps, in order of execution.
        layouts: The moves, in order of execution.
        location: Where all of it came from.
    """

    source: Value
    clips: tuple[tuple[float, float], ...]
    layouts: tuple[_Move, ...]
    location: Location

    @property
    def clamp(self) -> tuple[float, float]:
        """All clips as one."""
        return reduce(intersect_clamps, self.clips, UNBOUNDED)


def _chain_before(rewriting: _Rewriting, quantize: Statement) -> _Chain:
    """Walk back from a quantize over clips and moves whose results have no other use."""
    assert isinstance(quantize.op, nn.Quantize)
    clips: list[tuple[float, float]] = []
    layouts: list[_Move] = []
    locations = [quantize.location]
    value = quantize.op.input
    while (definition := rewriting.definitions.get(value)) is not None and rewriting.only_user(value):
        op = definition.op
        if isinstance(op, nn.Clip) and op.input.type.element == op.element == FLOAT:
            clips.append(op.clamp)
        elif isinstance(op, _Move) and not _is_cut(op, clips):
            layouts.append(op)
        else:
            break
        locations.append(definition.location)
        value = op.input
    location = Location().merge(*reversed(locations))
    return _Chain(value, tuple(reversed(clips)), tuple(reversed(layouts)), location)


def _is_cut(move: _Move, clips: list[tuple[float, float]]) -> bool:
    """Whether clips that follow a move change what it pads with, so that they cannot be done before it."""
    return isinstance(move, nn.Pad) and any(not low <= move.value <= high for low, high in clips)


def _fold(rewriting: _Rewriting, statement: Statement, builder: GraphBuilder) -> Value | None:
    """Turn a quantize and what leads to it into one op on codes, and moves of its result."""
    if not isinstance(statement.op, nn.Quantize) or statement.op.input.type.element != FLOAT:
        return None
    element = statement.op.element
    chain = _chain_before(rewriting, statement)
    assert element.quantization is not None
    if chain.layouts and not element.quantization.is_per_tensor:
        return None
    folded = _folded_source(rewriting, chain, element)
    if folded is None:
        return None
    op, clamp, location = folded
    value = op if isinstance(op, Value) else rewriting.emit(builder, op, location)
    low, high = _reach(op, element)
    if clamp[0] > low or clamp[1] < high:
        # Rounding is monotone: codes can be clipped in place of the real values.
        value = rewriting.emit(builder, nn.Clip(value, clamp, element), location)
    for layout in chain.layouts:
        value = rewriting.emit(builder, replace(layout, input=value), location)
    return value


def _reach(op: Op | Value, element: Element) -> tuple[float, float]:
    """Return an interval that holds the real values of a result before they are rounded, as far as it matters."""
    assert element.quantization is not None
    if isinstance(op, nn.Softmax | nn.Sigmoid | nn.HardSigmoid):
        return (0.0, 1.0)
    return element.real_range if element.quantization.is_per_tensor else UNBOUNDED


_Source: TypeAlias = tuple[Op | Value, tuple[float, float], Location]


def _folded_source(rewriting: _Rewriting, chain: _Chain, element: Element) -> _Source | None:
    """Return what computes the codes of the chain's source, what still clips them, and where that came from."""
    codes = rewriting.codes(chain.source)
    if codes is not None:
        return _requantized(codes, chain.clamp, element), UNBOUNDED, chain.location
    definition = rewriting.definitions.get(chain.source)
    if definition is None:
        # A float input: only the moves behind it can change places with the quantize.
        moves_only = chain.layouts and not chain.clips
        return (nn.Quantize(chain.source, element), UNBOUNDED, chain.location) if moves_only else None
    if rewriting.only_user(chain.source) is None:
        return None
    op = _quantized(rewriting, definition.op, element)
    if op is None:
        return None
    location = definition.location.merge(chain.location)
    if isinstance(op, _Clampable):
        return replace(op, clamp=intersect_clamps(op.clamp, chain.clamp)), UNBOUNDED, location
    return op, chain.clamp, location


def _requantized(codes: Value, clamp: tuple[float, float], element: Element) -> Op | Value:
    if clamp != UNBOUNDED:
        return nn.Clip(codes, clamp, element)
    return codes if codes.type.element == element else nn.Quantize(codes, element)


def _quantized(rewriting: _Rewriting, op: Op, element: Element) -> Op | None:
    """Return a float op as one on codes with a quantized result, or None where an operand is no code."""
    if isinstance(op, _NOT_FOLDED) or getattr(op, "element", None) != FLOAT:
        return None
    operands = _operand_codes(rewriting, op)
    if operands is None:
        return None
    moved: Any = op.map_operands(lambda operand: operands[operand])
    return replace(moved, element=element)


def _operand_codes(rewriting: _Rewriting, op: Op) -> dict[Value, Value] | None:
    """Return the codes behind each operand; a bias may also be a float constant."""
    found: dict[Value, Value] = {}
    for operand in op.operands:
        codes = rewriting.codes(operand)
        if codes is None:
            definition = rewriting.definitions.get(operand)
            is_bias = operand == getattr(op, "bias", None)
            if not (is_bias and definition is not None and isinstance(definition.op, nn.Constant)):
                return None
            codes = operand
        found[operand] = codes
    return found
