"""Tensor types in the text, in both directions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mrqc.ir.dtype import DType
from mrqc.ir.quantization import Quantization
from mrqc.ir.text.literals import float_text, read_float
from mrqc.ir.text.source import TextError
from mrqc.ir.text.syntax import Token, TypeSyntax
from mrqc.ir.types import Element, TensorType

LONGEST_SHOWN = 8
"""Longer lists are shortened where constants are elided."""
ELIDED = "this was elided when the text was printed"
ELIDED_HINT = "print the module in full to read it back"

_PIECE = re.compile(
    r"tensor<(?P<shape>[0-9x]*x)?"
    r"(?:(?P<plain>[iuf][0-9]+)|!quant\.uniform<(?P<storage>\w+):(?P<expressed>f32), "
    r"(?P<scale>[^:>]+)(?::(?P<zero_point>[^>]+))?>)>"
)


def type_text(type_: TensorType, shorten: bool = False) -> str:
    """Return ``tensor<…>``; with ``shorten``, long lists of scales are cut."""
    return f"tensor<{''.join(f'{extent}x' for extent in type_.shape)}{_element_text(type_.element, shorten)}>"


def _element_text(element: Element, shorten: bool) -> str:
    quantization = element.quantization
    if quantization is None:
        return str(element.dtype)
    scales = [
        float_text(scale) + (f":{zero_point}" if zero_point else "")
        for scale, zero_point in zip(quantization.scales, quantization.zero_points, strict=False)
    ]
    if quantization.axis is None:
        return f"!quant.uniform<{element.dtype}:f32, {', '.join(scales)}>"
    return f"!quant.uniform<{element.dtype}:f32:{quantization.axis}, {{{join(scales, shorten)}}}>"


def join(items: Sequence[str], shorten: bool) -> str:
    """Return the items with commas between; with ``shorten``, the first two of more than eight."""
    if shorten and len(items) > LONGEST_SHOWN:
        return ", ".join([*items[:2], "..."])
    return ", ".join(items)


class TypeReader:
    """Reads the types of one text; equal texts give the same object."""

    def __init__(self) -> None:
        """Start without any type."""
        self._known: dict[str, TensorType] = {}

    def read(self, syntax: Token | TypeSyntax) -> TensorType:
        """Return the type.

        Raises:
            TextError: It is none.
        """
        if isinstance(syntax, TypeSyntax):
            return _checked(syntax)
        known = self._known.get(syntax.text)
        if known is None:
            known = self._known[syntax.text] = _checked(_split(syntax))
        return known

    def read_of_constant(self, syntax: Token | TypeSyntax) -> TensorType:
        """Return the type that is written behind a constant, which unlike a value may be empty.

        Raises:
            TextError: It is none.
        """
        return _read(syntax if isinstance(syntax, TypeSyntax) else _split(syntax))


def _split(piece: Token) -> TypeSyntax:
    match = _PIECE.fullmatch(piece.text)
    assert match, f"the grammar's TYPE lets {piece.text} through"

    def part(name: str) -> Token | None:
        return None if match[name] is None else Token(name, match[name], piece.start + match.start(name))

    storage, scale = part("plain") or part("storage"), part("scale")
    assert storage
    scales = [] if scale is None else [(scale, part("zero_point"))]
    return TypeSyntax(piece.start, piece.end, part("shape"), storage, part("expressed"), None, scales)


def _read(syntax: TypeSyntax) -> TensorType:
    extents = syntax.shape.text.split("x")[:-1] if syntax.shape else []
    shape = tuple(read_integer(extent, syntax) for extent in extents)
    return TensorType(shape, Element(_dtype(syntax.storage), _quantization(syntax)))


def _checked(syntax: TypeSyntax) -> TensorType:
    type_ = _read(syntax)
    for problem in type_.problems():
        raise TextError(problem, syntax)
    return type_


def _dtype(token: Token) -> DType:
    try:
        return DType(token.text)
    except ValueError:
        hint = f"there are {', '.join(DType)}"
        raise TextError(f"there is no element type {token.text}", token, hint) from None


def _quantization(syntax: TypeSyntax) -> Quantization | None:
    if syntax.expressed is None:
        return None
    if syntax.expressed.text != "f32":
        raise TextError(f"a quantized element stands for f32, found {syntax.expressed.text}", syntax.expressed)
    axis = None if syntax.axis is None else read_integer(syntax.axis.text, syntax.axis)
    if isinstance(syntax.scales, Token):
        pairs = [pair.split(":") for pair in syntax.scales.text[1:-1].split(", ")]
        scales = tuple(_scale(pair[0], syntax.scales) for pair in pairs)
        zero_points = tuple(read_integer(pair[1], syntax.scales) if len(pair) > 1 else 0 for pair in pairs)
        return Quantization(scales, zero_points, axis)
    for scale, _ in syntax.scales:
        if scale.type == "ELLIPSIS":
            raise TextError(ELIDED, scale, ELIDED_HINT)
    return Quantization(
        tuple(_scale(scale.text, scale) for scale, _ in syntax.scales),
        tuple(0 if zero is None else read_integer(zero.text, zero) for _, zero in syntax.scales),
        axis,
    )


def _scale(text: str, place: Token) -> float:
    try:
        return read_float(text)
    except ValueError as error:
        raise TextError(str(error), place) from None


def read_integer(text: str, place: Token | TypeSyntax) -> int:
    """Return an integer.

    Raises:
        TextError: ``text`` is another kind of number, or longer than Python converts.
    """
    try:
        return int(text)
    except ValueError:
        raise TextError(f"expected an integer, found {text[:20]}", place) from None
