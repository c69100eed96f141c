"""The kernel sources: real C files, copied into the output with the layer's types and variants in their slots."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from mrqc.backends.c.binding import Binding
from mrqc.ir import DType

_PACKAGE = "mrqc.backends.c"

_INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)
_SYSTEM_INCLUDE = re.compile(r"^#include <[^>]+>\n", re.MULTILINE)
_GUARD = re.compile(r"\A((?:/\*.*?\*/\n)?)#ifndef (MRQC_\w+_H)\n#define \2\n(.*)\n#endif\n\Z", re.DOTALL)
_FUNCTION = re.compile(r"^(?:static inline )?[A-Za-z_][\w ]*[ *](\w+)\(", re.MULTILINE)
_OPENING_COMMENT = re.compile(r"\A(/\*(?:(?!\*/).)*\*/)\n\n(?!/\*)", re.DOTALL)
_DEFINITION = re.compile(r"^static [\w ]*[ *](\w+)\(|^enum { (\w+) = |^struct (\w+) {$|^} (\w+);$", re.MULTILINE)
_STACK = re.compile(r"\s*Stack: (\d+) (bytes|accumulators)\.")
_LIST = re.compile(r"^(static [\w ]*[ *]\w+\(| +\w+\()((?:[^();{}]|\([^();{}]*\))*)(\)\n\{|\);)$", re.MULTILINE)
"""The head of a function, or a statement that calls one."""

LINE_LENGTH = 110

_COMMENT_OR_WORD = re.compile(r"/\*.*?\*/|\b[A-Za-z_]\w*\b", re.DOTALL)

ELEMENT_TYPES = {
    DType.I8: "int8_t",
    DType.U8: "uint8_t",
    DType.I16: "packed_i16",
    DType.I32: "packed_i32",
    DType.I64: "packed_i64",
}
"""What kernels see behind a pointer; wider elements are packed, since the arena is made of bytes."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One kernel file.

    Attributes:
        path: Relative to the folder of kernels.
        includes: Paths of the files that it includes, in order; those under ``slots/`` are its slots.
        functions: Names that it defines.
        text: Without includes and include guard.
        stack_bytes: Size of the arrays that its functions keep on the stack, those of accumulators left out.
        stack_accumulators: How many accumulators they keep there.
    """

    path: str
    includes: tuple[str, ...]
    functions: tuple[str, ...]
    text: str
    stack_bytes: int
    stack_accumulators: int


@dataclass(frozen=True, slots=True)
class Slot:
    """What a slot header stands for under a binding.

    Attributes:
        suffix: The part of function names that tells bindings apart.
        words: What replaces the names that the slot header declares.
        file: The file that defines what the words mean, or None.
        binding: For that file.
        function: The name that the slot gives to that file's function, or None.
    """

    suffix: str
    words: Mapping[str, str]
    file: str | None
    binding: Binding
    function: str | None = None


def kernel_paths() -> list[str]:
    """Return the paths of all kernel files, slots included, sorted."""
    root = resources.files(_PACKAGE).joinpath("kernels")
    folders = [("", root), *((f"{folder.name}/", folder) for folder in root.iterdir() if folder.is_dir())]
    return sorted(prefix + file.name for prefix, folder in folders for file in folder.iterdir() if file.is_file())


@cache
def source_file(path: str) -> SourceFile:
    """Return a kernel file, taken apart."""
    text = resources.files(_PACKAGE).joinpath("kernels", *path.split("/")).read_text(encoding="ascii")
    guard = _GUARD.match(text)
    body = guard[1] + guard[3] + "\n" if guard else text
    folder = posixpath.dirname(path)
    includes = tuple(posixpath.normpath(posixpath.join(folder, name)) for name in _INCLUDE.findall(body))
    body = _SYSTEM_INCLUDE.sub("", _INCLUDE.sub("", body))
    stack = {"bytes": 0, "accumulators": 0}
    for size, unit in _STACK.findall(body):
        stack[unit] += int(size)
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    # The comment that opens a file describes what follows the includes, which are gone.
    body = _OPENING_COMMENT.sub(r"\1\n", body)
    functions = tuple(dict.fromkeys(_FUNCTION.findall(body)))
    return SourceFile(path, includes, functions, body, stack["bytes"], stack["accumulators"])


def slot(path: str, binding: Binding) -> Slot:
    """Return what the slot header at ``path`` stands for."""
    name = posixpath.basename(path).removesuffix(".h")
    match name:
        case "input" | "other":
            return _operand_slot(name, binding)
        case "output":
            dtype = binding.output
            words = {"output_t": ELEMENT_TYPES[dtype], "store_output": f"store_{dtype}"}
            return Slot(f"_{dtype}", words, f"element/store_{dtype}.h", binding)
        case "entry":
            return Slot(
                "",
                {"entry_t": f"{'u' if binding.output is DType.U8 else ''}int{8 * binding.output.bytes}_t"},
                None,
                binding,
            )
        case "width":
            bits = binding.width
            return Slot(f"_{bits}", {"wide_t": f"int{bits}_t", "unsigned_wide_t": f"uint{bits}_t"}, None, binding)
        case "round_32" | "round_64" | "round_operand":
            file = f"rounding/round_{binding.rounding.value.replace('-', '_')}.h"
            narrowed = replace(binding, width=32 if name == "round_32" else 64)
            return Slot(f"_{binding.rounding.value.replace('-', '_')}", {}, file, narrowed, name)
        case "centre_input" | "centre_weight":
            return _centring_slot(name, binding)
        case "accumulator":
            return _sized_slot("accumulator_t", "int", binding.accumulator_bits, binding)
        case "sum":
            return _sized_slot("sum_t", "uint", binding.sum_bits, binding)
        case "requantize":
            file = f"requantize_{binding.scaling}.h"
            words = {"scale_t": binding.scaling.scale_type}
            return Slot(f"_{binding.scaling}", words, file, binding, name)
        case _:
            raise AssertionError(f"there is no slot {path}")


def _operand_slot(name: str, binding: Binding) -> Slot:
    dtype = binding.input if name == "input" else binding.other
    words = {f"{name}_t": ELEMENT_TYPES[dtype], f"load_{name}": f"load_{dtype}"}
    return Slot(f"_{dtype}", words, f"element/load_{dtype}.h", binding)


def _centring_slot(name: str, binding: Binding) -> Slot:
    is_centred = binding.centre_input if name == "centre_input" else binding.centre_weight
    if is_centred:
        return Slot(f"_{name}", {}, "centring/subtract_zero_point.h", binding, name)
    return Slot("", {}, "centring/keep_code.h", binding, name)


def _sized_slot(word: str, kind: str, bits: int, binding: Binding) -> Slot:
    return Slot("" if bits == 32 else "_wide", {word: f"{kind}{bits}_t"}, None, binding)


_SLOT_ORDER = (
    *("input", "other", "centre_input", "centre_weight", "output", "requantize"),
    *("round_32", "round_64", "width", "accumulator", "sum"),
)


@cache
def suffix(path: str, binding: Binding) -> str:
    """Return what the names of a file's functions end with: different wherever their text is."""
    parts = _suffix_parts(path, binding)
    return "".join(parts[name] for name in _SLOT_ORDER if name in parts)


