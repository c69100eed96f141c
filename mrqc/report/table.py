"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, indent: str = "") -> str:
    """Return rows in aligned columns, two blanks between them, a line each.

    Args:
        rows: Cells; every row has the same number.
        header: Names of the columns; a rule is drawn below them.
        indent: What every line starts with.
    """
    lines = [list(row) for row in rows]
    if header is not None:
        lines = [list(header), ["-" * len(name) for name in header], *lines]
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    if header is not None:
        lines[1] = ["-" * width for width in widths]
    texts = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{indent}{text.rstrip()}\n" for text in texts)
