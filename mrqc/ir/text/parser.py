"""From characters to the parts of a module: a fast lexer for lark's LALR parser, and readable syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from lark import Lark
from lark.common import LexerConf
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer, PatternStr, TerminalDef

from mrqc.ir.text.source import SourceText, TextError
from mrqc.ir.text.syntax import ModuleSyntax, SyntaxBuilder, Token

PIECES: dict[str, tuple[str, ...]] = {
    "HEAD": ("VALUE", "OP"),
    "RECORD": ("RECORD", "NUMBERS", "NUMBER", "DTYPE", "WORD", "STRING"),
    "LOCATION": ("STRING",),
    "NUMBERS": (),
    "SCALES": (),
    "TYPE": (),
}
"""The terminals that are whole pieces, each with the terminals that it holds; in a record, behind a KEY each."""

_WORDS = {
    "SYMBOL": "a module name such as @net",
    "VALUE": "a value such as %x",
    "OP": "an op such as nn.conv2d",
    "DTYPE": "an element type such as i8",
    "KEY": "a name and '='",
    "WORD": "a word",
    "NUMBER": "a number",
    "STRING": "a quoted string",
    "SHAPE": "a shape such as 1x8x8x3x",
    "BASE64": "base64 content",
    "$END": "the end of the text",
}
_RUN = re.compile(r"[^\s,()\[\]{}<>=]+|\S")
_VALUE_STARTS = {"NUMBER", "STRING", "WORD", "DTYPE", "NONE", "LSQB", "LBRACE"}


class TokenLexer(Lexer):
    """Cuts the text into the tokens of the grammar, one at a time.

    A single expression for all terminals does what lark's own lexer does, without a line count and an object for
    each blank. Where several terminals match, a higher priority wins, then a literal, then the longer pattern.
    """

    pieces = False

    def __init__(self, conf: LexerConf) -> None:
        """Compile the terminals of the grammar."""
        self._words = {str(terminal.pattern.value): terminal.name for terminal in filter(_is_word, conf.terminals)}
        names = {terminal.name for terminal in conf.terminals if not _is_word(terminal)} - {*conf.ignore}
        ignored = "|".join(t.pattern.to_regexp() for t in conf.terminals if t.name in conf.ignore)
        wanted = _alternatives(conf, names if self.pieces else names - PIECES.keys())
        self._expression = re.compile(rf"(?:{ignored})*(?:{wanted}|\Z|(?P<ILLEGAL>[\s\S]))")
        inside = {piece: _alternatives(conf, {*names}) for piece, names in PIECES.items() if names}
        inside["RECORD"] = f"{_alternatives(conf, {'KEY'})} = (?:{inside['RECORD']})"
        self._inside = {piece: re.compile(expression) for piece, expression in inside.items()}

    def lex(self, data: str) -> Iterator[Token]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Yield the tokens of a text; what is none comes out as ILLEGAL, for the parser to reject."""
        words, pieces = self._words, self._inside
        for match in self._expression.finditer(data):
            kind = match.lastgroup
            if kind is None:
                return
            text, end = match[kind], match.end()
            start = end - len(text)
            if kind == "WORD":
                kind = words.get(text, kind)
            token = Token(kind, text, start)
            if kind in pieces:
                token.parts = self._parts(kind, data, start, end)
            yield token

    def _parts(self, piece: str, data: str, start: int, end: int) -> list[Token]:
        found: list[Token] = []
        # A record must not be found as a part of itself.
        for match in self._inside[piece].finditer(data, start + (piece == "RECORD"), end):
            kind = match.lastgroup
            assert kind, "every alternative has a name"
            if piece == "RECORD":
                found.append(Token("KEY", match["KEY"], match.start()))
            part = Token(kind, match[kind], match.start(kind))
            if kind == "RECORD":
                part.parts = self._parts(kind, data, part.start, part.end)
            found.append(part)
        return found


class PieceLexer(TokenLexer):
    """The same, but whole pieces in the printer's own spacing become one token each."""

    pieces = True


def _is_word(terminal: TerminalDef) -> bool:
    return isinstance(terminal.pattern, PatternStr) and terminal.pattern.value.isidentifier()


def _alternatives(conf: LexerConf, names: set[str]) -> str:
    chosen = sorted((terminal for terminal in conf.terminals if terminal.name in names), key=_precedence)
    return "|".join(f"(?P<{terminal.name}>{terminal.pattern.to_regexp()})" for terminal in chosen)


def _precedence(terminal: TerminalDef) -> tuple[int, bool, int]:
    pattern = terminal.pattern
    return (-terminal.priority, not isinstance(pattern, PatternStr), -len(pattern.value))


@cache
def _parser(lexer: type[TokenLexer]) -> Lark:
    grammar = resources.files("mrqc.ir.text").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=lexer, transformer=SyntaxBuilder())


def parse_syntax(source: SourceText) -> ModuleSyntax:
    """Return the parts of the module that the text holds.

    Raises:
        InputError: The text does not follow the grammar.
    """
    try:
        return _parse(PieceLexer, source)
    except UnexpectedToken:
        pass
    # Token by token, the caret stands at the very token that is wrong and not at the piece around it.
    try:
        return _parse(TokenLexer, source)
    except UnexpectedToken as error:
        raise source.error([_syntax_error(error, source)]) from None


def _parse(lexer: type[TokenLexer], source: SourceText) -> ModuleSyntax:
    parser: Any = _parser(lexer)
    return parser.parse(source.text)


def _syntax_error(error: UnexpectedToken, source: SourceText) -> TextError:
    found: Any = error.token
    expected = f"expected {_expected_words(error)}"
    if found.type == "$END":
        end = len(source.text.rstrip())
        return TextError(f"{expected}, but the text ends here", Token("$END", " ", end))
    if found.type == "ILLEGAL":
        # The whole run up to the next blank says more than its first character.
        run = _RUN.match(source.text, found.start)
        found = Token("ILLEGAL", run[0] if run else found.text, found.start)
        if found.text.startswith('"'):
            return TextError(f"{expected}; this string does not end on its line", found)
    shown = source.found(found)
    return TextError(f"{expected}, found " + (shown if shown.startswith('"') else f"'{shown}'"), found)


def _expected_words(error: UnexpectedToken) -> str:
    cursor: Any = error.interactive_parser
    names: set[str] = {name for name in cursor.accepts() if name not in PIECES}
    literals = {terminal.name: f"'{terminal.pattern.value}'" for terminal in _parser(TokenLexer).terminals}
    words: list[str] = []
    if names >= _VALUE_STARTS:
        names = {name for name in names if name == "RSQB"}
        words.append("a value")
    words += [text for name, text in _WORDS.items() if name in names]
    words += sorted(literals[name] for name in names if name not in _WORDS)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
