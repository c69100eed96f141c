"""Running a module that is being re-quantized beside the original, layer by layer, on the same samples.

All samples advance together, so that a layer can be changed once everything in front of it is final. Only arrays that
something still needs are held, as codes: a few times the greatest activation for each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.reference import ReferenceProgram, kernel_of
from mrqc.backends.reference.grid import Grid, real_values
from mrqc.calibration import Teacher
from mrqc.ir.graph import Module, Statement
from mrqc.ir.op import Value
from mrqc.ir.types import FLOAT, TensorType
from mrqc.ops import nn
from mrqc.passes.requantize.blocks import Block, blocks_of
from mrqc.passes.requantize.form import Edits, Layer, LayerForm, Real, edited, layers_of

Array: TypeAlias = NDArray[Any]

SLICE = 8
"""Samples that run at a time. Fixed, so that nothing depends on how samples are batched elsewhere."""
_TIES = 1e-3
"""Share of results that may differ because of the precision of sums."""


class _Progress:
    """One of the two programs: which values are there, and until when."""

    def __init__(self, module: Module, batches: list[dict[str, Array]]) -> None:
        program = ReferenceProgram(module)
        self.module = module
        self.known: dict[Value, Array] = dict(program.known)
        self.values: dict[str, Array] = {
            value.name: np.concatenate([batch[value.name] for batch in batches]) for value in module.graph.inputs
        }
        self._stackable = program.batches_per_slice > 1
        self._extents = {value.name: max(1, value.type.shape[0]) for value in module.graph.inputs if value.type.shape}
        self._batches = next((len(self.values[name]) // extent for name, extent in self._extents.items()), len(batches))

    def run(self, statement: Statement, dtype: Any = None) -> Array:
        """Return the result of a statement for all samples, in another dtype if one is given."""
        kernel = kernel_of(statement, self.known)
        operands = [(self.known.get(value), value) for value in statement.op.operands]
        size = SLICE if self._stackable else 1
        parts: list[Array] = []
        for first in range(0, self._batches, size):
            count = min(size, self._batches - first)
            arrays = (self._slice(value, first, count) if known is None else known for known, value in operands)
            part = kernel(*arrays)
            parts.append(part if dtype is None else part.astype(dtype))
        return np.concatenate([np.atleast_1d(part) for part in parts]) if len(parts) > 1 else parts[0]

    def _slice(self, value: Value, first: int, count: int) -> Array:
        extent = value.type.shape[0] if value.type.shape else 1
        return self.values[value.name][first * extent : (first + count) * extent]


@dataclass(frozen=True)
class LayerSamples:
    """What reaches one layer, and what should leave it.

    Attributes:
        layer: The layer of the module that is being re-quantized, with the constants that it has so far.
        input: Codes of its input, all samples.
        original: The layer of the original, None where there is none of that name.
        original_input: Codes of the original's input to it.
        original_output: Codes of the original's result.
        scaled: What the channels of activations are multiplied by, other than in the original.
        sums: Real values of the layer's result before clamp and rounding, as it stands.
        codes: Its result in codes, as it stands.
    """

    layer: LayerForm
    input: Array
    original: Statement | None
    original_input: Array | None
    original_output: Array | None
    scaled: Mapping[str, Real]
    sums: Callable[[], Array]
    codes: Callable[[], Array]

    def real_input(self) -> NDArray[np.float32]:
        """Return the real input of the layer, all samples."""
        return _single(self.input, self.layer.op.input.type)

    def real_original_input(self) -> NDArray[np.float32]:
        """Return the original's real input to the layer, all samples, at the scale that it has here."""
        assert self.original is not None
        assert self.original_input is not None
        source = self.original.op.operands[0]
        found = _single(self.original_input, source.type)
        if source.name in self.scaled:
            found *= self.scaled[source.name].astype(np.float32)
        return found

    def is_exact(self) -> bool:
        """Whether the layer's results, rounded, are the original's: then no change of a constant makes them better.

        Sums are in single precision here, so that a few of the results may fall on the other side of a tie.
        """
        assert self.original is not None
        assert self.original_output is not None
        mine, theirs = self.layer.op.element, self.original.result.type
        if mine.quantization is None or theirs.quantization is None or self.layer.name in self.scaled:
            return False
        if mine.quantization.scales != theirs.quantization.scales:
            return False
        shift = np.subtract(mine.quantization.zero_points, theirs.quantization.zero_points)
        codes = self.codes()
        if codes.shape != self.original_output.shape:
            return False
        different = sum(
            np.count_nonzero(codes[first : first + SLICE] != self.original_output[first : first + SLICE] + shift)
            for first in range(0, len(codes), SLICE)
        )
        return int(different) <= _TIES * codes.size

    def target(self, positions: NDArray[np.int64]) -> Real:
        """Return the original's real results at some positions, ``[positions, channels]``, at the scale here."""
        assert self.original is not None
        assert self.original_output is not None
        type_ = self.original.result.type
        rows = self.original_output.reshape(-1, self.original_output.shape[-1])[positions]
        return real_values(rows, type_) * self.scaled.get(self.layer.name, 1.0)