@cache
def _suffix_parts(path: str, binding: Binding) -> Mapping[str, str]:
    parts: dict[str, str] = {}
    for include in source_file(path).includes:
        if include.startswith("slots/"):
            meaning = slot(include, binding)
            parts[posixpath.basename(include).removesuffix(".h")] = meaning.suffix
            if meaning.function == "requantize" and meaning.file is not None:
                parts.update(_suffix_parts(meaning.file, binding))
        else:
            parts.update(_suffix_parts(include, binding))
    return parts


class Selection:
    """The kernel files that one output needs, in an order in which each stands after what it uses."""

    def __init__(self) -> None:
        """Start with none."""
        self._texts: dict[tuple[str, str], str] = {}
        self._stack: dict[tuple[str, str], int] = {}

    def add(self, path: str, binding: Binding) -> str:
        """Take a file and all that it needs, and return the name of the function that the file is named after."""
        key = (path, suffix(path, binding))
        if key not in self._texts:
            file = source_file(path)
            words, stack = self._resolve(file, binding)
            self._stack[key] = file.stack_bytes + file.stack_accumulators * binding.accumulator_bits // 8 + stack
            self._texts[key] = _substitute(file, words)
        return posixpath.basename(path).partition(".")[0] + key[1]

    def _resolve(self, file: SourceFile, binding: Binding) -> tuple[dict[str, str], int]:
        """Add what a file includes; return the words to replace in it, and the stack of what it calls."""
        words = {name: name + suffix(file.path, binding) for name in file.functions}
        stack = 0
        for include in file.includes:
            meaning = slot(include, binding) if include.startswith("slots/") else Slot("", {}, include, binding)
            words.update(meaning.words)
            if meaning.file is None:
                continue
            self.add(meaning.file, meaning.binding)
            ending = suffix(meaning.file, meaning.binding)
            functions = source_file(meaning.file).functions
            words.update({name: name + ending for name in functions})
            if meaning.function is not None:
                words[meaning.function] = posixpath.basename(meaning.file).partition(".")[0] + ending
            stack += self._stack[meaning.file, ending]
        return words, stack

    @property
    def stack_bytes(self) -> int:
        """The most that a kernel and what it calls keep in arrays on the stack."""
        return max(self._stack.values(), default=0)

    @property
    def identifiers(self) -> set[str]:
        """The names that they define at file scope."""
        return {next(filter(None, groups)) for groups in _DEFINITION.findall(self.text)}

    @property
    def text(self) -> str:
        """All of them, one after the other."""
        return "\n\n".join(self._texts.values())


def _substitute(file: SourceFile, words: Mapping[str, str]) -> str:
    """Return the text with ``words`` replaced outside comments, its functions private to the output."""
    text = _COMMENT_OR_WORD.sub(lambda match: words.get(match[0], match[0]), file.text)
    if file.path.endswith(".c"):
        text = re.sub(r"^void ", "static void ", text, flags=re.MULTILINE)
    return wrap_lists(text)


def wrap_lists(text: str) -> str:
    """Return C text with the parameters of functions, and the arguments of calls, laid out within the line."""
    return _LIST.sub(_wrap_list, text)


def _wrap_list(match: re.Match[str]) -> str:
    opening, content, closing = match.groups()
    margin = len(opening)
    lines: list[str] = []
    for item in re.split(r",\s+", content):
        if lines and margin + len(lines[-1]) + len(item) + 3 <= LINE_LENGTH:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return opening + (",\n" + " " * margin).join(lines) + closing
