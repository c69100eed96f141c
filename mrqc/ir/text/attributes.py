"""From the syntax of an attribute to a value of exactly the type that the op's annotation asks for."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any, TypeAlias

from mrqc.ir.data import Data
from mrqc.ir.op import resolved_fields
from mrqc.ir.text.constants import ConstantReader
from mrqc.ir.text.literals import enum_text, read_float, unquote
from mrqc.ir.text.source import SourceText, TextError
from mrqc.ir.text.syntax import ConstantSyntax, ListSyntax, RecordSyntax, Token, ValueSyntax, numbers_of
from mrqc.ir.text.types import ELIDED, ELIDED_HINT
from mrqc.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Context:
    """What the meaning of an attribute depends on besides its own text."""

    source: SourceText
    constants: ConstantReader
    result_type: TensorType


class _MismatchError(Exception):
    """A value of another kind than the annotation asks for; the nearest named field makes a sentence of it."""

    def __init__(self, syntax: ValueSyntax, expected: str) -> None:
        super().__init__(expected)
        self.syntax = syntax
        self.expected = expected


_Reader: TypeAlias = Callable[[ValueSyntax, Context], Any]


def read_attribute(name: str, annotation: Any, syntax: ValueSyntax, context: Context) -> Any:
    """Return the value of the attribute ``name``.

    Raises:
        TextError: It is not of the annotated type.
    """
    try:
        return _reader(annotation)(syntax, context)
    except _MismatchError as mismatch:
        if isinstance(mismatch.syntax, Token) and mismatch.syntax.type == "ELLIPSIS":
            raise TextError(ELIDED, mismatch.syntax, ELIDED_HINT) from None
        found = context.source.found(mismatch.syntax)
        message = f"attribute {name!r} must be {mismatch.expected}, found {found}"
        if mismatch.syntax is not syntax:
            message = f"in attribute {name!r}, expected {mismatch.expected}, found {found}"
        raise TextError(message, mismatch.syntax) from None


def close_match_hint(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` for the nearest known names, or an empty text."""
    near = get_close_matches(name, list(known), n=3)
    return f"did you mean {' or '.join(near)}?" if near else ""


def read_string(token: Token) -> str:
    """Return the content of a quoted string.

    Raises:
        TextError: It has an unknown escape.
    """
    try:
        return unquote(token.text)
    except ValueError as error:
        raise TextError(str(error), token) from None