@dataclass(frozen=True)
class BlockLayerState:
    """One layer of a block, all of whose layers have been changed.

    Attributes:
        form: As it was before.
        op: As it is: its weights may have another scale.
        codes: Of its weights.
        bias: Real.
    """

    form: LayerForm
    op: Layer
    codes: Array
    bias: Real


@dataclass(frozen=True)
class BlockSamples:
    """What enters a block whose layers have been changed one by one, and what should leave it.

    Attributes:
        block: Of the module that is being re-quantized.
        layers: As they are now, in order.
        input: Codes of its input, all samples.
        original_output: Codes of the original's result, None where it has none of that name.
        original_type: The type of the latter.
        scaled: What the channels of activations are multiplied by, other than in the original.
    """

    block: Block
    layers: tuple[BlockLayerState, ...]
    input: Array
    original_output: Array | None
    original_type: TensorType | None
    scaled: Mapping[str, Real]

    @property
    def output_factors(self) -> Real | float:
        """What the channels of the block's result are multiplied by, other than in the original."""
        return self.scaled.get(self.block.output.name, 1.0)


def _single(codes: Array, type_: TensorType) -> NDArray[np.float32]:
    """Return real values in single precision, sample by sample: there may be many."""
    found = np.empty(codes.shape, np.float32)
    for first in range(0, len(codes), SLICE):
        found[first : first + SLICE] = real_values(codes[first : first + SLICE], type_)
    return found


LayerChange: TypeAlias = Callable[[LayerSamples], Mapping[str, nn.Constant]]
"""Given a layer, return new constants by name; they are in force from this layer on."""

BlockChange: TypeAlias = Callable[[BlockSamples], Mapping[str, nn.Constant]]
"""Given a block, return new constants of its layers by name; the block runs once more with them."""


def change_layers(
    module: Module,
    teacher: Teacher,
    description: str,
    *changes: LayerChange,
    block_change: BlockChange | None = None,
) -> Module:
    """Return the module after ``changes`` have seen every layer, each behind the layers that are changed already.

    Args:
        module: In the form of re-quantization.
        teacher: The original, with its samples.
        description: What progress is reported as.
        changes: Called, one after the other, for each layer in order.
        block_change: Called for each block of layers, once all its layers are changed.
    """
    blocks = {} if block_change is None else {block.output.name: block for block in blocks_of(module)}
    walk = _Walk(module, teacher, blocks.values())
    layers = {layer.name: layer for layer in layers_of(module)}
    changed: dict[str, nn.Constant] = {}
    total = len(module.graph.statements)
    for index, statement in enumerate(module.graph.statements):
        teacher.progress(description, index, total)
        if statement.result in walk.student.known:
            continue
        name = statement.result.name
        walk.advance_original(name)
        if name in layers:
            for change in changes:
                constants = change(walk.layer_samples(layers[name]))
                changed.update(constants)
                walk.replace_constants(layers[name], constants)
        walk.compute(statement)
        if block_change is not None and name in blocks:
            inside = [layers[layer.result.name] for layer in blocks[name].layers]
            constants = block_change(walk.block_samples(blocks[name], inside))
            changed.update(constants)
            walk.change_block(blocks[name], inside, constants)
        walk.release(index)
    teacher.progress(description, total, total)
    return edited(module, Edits(constants=changed))


