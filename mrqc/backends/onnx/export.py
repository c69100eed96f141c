"""``export_onnx``: walks the statements and reports everything that ONNX cannot express at once."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import helper

from mrqc.backends.onnx import (
    activation,
    contraction,
    elementwise,
    layout,
    moves,
    normalization,
    pooling,
    reduction,
    resize,
)
from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Form, Layout, Writer, value_info
from mrqc.errors import Diagnostic, RefusalError, TargetError
from mrqc.ir import DType, Module, Output, Statement, Value
from mrqc.ops import NN_OPS, nn

_RULE_MODULES = (activation, contraction, elementwise, layout, moves, normalization, pooling, reduction, resize)
ONNX_EXPORTS.seal(NN_OPS)

_OPSET = 13
"""The first with a scale for each channel."""
_SIXTEEN_BIT_OPSET = 21
"""The first with 16-bit codes."""
_IR_VERSIONS = {_OPSET: 8, _SIXTEEN_BIT_OPSET: 10}


def export_onnx(module: Module, form: Form = Form.QDQ) -> bytes:
    """Return an ``nn`` module as an ONNX file.

    Scales, zero points and codes are those of the module. Inputs and outputs keep their names and shapes; an output
    that is named like an input gets a number.

    Args:
        module: In whichever quantization scheme, or in floats.
        form: How quantized operators are written.

    Raises:
        TargetError: Statements that no operator of ONNX computes, all of them.
    """
    graph = module.graph
    constants = {s.result: s.op.value for s in graph.statements if isinstance(s.op, nn.Constant)}
    writer = Writer(form, _opset(graph.values()), constants)
    for name in dict.fromkeys((*(value.name for value in graph.inputs), *(output.name for output in graph.outputs))):
        writer.fresh(name)
    for value in graph.inputs:
        writer.define_codes(value, value.name, Layout.LOGICAL)
    findings = [finding for statement in graph.statements if (finding := _write(statement, writer))]
    if findings:
        raise TargetError.collect("this model cannot be written as ONNX", findings)
    names = _name_outputs(graph.outputs, graph.inputs, writer)
    onnx_graph = helper.make_graph(
        writer.nodes,
        module.name,
        [value_info(writer.codes(value, Layout.LOGICAL), value.type) for value in graph.inputs],
        [value_info(name, output.value.type) for name, output in zip(names, graph.outputs, strict=True)],
        writer.initializers,
    )
    return _model(onnx_graph, writer).SerializeToString()


def _write(statement: Statement, writer: Writer) -> Diagnostic | None:
    where = str(statement.location) or statement.op.mnemonic
    if type(statement.op) not in ONNX_EXPORTS:
        message = f"{statement.op.mnemonic} is not an op over real numbers"
        return Diagnostic(message, where, "write the module as it is before lower-to-int")
    try:
        ONNX_EXPORTS[type(statement.op)](statement.op, Site(writer, statement))
    except RefusalError as refusal:
        # A stand-in, so that what uses the result is looked at too.
        writer.define_codes(statement.result, statement.result.name, Layout.LOGICAL)
        return Diagnostic(refusal.reason, where, refusal.hint)
    return None


def _name_outputs(outputs: Iterable[Output], inputs: Iterable[Value], writer: Writer) -> list[str]:
    """Give the results that leave the graph their names, and return these.

    An ``Identity`` is written where a value has another name already. A name that an input has, too, gets a number,
    unless it is the input that leaves.
    """
    entries = {value.name for value in inputs}
    sources = [writer.codes(output.value, Layout.LOGICAL) for output in outputs]
    taken = entries | {initializer.name for initializer in writer.initializers}
    renamed: dict[str, str] = {}
    names: list[str] = []
    for output, source in zip(outputs, sources, strict=True):
        present = renamed.get(source, source)
        name = writer.fresh(output.name) if output.name in entries and output.name != present else output.name
        names.append(name)
        if name == present:
            continue
        if present in taken:
            writer.nodes.append(helper.make_node("Identity", [present], [name]))
            continue
        renamed[source] = name
        taken.add(name)
    for node in writer.nodes:
        for places in (node.input, node.output):
            places[:] = [renamed.get(name, name) for name in places]
    return names


def _opset(values: Iterable[Value]) -> int:
    wide = any(value.type.dtype is DType.I16 and value.type.element.is_quantized for value in values)
    return _SIXTEEN_BIT_OPSET if wide else _OPSET


def _model(graph: onnx.GraphProto, writer: Writer) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", writer.opset)]
    imports += [helper.make_opsetid(domain, 1) for domain in sorted(writer.domains) if domain == MICROSOFT]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSIONS[writer.opset], producer_name="mrqc")