@cache
def describe(annotation: Any) -> str:
    """Return in words what an attribute of this annotation is."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments)
    if origin is tuple:
        many = len(arguments) == 2 and arguments[1] is Ellipsis
        kinds = [describe(argument) for argument in (arguments[:1] if many else arguments)]
        amount = "" if many else f"{len(kinds)} "
        if len(set(kinds)) == 1:
            return f"a list of {amount}{_PLURALS.get(kinds[0], f'values, each {kinds[0]}')}"
        return f"a list of {amount}values: {', '.join(kinds)}"
    if _is_enum(annotation):
        return f"one of {', '.join(map(enum_text, annotation))}"
    if dataclasses.is_dataclass(annotation):
        return f"a record {{{', '.join(field.name for field, _ in resolved_fields(annotation))}}}"
    return _SCALAR_WORDS[annotation]


@cache
def _reader(annotation: Any) -> _Reader:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(annotation, arguments)
    if origin is tuple:
        return _tuple_reader(annotation, arguments)
    if _is_enum(annotation):
        return _enum_reader(annotation)
    if dataclasses.is_dataclass(annotation):
        return _record_reader(annotation)
    return _SCALAR_READERS[annotation]


def _is_token(syntax: ValueSyntax, *kinds: str) -> typing.TypeGuard[Token]:
    return isinstance(syntax, Token) and syntax.type in kinds


def _read_bool(syntax: ValueSyntax, _: Context) -> bool:
    if _is_token(syntax, "WORD") and syntax.text in ("true", "false"):
        return syntax.text == "true"
    raise _MismatchError(syntax, describe(bool))


def _read_integer(syntax: ValueSyntax, _: Context) -> int:
    if _is_token(syntax, "NUMBER"):
        try:
            return int(syntax.text)
        except ValueError:
            pass
    raise _MismatchError(syntax, describe(int))


def _read_float(syntax: ValueSyntax, _: Context) -> float:
    if _is_token(syntax, "NUMBER"):
        try:
            return read_float(syntax.text)
        except ValueError:
            pass
    raise _MismatchError(syntax, describe(float))


def _read_string(syntax: ValueSyntax, _: Context) -> str:
    if _is_token(syntax, "STRING"):
        return read_string(syntax)
    raise _MismatchError(syntax, describe(str))


def _read_none(syntax: ValueSyntax, _: Context) -> None:
    # Inside a whole record, none comes as a word like any other.
    if not (_is_token(syntax, "NONE", "WORD") and syntax.text == "none"):
        raise _MismatchError(syntax, describe(type(None)))


def _read_data(syntax: ValueSyntax, context: Context) -> Data:
    if isinstance(syntax, ConstantSyntax):
        return context.constants.read(syntax, context.result_type)
    raise _MismatchError(syntax, describe(Data))


_SCALAR_READERS: dict[Any, _Reader] = {
    bool: _read_bool,
    int: _read_integer,
    float: _read_float,
    str: _read_string,
    type(None): _read_none,
    Data: _read_data,
}
_SCALAR_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a quoted string",
    type(None): "none",
    Data: "dense<…> or blob<…>",
}


_PLURALS = {"an integer": "integers", "a number": "numbers", "a quoted string": "quoted strings"}


def _enum_reader(annotation: type[Enum]) -> _Reader:
    members = {enum_text(member): member for member in annotation}

    def read(syntax: ValueSyntax, _: Context) -> Enum:
        if isinstance(syntax, Token) and syntax.text in members:
            return members[syntax.text]
        raise _MismatchError(syntax, describe(annotation))

    return read


def _union_reader(annotation: Any, alternatives: tuple[Any, ...]) -> _Reader:
    # An integer is also a number, and a quoted enumeration value also a string: the narrower reading comes first.
    readers = [_reader(each) for each in sorted(alternatives, key=lambda each: each is float or _is_enum(each))]

    def read(syntax: ValueSyntax, context: Context) -> Any:
        for reader in readers:
            try:
                return reader(syntax, context)
            except _MismatchError:
                continue
        raise _MismatchError(syntax, describe(annotation))

    return read


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _tuple_reader(annotation: Any, arguments: tuple[Any, ...]) -> _Reader:
    many = len(arguments) == 2 and arguments[1] is Ellipsis
    readers = [_reader(argument) for argument in arguments if argument is not Ellipsis]
    uniform = readers[0] if len(set(readers)) == 1 else None
    from_text = _NUMBER_FROM_TEXT.get(uniform) if uniform else None

    def read(syntax: ValueSyntax, context: Context) -> tuple[Any, ...]:
        if isinstance(syntax, Token) and syntax.type == "NUMBERS":
            texts = syntax.text[1:-1].split(", ")
            if from_text and (many or len(texts) == len(readers)):
                with suppress(ValueError):
                    return tuple(map(from_text, texts))
            items: Sequence[ValueSyntax] = numbers_of(syntax)
        elif isinstance(syntax, ListSyntax):
            items = syntax.items
        else:
            raise _MismatchError(syntax, describe(annotation))
        if many:
            return tuple(readers[0](item, context) for item in items)
        if len(items) != len(readers) and not any(_is_token(item, "ELLIPSIS") for item in items):
            raise _MismatchError(syntax, describe(annotation))
        return tuple(reader(item, context) for reader, item in zip(readers, items, strict=False))

    return read


_NUMBER_FROM_TEXT: dict[_Reader, Callable[[str], Any]] = {_read_integer: int, _read_float: read_float}


def _record_reader(annotation: Any) -> _Reader:
    fields = {field.name: (field, hint) for field, hint in resolved_fields(annotation)}
    required = [name for name, (field, _) in fields.items() if _has_no_default(field)]

    def read(syntax: ValueSyntax, context: Context) -> Any:
        if not isinstance(syntax, RecordSyntax):
            raise _MismatchError(syntax, describe(annotation))
        contents: dict[str, Any] = {}
        for key, value in syntax.entries:
            if key.text not in fields:
                hint = close_match_hint(key.text, fields) or f"there are {', '.join(fields)}"
                raise TextError(f"the record has no field {key.text!r}", key, hint)
            if key.text in contents:
                raise TextError(f"field {key.text!r} is given twice", key)
            contents[key.text] = read_attribute(key.text, fields[key.text][1], value, context)
        missing = [name for name in required if name not in contents]
        if missing:
            raise TextError(f"the record needs {' and '.join(map(repr, missing))}", syntax)
        return annotation(**contents)

    return read


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
