"""Constants as C text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrqc.backends.c.calls import Record
from mrqc.ir import Data, DType

C_TYPES = {DType.I8: "int8_t", DType.U8: "uint8_t", DType.I16: "int16_t", DType.I32: "int32_t"}
"""Element types in signatures and tables."""

_COLUMNS = {1: 20, 2: 14, 4: 8}
"""Elements on a line, by their size, so that lines stay near 100 characters."""

_FIELDS_WIDTH = 90

_LEAST_INT32 = str(DType.I32.minimum)


def integer(value: int) -> str:
    """Return an ``int32_t`` constant expression; C has no literal for the least one, only for its negation."""
    return "(-2147483647 - 1)" if value == DType.I32.minimum else str(value)


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
    """Return the elements, some on each line; the printing of whole lists is what keeps millions of weights quick."""
    flat = array.reshape(-1)
    columns = _COLUMNS[array.dtype.itemsize]
    whole = flat.size // columns * columns
    rows: list[list[int]] = flat[:whole].reshape(-1, columns).tolist()
    if whole < flat.size:
        rows.append(flat[whole:].tolist())
    text = "".join([f"    {str(row)[1:-1]},\n" for row in rows])
    return text.replace(_LEAST_INT32, integer(DType.I32.minimum)) if array.dtype.itemsize == 4 else text
