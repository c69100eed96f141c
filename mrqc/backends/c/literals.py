"""Constants as C text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c.calls import Record
from mrqc.ir import Data, DType

C_TYPES = {DType.I8: "int8_t", DType.U8: "uint8_t", DType.I16: "int16_t", DType.I32: "int32_t", DType.I64: "int64_t"}
"""Element types in signatures and tables."""

_COLUMNS = {1: 20, 2: 14, 4: 8, 8: 4}
"""Elements on a line, by their size, so that lines stay near 100 characters."""

_FIELDS_WIDTH = 90


def integer(value: int) -> str:
    """Return an integer constant expression; C has no literal for the least ones, only for their negation."""
    if value == DType.I32.minimum:
        return "(-2147483647 - 1)"
    if value == DType.I64.minimum:
        return "(-INT64_C(9223372036854775807) - 1)"
    return str(value) if abs(value) <= DType.I32.maximum else f"INT64_C({value})"


def table_definition(name: str, data: Data, record: str | None) -> str:
    """Return the definition of an array in flash; with a record, of structs that hold the rows of ``data``."""
    array = data.array
    if record is not None:
        rows = ",\n".join("    {" + ", ".join(map(integer, row)) + "}" for row in array.tolist())
        return f"static const struct {record} {name}[{len(array)}] = {{\n{rows},\n}};"
    return f"static const {C_TYPES[data.dtype]} {name}[{array.size}] = {{\n{_lines(array)}}};"


def record_definition(record: Record) -> str:
    """Return the definition of a call's own constant."""
    if record.fields[0][0] == "":
        return f"static const {record.type} {record.name} = {_content(record.fields[0][1])};"
    fields = [f"/* {name} */ {_content(content)}," for name, content in record.fields]
    one_line = " ".join(fields)
    if len(one_line) <= _FIELDS_WIDTH:
        return f"static const {record.type} {record.name} = {{{one_line[:-1]}}};"
    lines = [""]
    for text in fields:
        if len(lines[-1]) + len(text) > _FIELDS_WIDTH:
            lines.append("")
        lines[-1] += f" {text}" if lines[-1] else text
    return f"static const {record.type} {record.name} = {{\n    " + "\n    ".join(lines) + "\n};"


def scale_literal(scale: float) -> str:
    """Return a C constant for a scale: the nearest ``float``, or a ``double`` where that would be 0 or infinite."""
    with np.errstate(over="ignore", under="ignore"):
        nearest = np.float32(scale)
    if 0 < nearest < np.inf:
        return f"{nearest!s}f"
    return repr(scale)


def _content(content: int | tuple[int, ...]) -> str:
    if isinstance(content, tuple):
        return "{" + ", ".join(map(integer, content)) + "}"
    return integer(content)


def _lines(array: NDArray[Any]) -> str:
    """Return the elements, some on each line."""
    flat = array.reshape(-1)
    if array.dtype.itemsize == 1:
        return _byte_lines(flat)
    columns = _COLUMNS[array.dtype.itemsize]
    # Tables of 65536 codes are frequent, and no code of 16 bits needs more than its digits.
    texts = list(map(str if array.dtype.itemsize == 2 else integer, flat.tolist()))
    return "".join(f"    {', '.join(texts[start : start + columns])},\n" for start in range(0, len(texts), columns))


def _byte_lines(flat: NDArray[Any]) -> str:
    """Return 8-bit elements in columns of one width: looked up, not printed, since there are millions of weights."""
    names = np.array([f"{value:4d}," for value in range(-128, 256)], "S5")
    cells = names[flat.astype(np.int16) + 128].view(np.uint8).reshape(-1, 5)
    columns = _COLUMNS[1]
    whole = len(cells) // columns * columns
    lines = np.full((whole // columns, columns * 5 + 1), ord("\n"), np.uint8)
    lines[:, :-1] = cells[:whole].reshape(-1, columns * 5)
    rest = cells[whole:].tobytes() + b"\n" if whole < len(cells) else b""
    return (lines.tobytes() + rest).decode("ascii")