class _Walk:
    """The state of both programs between two statements."""

    def __init__(self, module: Module, teacher: Teacher, blocks: Collection[Block] = ()) -> None:
        self._module = module
        self.student = _Progress(module, list(teacher.samples.batches_for(module)))
        self.original = _Progress(teacher.module, list(teacher.samples.batches_for(teacher.module)))
        self._pending = [s for s in teacher.module.graph.statements if s.result not in self.original.known]
        self._definitions = {statement.result.name: statement for statement in teacher.module.graph.statements}
        self._last_use = _last_uses(module)
        # What enters a block is needed until all of it is done.
        ends = {statement.result.name: index for index, statement in enumerate(module.graph.statements)}
        self._last_use.update({block.input.name: ends[block.output.name] for block in blocks})
        self._original_uses = _uses(teacher.module)
        self._done: set[str] = set()
        self._scaled = teacher.scaled
        self._sums: Array | None = None
        self._statements: dict[str, Statement] = {}

    def advance_original(self, name: str) -> None:
        """Run the original up to the value of that name, if it has one."""
        if name not in self._definitions or name in self.original.values:
            return
        while self._pending:
            statement = self._pending.pop(0)
            self.original.values[statement.result.name] = self.original.run(statement)
            self._done.add(statement.result.name)
            if statement.result.name == name:
                return

    def layer_samples(self, layer: LayerForm) -> LayerSamples:
        """Return what reaches a layer."""
        original = self._definitions.get(layer.name)
        original_input = None
        if original is not None and original.op.operands:
            original_input = self.original.values.get(original.op.operands[0].name)
        return LayerSamples(
            layer,
            self.student.values[layer.op.input.name],
            original,
            original_input,
            self.original.values.get(layer.name),
            self._scaled,
            lambda: self._layer_sums(layer.statement),
            lambda: self._encoded(layer.statement, self._layer_sums(layer.statement)),
        )

    def block_samples(self, block: Block, layers: Sequence[LayerForm]) -> BlockSamples:
        """Return what enters a block, with its layers as they are now."""
        original = self._definitions.get(block.output.name)
        return BlockSamples(
            block,
            tuple(map(self._state, layers)),
            self.student.values[block.input.name],
            self.original.values.get(block.output.name),
            None if original is None else original.result.type,
            self._scaled,
        )

    def _state(self, layer: LayerForm) -> BlockLayerState:
        op, known = cast(Layer, self._current(layer.statement).op), self.student.known
        bias = layer.real_bias() if op.bias is None else real_values(known[op.bias], op.bias.type)
        return BlockLayerState(layer, op, known[op.weight], bias)

    def change_block(self, block: Block, layers: Sequence[LayerForm], constants: Mapping[str, nn.Constant]) -> None:
        """Put new constants of a block's layers in force, and run it once more."""
        if not constants:
            return
        for layer in layers:
            self.replace_constants(layer, constants)
        for statement in block.statements:
            self.compute(statement)

    def replace_constants(self, layer: LayerForm, constants: Mapping[str, nn.Constant]) -> None:
        """Put new constants of a layer in force."""
        if not constants:
            # Nothing changes: the exact results are worth computing, sums in single precision are off at ties.
            self._sums = None
        for operand in layer.op.operands[1:]:
            if operand.name not in constants:
                continue
            new = constants[operand.name]
            if self._sums is not None and operand is layer.op.bias:
                # The sums only shift: they need not be computed again.
                change = _real(new) - layer.real_bias()
                self._sums += change.astype(np.float32)
            else:
                self._sums = None
            current = self._current(layer.statement)
            index = layer.op.operands.index(operand)
            replaced = replace(operand, type=operand.type.with_element(new.element))
            # Weights may have got another scale.
            old = current.op.operands[index]
            op = current.op.map_operands(lambda value, old=old, new=replaced: new if value == old else value)
            self._statements[layer.name] = Statement(current.results, op, current.location)
            self.student.known[replaced] = new.value.array

    def _current(self, statement: Statement) -> Statement:
        """Return a statement with the operands that it has now."""
        return self._statements.get(statement.result.name, statement)

    def _layer_sums(self, statement: Statement) -> Array:
        if self._sums is None:
            statement = self._current(statement)
            op = replace(cast(Any, statement.op), element=FLOAT, clamp=nn.UNBOUNDED)
            unrounded = Statement(statement.results, op, statement.location)
            self._sums = self.student.run(unrounded, np.float32)
        return self._sums

    def compute(self, statement: Statement) -> None:
        """Run a statement of the module as it is now."""
        if self._sums is None:
            result = self.student.run(self._current(statement))
        else:
            result = self._encoded(statement, self._sums)
            self._sums = None
        self.student.values[statement.result.name] = result

    @staticmethod
    def _encoded(statement: Statement, sums: Array) -> Array:
        op = cast(Any, statement.op)
        grid = Grid(op.element, sums.ndim, op.clamp)
        slices = (sums[first : first + SLICE] for first in range(0, len(sums), SLICE))
        return np.concatenate([grid.encode(part / grid.unit) for part in slices])

    def release(self, index: int) -> None:
        """Give up what nothing needs after the statement of that index."""
        for name in [name for name in self.student.values if self._last_use.get(name, -1) <= index]:
            del self.student.values[name]
        for name in [name for name in self.original.values if name in self._done or name in self._original_uses]:
            if self._original_uses.get(name, set()) <= self._done and self._is_past(name, index):
                del self.original.values[name]

    def _is_past(self, name: str, index: int) -> bool:
        """Whether no later layer of the module looks at a value of the original."""
        users = self._original_uses.get(name, set())
        later = {statement.result.name for statement in self._module.graph.statements[index + 1 :]}
        return name not in later and users.isdisjoint(later)


def _last_uses(module: Module) -> dict[str, int]:
    found: dict[str, int] = {}
    for index, statement in enumerate(module.graph.statements):
        found.update({operand.name: index for operand in statement.op.operands})
        found.setdefault(statement.result.name, index)
    return found


def _uses(module: Module) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {value.name: set() for value in module.graph.values()}
    for statement in module.graph.statements:
        for operand in statement.op.operands:
            found[operand.name].add(statement.result.name)
    return found


def _real(constant: nn.Constant) -> Real:
    quantization = constant.element.quantization
    array = constant.value.array
    return array.astype(np.float64) if quantization is None else quantization.dequantize(array)


def positions_of(count: int, wanted: int) -> NDArray[np.int64]:
    """Return at most ``wanted`` of ``count`` positions, evenly spread, always the same."""
    return np.linspace(0, count - 1, min(count, wanted)).astype(np.int64)
