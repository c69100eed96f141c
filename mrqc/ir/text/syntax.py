"""What stands in the text, before anything is looked up: the parts of a module with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lark import Transformer


class Token:
    """A token and where it stands.

    Attributes:
        type: Name of the terminal.
        text: The characters.
        start: Offset of the first one.
        parts: The tokens that matter inside a piece (results, op and operands of a head, entries of a
            record, sources of a location), without brackets and commas.
    """

    __slots__ = ("parts", "start", "text", "type")

    # lark copies these from the last token to its own end-of-text token; places are worked out from offsets.
    start_pos = line = column = end_line = end_column = end_pos = None

    def __init__(self, type_: str, text: str, start: int) -> None:
        """Make a token without parts."""
        self.type = type_
        self.text = text
        self.start = start
        self.parts: Sequence[Token] = ()

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.start + len(self.text)


def numbers_of(piece: Token) -> list[Token]:
    """Return the tokens inside a NUMBERS piece."""
    found: list[Token] = []
    start = piece.start + 1
    for text in piece.text[1:-1].split(", "):
        found.append(Token("NUMBER", text, start))
        start += len(text) + 2
    return found


@dataclass(slots=True)
class ListSyntax:
    """``[a, b, …]``."""

    start: int
    end: int
    items: list[ValueSyntax]


@dataclass(slots=True)
class RecordSyntax:
    """``{name = value, …}``."""

    start: int
    end: int
    entries: list[tuple[Token, ValueSyntax]]


@dataclass(slots=True)
class TypeSyntax:
    """``tensor<…>``, token by token.

    Attributes:
        start: Offset of the first character.
        end: Offset after the last one.
        shape: All extents, or None for a scalar.
        storage: The element's storage type.
        expressed: The type that a quantized element stands for, or None for a plain element.
        axis: The quantization axis, or None.
        scales: Pairs of scale and zero point (None where omitted); or one SCALES token with all of them.
    """

    start: int
    end: int
    shape: Token | None
    storage: Token
    expressed: Token | None
    axis: Token | None
    scales: list[tuple[Token, Token | None]] | Token


@dataclass(slots=True)
class ConstantSyntax:
    """``dense<[…]>`` or ``blob<"…">``, with a type where it is not that of the result.

    Attributes:
        start: Offset of the first character.
        end: Offset after the last one.
        content: The elements, or the hash (STRING), or ``elided``.
        type: The written type.
    """

    start: int
    end: int
    content: Token | ListSyntax
    type: Token | TypeSyntax | None


ValueSyntax: TypeAlias = Token | ListSyntax | RecordSyntax | ConstantSyntax


@dataclass(slots=True)
class StatementSyntax:
    """One statement; ``location`` is None where none is written."""

    results: list[Token]
    mnemonic: Token
    operands: list[Token]
    attributes: RecordSyntax | None
    types: list[Token | TypeSyntax]
    location: list[Token] | None


@dataclass(slots=True)
class ModuleSyntax:
    """A whole text."""

    name: Token
    metadata: RecordSyntax | None
    inputs: list[tuple[Token, Token | TypeSyntax]]
    states: list[tuple[Token, Token, Token]]
    statements: list[StatementSyntax]
    outputs: list[tuple[Token, Token]]
    blobs: list[tuple[Token, Token]]


def _record(piece: Token) -> RecordSyntax:
    names, values = piece.parts[0::2], piece.parts[1::2]
    contents = [_record(value) if value.type == "RECORD" else value for value in values]
    return RecordSyntax(piece.start, piece.end, list(zip(names, contents, strict=True)))


class SyntaxBuilder(Transformer[Any, ModuleSyntax]):
    """Builds the parts as the parser recognises them: one method for each rule of the grammar."""

    def start(self, parts: list[Any]) -> ModuleSyntax:
        """Return the module with its blobs."""
        module, blobs = parts
        module.blobs = blobs or []
        return module

    def module(self, parts: list[Any]) -> ModuleSyntax:
        """Return the module without its blobs."""
        name, metadata, inputs, states, *statements, outputs = parts
        return ModuleSyntax(name, metadata, inputs, states or [], statements, outputs, [])

    def statement(self, parts: list[Any]) -> StatementSyntax:
        """Return one statement."""
        (results, mnemonic, operands), attributes, types, location = parts
        return StatementSyntax(results, mnemonic, operands, attributes, types, location)

    def head(self, parts: list[Any]) -> tuple[Any, ...]:
        """Return results, mnemonic and operands of a statement."""
        if len(parts) > 1:
            return tuple(parts)
        tokens = parts[0].parts
        middle = next(index for index, token in enumerate(tokens) if token.type == "OP")
        return (tokens[:middle], tokens[middle], tokens[middle + 1 :])

    def location(self, parts: list[Any]) -> list[Token]:
        """Return the sources."""
        return parts[0].parts if parts and parts[0].type == "LOCATION" else parts

    def tensor(self, parts: list[Any]) -> Token | TypeSyntax:
        """Return a type: the token that it is, or its parts."""
        if parts[0].type == "TYPE":
            return parts[0]
        shape = parts[1] if len(parts) == 4 else None
        storage, expressed, axis, scales = parts[-2]
        return TypeSyntax(parts[0].start, parts[-1].end, shape, storage, expressed, axis, scales)

    def element(self, parts: list[Any]) -> tuple[Any, ...]:
        """Return storage, expressed type, axis and scales."""
        if len(parts) == 1:
            return (parts[0], None, None, [])
        axis = parts[5] if len(parts) == 9 else None
        scales = parts[-2] if axis else [parts[-2]]
        return (parts[1], parts[3], axis, scales)

    def scales(self, parts: list[Any]) -> list[Any] | Token:
        """Return all scales of a per-axis type."""
        return parts[0] if parts[0].type == "SCALES" else parts[1:-1:2]

    def scale(self, parts: list[Any]) -> tuple[Any, ...]:
        """Return scale and zero point."""
        return (parts[0], parts[1] if len(parts) > 1 else None)

    def record(self, parts: list[Any]) -> RecordSyntax:
        """Return the entries of a record."""
        if parts[0].type == "RECORD":
            return _record(parts[0])
        return RecordSyntax(parts[0].start, parts[-1].end, parts[1:-1:2])

    def sequence(self, parts: list[Any]) -> ListSyntax:
        """Return the items of a list."""
        return ListSyntax(parts[0].start, parts[-1].end, parts[1:-1:2])

    def dense(self, parts: list[Any]) -> ConstantSyntax:
        """Return a constant written out."""
        type_ = parts[4] if len(parts) > 3 else None
        return ConstantSyntax(parts[0].start, (type_ or parts[2]).end, parts[1], type_)

    def blob(self, parts: list[Any]) -> ConstantSyntax:
        """Return a constant whose content stands at the end of the text."""
        return self.dense(parts)

    def _pair(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)

    input = state = output = entry = content = _pair

    def _all(self, parts: list[Any]) -> list[Any]:
        return parts

    inputs = states = outputs = results = operands = types = blobs = _all
