"""Names, strings, words and numbers, in both directions; what is written reads back to the same bits."""

from __future__ import annotations

import re
import struct
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEYWORDS = frozenset({"module", "inputs", "states", "then", "return", "blobs", "as", "loc", "none", "elided"})
"""Words that the grammar claims; an enumeration with such a value has it printed in quotes."""

_BARE_NAME = re.compile(r"[A-Za-z0-9_.$-]+")
_BARE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BARE_WORD = re.compile(r"(?!(?:inf|nan)(?![\w-]))[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]{1,6})\}|(.))")
_LETTER_TO_CHARACTER = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_CHARACTER_TO_ESCAPE = {character: f"\\{letter}" for letter, character in _LETTER_TO_CHARACTER.items()}
_NAN_BITS = "0x7ff8000000000000"
_F32_NAN_BITS = "0x7fc00000"


def quote(text: str) -> str:
    r"""Return ``text`` in double quotes; what is not printable is escaped, ``\u{…}`` where no letter exists."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escape, text)) + '"'


def unquote(quoted: str) -> str:
    """Return the string that :func:`quote` wrote.

    Raises:
        ValueError: An escape is none of the known ones.
    """
    body = quoted[1:-1]
    return body if "\\" not in body else _ESCAPE.sub(_unescape, body)


def _escape(character: str) -> str:
    if (known := _CHARACTER_TO_ESCAPE.get(character)) is not None:
        return known
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def _unescape(match: re.Match[str]) -> str:
    code, letter = match.groups()
    if code is not None and int(code, 16) <= 0x10FFFF:
        return chr(int(code, 16))
    if letter in _LETTER_TO_CHARACTER:
        return _LETTER_TO_CHARACTER[letter]
    raise ValueError(f"unknown escape {match[0]} in a string")


def value_text(name: str) -> str:
    """Return ``%name``, in quotes where the name needs them."""
    return f"%{name}" if _BARE_NAME.fullmatch(name) else f"%{quote(name)}"


def value_name(text: str) -> str:
    """Return the name that :func:`value_text` wrote.

    Raises:
        ValueError: An escape is none of the known ones.
    """
    return unquote(text[1:]) if text[1] == '"' else text[1:]


def key_text(name: str) -> str:
    """Return the name of a fact about the module, in quotes where it needs them."""
    return name if _BARE_KEY.fullmatch(name) else quote(name)


def enum_text(member: Enum) -> str:
    """Return the value of an enumeration's member: a bare word, else a quoted string or a number."""
    value: Any = member.value
    if not isinstance(value, str):
        return repr(value)
    return value if _BARE_WORD.fullmatch(value) and value not in KEYWORDS else quote(value)


def float_text(number: float) -> str:
    """Return the shortest decimal that reads back as ``number``; a not-a-number with a payload as its bits."""
    if number == number:
        return repr(float(number))
    bits = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016x}"
    return "nan" if bits == _NAN_BITS else bits


def read_float(text: str) -> float:
    """Return the number that :func:`float_text` wrote; an integer is a number too.

    Raises:
        ValueError: ``text`` holds bits, but not 64 of them.
    """
    if not text.startswith("0x"):
        return float(text)
    if len(text) != len(_NAN_BITS):
        raise ValueError("the bits of a number are 16 hexadecimal digits")
    return struct.unpack("<d", struct.pack("<Q", int(text, 16)))[0]


def single_texts(numbers: NDArray[Any]) -> list[str]:
    """Return one text for each element of an f32 array, as short as single precision allows."""
    bits = numbers.ravel().view(np.uint32)
    return [_single_text(number, f"0x{code:08x}") for number, code in zip(numbers.ravel(), bits, strict=True)]


def _single_text(number: np.float32, bits: str) -> str:
    if number != number:
        return "nan" if bits == _F32_NAN_BITS else bits
    # Reading goes through double precision, which for a few numbers may round the shortest text to a neighbour.
    short = float(str(number))
    return repr(short) if np.float32(short) == number else repr(float(number))


def read_singles(texts: list[str]) -> NDArray[np.float32]:
    """Return the f32 numbers nearest to the texts.

    Raises:
        ValueError: A text holds bits, but not 32 of them, or a finite number beyond single precision.
    """
    wrong = next((text for text in texts if text.startswith("0x") and len(text) != len(_F32_NAN_BITS)), None)
    if wrong is not None:
        raise ValueError("the bits of an f32 are 8 hexadecimal digits")
    doubles = np.array([0.0 if text.startswith("0x") else float(text) for text in texts], np.float64)
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    if (np.isinf(singles) & np.isfinite(doubles)).any():
        raise ValueError("a number is too large for f32")
    bits = singles.view(np.uint32)
    for index, text in enumerate(texts):
        if text.startswith("0x"):
            bits[index] = int(text, 16)
    return singles
