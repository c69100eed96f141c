"""An ablation as a picture: SVG without a plotting library, alone or in a page with its table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from mrqc.report.ablation import Ablation, AblationRow
from mrqc.report.ablation_table import format_ablation

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 760, 230, 30, 92, 30
_FLOOR = 1e-7
"""What is drawn for no distance at all, which a logarithmic axis has no place for."""
# Of the Okabe-Ito palette, which people see apart whatever colours they can tell; shapes differ as well.
_COLOURS = {"alone": "#0072B2", "cumulative": "#D55E00", "other": "#444444"}


@dataclass(frozen=True, slots=True)
class _Mark:
    """One measured rung."""

    shape: str
    value: float
    description: str


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis over whole decades."""

    low: int
    high: int

    @classmethod
    def over(cls, values: Sequence[float]) -> _Axis:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1))

    def position(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def plot_svg(ablation: Ablation) -> str:
    """Return a self-contained SVG: the distance of each rung to the original on a logarithmic axis.

    The distance is KL, or noise power over signal power for a model without class scores. Each mark has a text of its
    own, and the picture has a title and a description for screen readers.
    """
    rows = _rows(ablation)
    quantity = "KL divergence to the original, nats" if _has_kl(ablation) else "noise power over signal power"
    values = [mark.value for _, marks in rows for mark in marks]
    height = _TOP + _ROW * len(rows) + 56
    title = f"{ablation.model} on {ablation.target}: what each technique contributes"
    if not values:
        values = [1.0]
    axis = _Axis.over(values)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title description" font-family="sans-serif" font-size="13">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(_description(quantity, rows))}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        *_legend(),
        *_grid(axis, height, quantity),
    ]
    for index, (label, marks) in enumerate(rows):
        lines += _row(axis, _TOP + _ROW * index + _ROW / 2, label, marks)
    return "\n".join([*lines, "</svg>", ""])


def plot_html(ablation: Ablation) -> str:
    """Return a self-contained page: the picture, and the table in text."""
    title = escape(f"{ablation.model} on {ablation.target}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n</head>\n<body>\n'
        f"{plot_svg(ablation)}<pre>{escape(format_ablation(ablation))}</pre>\n</body>\n</html>\n"
    )


def _has_kl(ablation: Ablation) -> bool:
    return any(row.fidelity.kl is not None for row in ablation.rows)


def _rows(ablation: Ablation) -> list[tuple[str, list[_Mark]]]:
    """Return what is drawn: controls and naive, then a line for each technique, then the recipes."""
    has_kl = _has_kl(ablation)

    def mark(row: AblationRow, shape: str) -> list[_Mark]:
        found = row.fidelity
        distance = found.kl if has_kl else _noise(found.logits_sqnr_db)
        value = max(_FLOOR if distance is None else distance, _FLOOR)
        where = "integers" if row.engine == "simulator" else "over the reals"
        return [_Mark(shape, value, f"{row.rung.name}: {value:.3g}, {where}")]

    alone, cumulative = ablation.of_kind("alone"), ablation.of_kind("cumulative")
    start = {**ablation.of_kind("control"), **ablation.of_kind("naive")}
    return [
        *((name, mark(row, "other")) for name, row in start.items()),
        *((name, mark(alone[name], "alone") + mark(row, "cumulative")) for name, row in cumulative.items()),
        *((name, mark(row, "other")) for name, row in ablation.of_kind("recipe").items()),
    ]


def _noise(sqnr_db: float | None) -> float | None:
    return None if sqnr_db is None else 10.0 ** (-sqnr_db / 10.0)


def _description(quantity: str, rows: Sequence[tuple[str, list[_Mark]]]) -> str:
    return f"Logarithmic axis: {quantity}. " + "; ".join(mark.description for _, marks in rows for mark in marks) + "."


def _legend() -> Iterator[str]:
    texts = (("alone", "naive and this technique alone"), ("cumulative", "all up to this one"), ("other", "other"))
    for (shape, text), x in zip(texts, (_LEFT, _LEFT + 230, _LEFT + 400), strict=True):
        yield _symbol(shape, x, 52)
        yield f'<text x="{x + 12}" y="56">{text}</text>'


def _grid(axis: _Axis, height: int, quantity: str) -> Iterator[str]:
    bottom = height - 48
    for exponent in range(axis.low, axis.high + 1):
        x = axis.position(10.0**exponent)
        yield f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10.0**exponent:g}</text>'
    yield f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{bottom + 36}" text-anchor="middle">{quantity}</text>'


def _row(axis: _Axis, y: float, label: str, marks: Sequence[_Mark]) -> Iterator[str]:
    yield f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>'
    if len(marks) > 1:
        first, last = (axis.position(mark.value) for mark in (marks[0], marks[-1]))
        yield f'<line x1="{first:.1f}" y1="{y:.1f}" x2="{last:.1f}" y2="{y:.1f}" stroke="#bbbbbb"/>'
    for mark in marks:
        yield _symbol(mark.shape, axis.position(mark.value), y, mark.description)


def _symbol(shape: str, x: float, y: float, description: str = "") -> str:
    colour = _COLOURS[shape]
    inside = f"<title>{escape(description)}</title>" if description else ""
    if shape != "other":
        paint = f'fill="#ffffff" stroke="{colour}" stroke-width="2"' if shape == "alone" else f'fill="{colour}"'
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {paint}>{inside}</circle>'
    return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{colour}">{inside}</rect>'
