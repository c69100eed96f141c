"""``export_onnx``: walks the statements and reports everything that ONNX cannot express at once."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import helper

from mrqc.backends.onnx import activation, contraction, elementwise, layout, moves, pooling, reduction, resize
from mrqc.backends.onnx.site import ONNX_EXPORTS, Site
from mrqc.backends.onnx.writer import MICROSOFT, Form, Layout, Writer, value_info
from mrqc.errors import Diagnostic, RefusalError, TargetError
from mrqc.ir import DType, Module, Output, Statement, Value
from mrqc.ops import NN_OPS, nn

_RULE_MODULES = (activation, contraction, elementwise, layout, moves, pooling, reduction, resize)
ONNX_EXPORTS.seal(NN_OPS)

_OPSET = 13
"""The first with a scale for each channel."""
_SIXTEEN_BIT_OPSET = 21
"""The first with 16-bit codes."""
_IR_VERSIONS = {_OPSET: 8, _SIXTEEN_BIT_OPSET: 10}


def export_onnx(module: Module, form: Form = Form.QDQ) -> bytes:
    """Return an ``nn`` module as an ONNX file.

    Scales, zero points and codes are those of the module. Inputs and outputs keep their names and shapes.

    Args:
        module: In whichever quantization scheme, or in floats.
        form: How quantized operators are written.

    Raises:
        TargetError: Statements that no operator of ONNX computes, all of them.
    """
    graph = module.graph
    constants = {s.result: s.op.value for s in graph.statements if isinstance(s.op, nn.Constant)}
    writer = Writer(form, _opset(graph.values()), constants)
    for output in graph.outputs:
        writer.fresh(output.name)
    for value in graph.inputs:
        writer.define_codes(value, writer.fresh(value.name), Layout.LOGICAL)
    findings = [finding for statement in graph.statements if (finding := _write(statement, writer))]
    if findings:
        raise TargetError.collect("this model cannot be written as ONNX", findings)
    _name_outputs(graph.outputs, graph.inputs, writer)
    onnx_graph = helper.make_graph(
        writer.nodes,
        module.name,
        [value_info(writer.codes(value, Layout.LOGICAL), value.type) for value in graph.inputs],
        [value_info(output.name, output.value.type) for output in graph.outputs],
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
        return Diagnostic(refusal.reason, where, refusal.hint)
    return None


def _name_outputs(outputs: Iterable[Output], inputs: Iterable[Value], writer: Writer) -> None:
    """Give the results that leave the graph their names; an ``Identity`` where one has another name already."""
    taken = {writer.codes(value, Layout.LOGICAL) for value in inputs}
    taken |= {initializer.name for initializer in writer.initializers}
    renamed: dict[str, str] = {}
    for output in outputs:
        name = writer.codes(output.value, Layout.LOGICAL)
        name = renamed.get(name, name)
        if name in taken:
            writer.nodes.append(helper.make_node("Identity", [name], [output.name]))
            continue
        renamed[name] = output.name
        taken.add(output.name)
    for node in writer.nodes:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]


def _opset(values: Iterable[Value]) -> int:
    wide = any(value.type.dtype is DType.I16 and value.type.element.is_quantized for value in values)
    return _SIXTEEN_BIT_OPSET if wide else _OPSET


def _model(graph: onnx.GraphProto, writer: Writer) -> onnx.ModelProto:
    imports = [helper.make_opsetid("", writer.opset)]
    imports += [helper.make_opsetid(domain, 1) for domain in sorted(writer.domains) if domain == MICROSOFT]
    return helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSIONS[writer.opset], producer_name="mrqc")
