"""Constants in the text, in both directions: short ones as ``dense<[…]>``, others as ``blob<"…">`` by hash."""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterator
from typing import Any

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.text.literals import read_singles, single_texts
from mrqc.ir.text.source import TextError
from mrqc.ir.text.syntax import ConstantSyntax, ListSyntax, Token, numbers_of
from mrqc.ir.text.types import ELIDED, ELIDED_HINT, TypeReader, read_integer
from mrqc.ir.types import Element, TensorType

LONGEST_DENSE = 16
"""Constants with more elements are printed as blobs."""
_BLOB_LINE = 96


def dense_text(data: Data) -> str:
    """Return ``dense<[…]>`` with the elements in C order."""
    texts = map(str, data.array.ravel().tolist()) if data.dtype.is_integer else single_texts(data.array)
    return f"dense<[{', '.join(texts)}]>"


def blob_lines(data: Data) -> Iterator[str]:
    """Yield the lines of a blob's content."""
    content = binascii.b2a_base64(data.to_bytes(), newline=False).decode("ascii")
    yield f'  "{data.digest}" = "'
    for start in range(0, len(content), _BLOB_LINE):
        yield f"    {content[start : start + _BLOB_LINE]}"
    yield '  "'


class ConstantReader:
    """Reads the constants of one text."""

    def __init__(self, blobs: list[tuple[Token, Token]], types: TypeReader) -> None:
        """Take the blobs: pairs of hash and content.

        Raises:
            TextError: Two blobs have the same hash.
        """
        self._types = types
        self._blobs: dict[str, tuple[Token, Token]] = {}
        self._known: dict[tuple[str, TensorType], Data] = {}
        for key, content in blobs:
            if key.text in self._blobs:
                raise TextError("there are two blobs with this hash", key)
            self._blobs[key.text] = (key, content)

    def read(self, syntax: ConstantSyntax, result_type: TensorType) -> Data:
        """Return the constant, which has the type of the statement's result unless one is written.

        Raises:
            TextError: The content does not fit the type or its hash, or was elided.
        """
        type_ = self._types.read_of_constant(syntax.type) if syntax.type else result_type
        content = syntax.content
        if isinstance(content, Token) and content.type == "ELIDED":
            raise TextError(ELIDED, syntax, ELIDED_HINT)
        if isinstance(content, Token) and content.type == "STRING":
            return self._blob(content, type_)
        return _dense(content, type_)

    def _blob(self, key: Token, type_: TensorType) -> Data:
        plain = TensorType(type_.shape, Element(type_.dtype))
        known = self._known.get((key.text, plain))
        if known is None:
            if key.text not in self._blobs:
                raise TextError("there is no such blob at the end of the text", key)
            known = self._known[key.text, plain] = _decode(*self._blobs[key.text], plain)
        return known


def _decode(key: Token, content: Token, type_: TensorType) -> Data:
    try:
        raw = binascii.a2b_base64(content.text[1:-1].encode("ascii"))
    except (UnicodeEncodeError, binascii.Error):
        raise TextError("this is not base64", content) from None
    if len(raw) != type_.bytes:
        message = f"this blob has {len(raw)} bytes, {list(type_.shape)} of {type_.dtype} are {type_.bytes}"
        raise TextError(message, key)
    data = Data.from_bytes(raw, type_.dtype, type_.shape)
    if key.text != f'"{data.digest}"':
        message = f"this blob's content, as {list(type_.shape)} of {type_.dtype}, has another hash: {data.digest}"
        raise TextError(message, key, "content or type was changed")
    return data


def _dense(content: Token | ListSyntax, type_: TensorType) -> Data:
    texts = [token.text for token in _elements(content)]
    size = math.prod(type_.shape)
    if len(texts) != size:
        message = f"{_count(len(texts))}, the type's shape {list(type_.shape)} has {size}"
        raise TextError(message, content)
    try:
        if type_.dtype is DType.F32:
            return Data(read_singles(texts).reshape(type_.shape))
        numbers: Any = [read_integer(text, place) for text, place in zip(texts, _elements(content), strict=True)]
        flat = Data.of(numbers, type_.dtype)
    except ValueError as error:
        raise TextError(str(error), content) from None
    return Data(flat.array.reshape(type_.shape))


def _count(number: int) -> str:
    return "1 element is given" if number == 1 else f"{number} elements are given"


def _elements(content: Token | ListSyntax) -> list[Token]:
    if isinstance(content, Token):
        return numbers_of(content)
    found: list[Token] = []
    for item in content.items:
        if not isinstance(item, Token) or item.type != "NUMBER":
            raise TextError("an element of a constant is a number", item)
        found.append(item)
    return found
