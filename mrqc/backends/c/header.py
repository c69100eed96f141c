"""The header: signature, macros, and everything that a caller must know in one comment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mrqc.backends.c.literals import C_TYPES, integer, scale_literal
from mrqc.backends.c.memory import MemoryReport
from mrqc.backends.c.names import comment_text, unique_identifiers
from mrqc.backends.inputs import initial_states
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


@dataclass(frozen=True, slots=True)
class Member:
    """What the emitted function keeps from one call to the next, as a member of a structure.

    Attributes:
        name: Of the member.
        model_name: What the model calls it.
        type: Of the tensor.
        initial: The code of every element before the first call.
    """

    name: str
    model_name: str
    type: TensorType
    initial: int


@dataclass(frozen=True, slots=True)
class Interface:
    """What a caller hands to the emitted function, beside the arena."""

    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]
    states: tuple[Member, ...] = ()


def state_members(module: Module) -> tuple[Member, ...]:
    """Return the states of a module, in order, as members of the structure that holds them all."""
    values = {value.name: value for value in module.graph.inputs}
    names = unique_identifiers(((state.input, "state") for state in module.states), ())
    first = initial_states(module)
    return tuple(
        Member(name, state.input, values[state.input].type, int(first[state.input].flat[0]))
        for name, state in zip(names, module.states, strict=True)
    )


def provenance(module: Module, file: str) -> str:
    """Return the sentence that says which file this is and where it comes from."""
    version, source, target = module.fact("mrqc"), module.fact("source"), module.fact("target")
    words = [f"{file}: written by mrqc{f' {version}' if version else ''}"]
    words.append(f"from {source or f'module {module.name}'}")
    if target:
        words.append(f"for target {target}")
    return comment_text(" ".join(words)) + "."


def header_text(module: Module, name: str, interface: Interface, memory: MemoryReport) -> str:
    """Return the text of the header of an emitted kernel."""
    prefix = name.upper()
    macros = [f"#define {prefix}_ARENA_BYTES {memory.arena_bytes}"]
    for parameter in (*interface.inputs, *interface.outputs):
        macros += _macros(prefix, parameter)
    return "\n".join(
        [
            f"/* {provenance(module, f'{name}.h')}",
            " *",
            *_comment_lines(name, interface, memory),
            " */",
            f"#ifndef {prefix}_H",
            f"#define {prefix}_H",
            "",
            "#include <stdint.h>",
            "",
            *macros,
            "",
            *_structure(name, interface),
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *((f"{_reset_head(name)};", "") if interface.states else ()),
            f"{signature(name, interface)};",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def signature(name: str, interface: Interface) -> str:
    """Return the head of the function, without semicolon."""
    opening = f"void {name}_run("
    parameters = [f"const {_array(parameter)}" for parameter in interface.inputs]
    parameters += [_array(parameter) for parameter in interface.outputs]
    if interface.states:
        parameters.append(f"{name}_state *state")
    parameters.append(f"uint8_t arena[{name.upper()}_ARENA_BYTES]")
    one_line = f"{opening}{', '.join(parameters)})"
    if len(one_line) <= 110:
        return one_line
    return opening + (",\n" + " " * len(opening)).join(parameters) + ")"


def reset_definition(name: str, interface: Interface) -> str:
    """Return the function that sets all states to what they are before the first call."""
    lines: list[str] = []
    for member in interface.states:
        if member.type.dtype.bytes == 1:
            lines.append(f"    memset(state->{member.name}, {member.initial}, sizeof state->{member.name});")
            continue
        lines.append(f"    for (int32_t i = 0; i < {member.type.size}; i++) {{")
        lines.append(f"        state->{member.name}[i] = {integer(member.initial)};")
        lines.append("    }")
    return "\n".join([_reset_head(name), "{", *lines, "}"])


def _reset_head(name: str) -> str:
    return f"void {name}_reset({name}_state *state)"


def _structure(name: str, interface: Interface) -> Iterator[str]:
    if not interface.states:
        return
    yield "typedef struct {"
    yield from (f"    {_array(member)};" for member in interface.states)
    yield f"}} {name}_state;"
    yield ""


def _array(parameter: Parameter | Member) -> str:
    return f"{C_TYPES[parameter.type.dtype]} {parameter.name}[{parameter.type.size}]"


def _comment_lines(name: str, interface: Interface, memory: MemoryReport) -> Iterator[str]:
    for title, parameters in (("Inputs", interface.inputs), ("Outputs", interface.outputs)):
        yield f" * {title}, elements in C order, images as NHWC; a real value is scale * (code - zero point):"
        yield from (f" *   {comment_text(_description(parameter))}" for parameter in parameters)
    if interface.states:
        yield f" * States, which a call leaves for the next one of the same stream; {name}_reset before the first:"
        yield from (f" *   {comment_text(_description(member))}" for member in interface.states)
    yield " *"
    yield " * The buffers must not overlap. The arena needs no initialization, no alignment, and keeps nothing between"
    if interface.states:
        yield " * calls; several streams may run in several threads, each with its own state and arena."
    else:
        yield " * calls; the function has no state of its own and may run in several threads, each with its own arena."
    yield " *"
    kept = f"{memory.state_bytes} bytes of state, " if interface.states else ""
    stack = f"at most {memory.stack_bytes} bytes of arrays on the stack"
    yield f" * RAM:   {memory.arena_bytes} bytes of arena, {kept}{stack}"
    yield f" * Flash: {memory.constant_bytes} bytes of constants, beside the code"


def _description(parameter: Parameter | Member) -> str:
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
