"""``export_tflite``: walks the statements and reports everything that TFLite cannot express at once."""

from __future__ import annotations

from mrqc.backends.tflite import (
    activation,
    contraction,
    elementwise,
    layout,
    moves,
    normalization,
    pooling,
    reduction,
    relabel,
)
from mrqc.backends.tflite.biases import with_sums_as_biases
from mrqc.backends.tflite.file import FileRecord
from mrqc.backends.tflite.hybrid import has_asymmetric_inputs, with_codes_as_weights
from mrqc.backends.tflite.signed import needs_signed_codes, with_signed_codes
from mrqc.backends.tflite.variables import read_states, write_state
from mrqc.backends.tflite.writer import TFLITE_EXPORTS, Site, Writer
from mrqc.errors import Diagnostic, RefusalError, TargetError
from mrqc.ir import DType, Module, Output, Statement, TensorType
from mrqc.ops import NN_OPS, nn

_RULE_MODULES = (activation, contraction, elementwise, layout, moves, normalization, pooling, reduction, relabel)
TFLITE_EXPORTS.seal(NN_OPS)


def export_tflite(module: Module, description: str = "") -> bytes:
    """Return an ``nn`` module as a TFLite file with one subgraph, and one that sets up variables where it has states.

    Scales, zero points and codes are those of the module; constants that are equal share one buffer. Inputs and
    outputs keep their names.

    Args:
        module: In whichever quantization scheme, or in floats.
        description: What the file says about itself.

    Raises:
        TargetError: Statements that no operator of TFLite computes, all of them.
    """
    module = with_sums_as_biases(with_codes_as_weights(module))
    module = with_signed_codes(module) if needs_signed_codes(module) else module
    graph = module.graph
    constants = {s.result: s.op.value for s in graph.statements if isinstance(s.op, nn.Constant)}
    writer = Writer(FileRecord(module.name, description), constants, has_asymmetric_inputs(module))
    inputs = [writer.declare(value.name, value.type) for value in graph.inputs]
    writer.index_of.update(zip(graph.inputs, inputs, strict=True))
    handles = read_states(module, writer)
    outputs = [_output(output, writer) for output in graph.outputs]
    findings = [
        Diagnostic(reason, f"input {value.name!r}") for value in graph.inputs if (reason := _wrong_codes(value.type))
    ]
    for statement in graph.statements:
        finding = _write(statement, writer)
        if finding is not None:
            findings.append(finding)
    if findings:
        raise TargetError.collect("this model cannot be written as TFLite", findings)
    for output, index in zip(graph.outputs, outputs, strict=True):
        if index != writer.index_of[output.value]:
            writer.copy(writer.index_of[output.value], index)
        if output.name in handles:
            write_state(handles[output.name], index, writer)
    data = {value.name for value in module.data_inputs}
    writer.file.inputs = tuple(i for value, i in zip(graph.inputs, inputs, strict=True) if value.name in data)
    writer.file.outputs = tuple(
        index for output, index in zip(graph.outputs, outputs, strict=True) if output.name not in handles
    )
    return writer.file.to_bytes()


def _output(output: Output, writer: Writer) -> int:
    """Return the tensor of an output, which the file knows by the name of that.

    A value that has a tensor already, as an input or as another output, gets a second one.
    """
    value = output.value
    if value not in writer.index_of:
        writer.index_of[value] = writer.declare(output.name, value.type, writer.constants.get(value))
        return writer.index_of[value]
    if writer.file.tensors[writer.index_of[value]].name == output.name:
        return writer.index_of[value]
    return writer.declare(output.name, value.type)


def _wrong_codes(type_: TensorType) -> str:
    """Return what is wrong with 16-bit codes, or an empty string: the kernels demand zero point 0.

    All but that of SOFTMAX, whose 16-bit probabilities begin at the least code.
    """
    quantization = type_.quantization
    if type_.dtype is not DType.I16 or quantization is None or quantization.is_symmetric:
        return ""
    return f"i16 codes with zero point {next(filter(None, quantization.zero_points))}: TFLite has symmetric ones only"


def _write(statement: Statement, writer: Writer) -> Diagnostic | None:
    where = str(statement.location) or statement.op.mnemonic
    if type(statement.op) not in TFLITE_EXPORTS:
        return Diagnostic(
            f"{statement.op.mnemonic} is not an op over real numbers", where, "export before lower-to-int"
        )
    reason = "" if isinstance(statement.op, nn.Softmax) else _wrong_codes(statement.result.type)
    if reason:
        return Diagnostic(reason, where, "requantize the model with symmetric activations")
    try:
        TFLITE_EXPORTS[type(statement.op)](statement.op, Site(writer, statement))
    except RefusalError as refusal:
        return Diagnostic(refusal.reason, where, refusal.hint)
    return None
