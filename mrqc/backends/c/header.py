"""The header: signature, macros, and everything that a caller must know in one comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mrqc.backends.c.literals import C_TYPES, scale_literal
from mrqc.backends.c.memory import MemoryReport
from mrqc.backends.c.names import comment_text
from mrqc.ir import Module, TensorType


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input or output of the emitted function.

    Attributes:
        name: Of the parameter.
        macro: What stands for the tensor in the names of macros.
        model_name: What the model calls it.
        type: Of the tensor.
    """

    name: str
    macro: str
    model_name: str
    type: TensorType


def provenance(module: Module, file: str) -> str:
    """Return the sentence that says which file this is and where it comes from."""
    version, source, target = module.fact("mrqc"), module.fact("source"), module.fact("target")
    words = [f"{file}: written by mrqc{f' {version}' if version else ''}"]
    words.append(f"from {source or f'module {module.name}'}")
    if target:
        words.append(f"for target {target}")
    return comment_text(" ".join(words)) + "."


def header_text(
    module: Module, name: str, inputs: Sequence[Parameter], outputs: Sequence[Parameter], memory: MemoryReport
) -> str:
    """Return the text of the header of an emitted kernel."""
    prefix = name.upper()
    macros = [f"#define {prefix}_ARENA_BYTES {memory.arena_bytes}"]
    for parameter in (*inputs, *outputs):
        macros += _macros(prefix, parameter)
    return "\n".join(
        [
            f"/* {provenance(module, f'{name}.h')}",
            " *",
            *_comment_lines(inputs, outputs, memory),
            " */",
            f"#ifndef {prefix}_H",
            f"#define {prefix}_H",
            "",
            "#include <stdint.h>",
            "",
            *macros,
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            f"{signature(name, inputs, outputs)};",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def signature(name: str, inputs: Sequence[Parameter], outputs: Sequence[Parameter]) -> str:
    """Return the head of the function, without semicolon."""
    opening = f"void {name}_run("
    parameters = [f"const {_array(parameter)}" for parameter in inputs]
    parameters += [_array(parameter) for parameter in outputs]
    parameters.append(f"uint8_t arena[{name.upper()}_ARENA_BYTES]")
    one_line = f"{opening}{', '.join(parameters)})"
    if len(one_line) <= 110:
        return one_line
    return opening + (",\n" + " " * len(opening)).join(parameters) + ")"


def _array(parameter: Parameter) -> str:
    return f"{C_TYPES[parameter.type.dtype]} {parameter.name}[{parameter.type.size}]"


def _comment_lines(inputs: Sequence[Parameter], outputs: Sequence[Parameter], memory: MemoryReport) -> Iterator[str]:
    for title, parameters in (("Inputs", inputs), ("Outputs", outputs)):
        yield f" * {title}, elements in C order, images as NHWC; a real value is scale * (code - zero point):"
        yield from (f" *   {comment_text(_description(parameter))}" for parameter in parameters)
    yield " *"
    yield " * The buffers must not overlap. The arena needs no initialization, no alignment, and keeps nothing between"
    yield " * calls; the function has no state of its own and may run in several threads, each with its own arena."
    yield " *"
    yield f" * RAM:   {memory.arena_bytes} bytes of arena, at most {memory.stack_bytes} bytes of arrays on the stack"
    yield f" * Flash: {memory.constant_bytes} bytes of constants, beside the code"


def _description(parameter: Parameter) -> str:
    type_ = parameter.type
    alias = "" if parameter.name == parameter.model_name else f" ({parameter.model_name})"
    return f"{parameter.name}{alias}: {type_.dtype} {list(type_.shape)}, {_meaning(type_)}"


def _meaning(type_: TensorType) -> str:
    quantization = type_.quantization
    if quantization is None:
        return "plain integers"
    if quantization.is_per_tensor:
        return f"scale {quantization.scale!r}, zero point {quantization.zero_point}"
    scales = ", ".join(map(repr, quantization.scales))
    zero_points = ", ".join(map(str, quantization.zero_points))
    return f"along axis {quantization.axis} scales {scales}, zero points {zero_points}"


def _macros(prefix: str, parameter: Parameter) -> Iterator[str]:
    quantization = parameter.type.quantization
    if quantization is None or not quantization.is_per_tensor:
        return
    yield f"#define {prefix}_{parameter.macro}_SCALE {scale_literal(quantization.scale)}"
    yield f"#define {prefix}_{parameter.macro}_ZERO_POINT {quantization.zero_point}"
