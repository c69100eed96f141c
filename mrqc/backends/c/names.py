"""Identifiers and comments made of whatever the model calls its tensors and layers."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class co_await co_return co_yield
    compl complex concept const const_cast consteval constexpr constinit continue decltype default delete do double
    dynamic_cast else enum errno explicit export extern false final float for fortran friend goto if imaginary import
    inline int i386 linux long mutable namespace new noexcept noreturn not not_eq nullptr operator or or_eq override
    private protected public register reinterpret_cast requires restrict return short signed sizeof static
    static_assert static_cast stderr stdin stdout struct switch template this thread_local throw true try typedef
    typeid typename typeof union unix unsigned using virtual void volatile wchar_t while xor xor_eq
    main memcpy memmove memset memcmp size_t ptrdiff_t arena shape range scale shift lhs_scaling rhs_scaling
    positive negative
"""
RESERVED = frozenset(_WORDS.split())
"""What no parameter may be called: the keywords of C and C++, macros that compilers and common headers define, and
the names of what stands around a call in the emitted function."""

_RESERVED_PATTERN = re.compile(r"u?int\w*_t|tensor_\d+|\w+_run")

LONGEST_NAME = 48


def c_identifier(wanted: str, fallback: str) -> str:
    """Return a C identifier that resembles ``wanted``, or ``fallback`` where nothing of it can be kept.

    All capitals become lower case, since that is how macros are written; no name starts with an underscore or holds
    two in a row, since the compiler and C++ own those.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", wanted).strip("_")[:LONGEST_NAME].rstrip("_")
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}"
    return name.lower() if name.isupper() else name


def unique_identifiers(wanted: Iterable[tuple[str, str]], taken: Iterable[str]) -> list[str]:
    """Return a different C identifier for each pair of wanted name and fallback, none of them ``taken``."""
    used = RESERVED.union(taken)
    names: list[str] = []
    for name, fallback in wanted:
        stem = candidate = c_identifier(name, fallback)
        number = 1
        while candidate in used or _RESERVED_PATTERN.fullmatch(candidate):
            number += 1
            candidate = f"{stem}_{number}"
        used = used | {candidate}
        names.append(candidate)
    return names


def comment_text(text: str) -> str:
    """Return ``text`` such that it can stand in a C comment: printable ASCII that neither ends it nor starts another.

    Trigraphs, line splices and characters that change the direction of writing cannot occur in the result.
    """
    plain = "".join(letter if " " <= letter <= "~" else _spelled(letter) for letter in text)
    plain = plain.replace("\\", "/")
    for forbidden in ("*/", "/*", "??"):
        while forbidden in plain:
            plain = plain.replace(forbidden, f"{forbidden[0]} {forbidden[1]}")
    # The writer puts "*" and "/" of its own around the text.
    return plain.strip().rstrip("*").lstrip("/")


def _spelled(letter: str) -> str:
    return " " if letter in "\t\n\v\f\r" else f"U+{ord(letter):04X}"
