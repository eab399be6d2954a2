"""Characters to tokens of PromQL, one at a time.

Lexing is lazy, so that an error early in the expression is reported before one further on. What a
word means depends on where it stands: inside braces every word is a label name, inside brackets
there are only durations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from collector.promql.errors import ParseError
from collector.promql.strings import go_quoted, go_rune, unquoted

__all__ = ["AGGREGATORS", "COMPARISONS", "KEYWORDS", "SET_OPERATORS", "Kind", "Lexer", "Token"]


class Kind(StrEnum):
    """Classes of tokens; the value is how error messages call them."""

    END = "end of input"
    IDENTIFIER = "identifier"
    METRIC_IDENTIFIER = "metric identifier"
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    OPERATOR = "op"
    AGGREGATOR = "aggr"
    KEYWORD = "keyword"
    PREPROCESSOR = "preprocessor"
    PUNCTUATION = "punctuation"


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` as written, operators in lower case; ``start`` and ``end`` are characters."""

    kind: Kind
    text: str
    start: int
    end: int

    def described(self) -> str:
        """How Prometheus' messages name the token after "unexpected"."""
        if self.kind is Kind.END:
            return "end of input"
        if self.kind is Kind.OPERATOR and self.text != "=":
            return f"<op:{self.text}>"
        if self.kind is Kind.AGGREGATOR:
            return f"<aggr:{self.text}>"
        if self.kind is Kind.KEYWORD:
            return f"<{self.text}>"
        if self.kind in {Kind.PUNCTUATION, Kind.PREPROCESSOR, Kind.OPERATOR}:
            return go_quoted(self.text)
        text = self.text
        if self.kind not in {Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER} and len(text) > 10:
            return f"{self.kind} {go_quoted(text[:10])}..."
        return f"{self.kind} {go_quoted(text)}"


SET_OPERATORS: Final = frozenset({"and", "or", "unless"})
COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
AGGREGATORS: Final = frozenset(
    {
        "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk",
        "count_values", "quantile", "limitk", "limit_ratio",
    }
)  # fmt: skip
KEYWORDS: Final = frozenset(
    {
        "offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "fill",
        "fill_left", "fill_right",
    }
)  # fmt: skip
_PREPROCESSORS: Final = frozenset({"start", "end", "step", "range"})
_FILL: Final = frozenset({"fill", "fill_left", "fill_right"})
_NUMBER_WORDS: Final = frozenset({"inf", "nan"})

_SPACE: Final = re.compile(r"[ \t\n\r]+")
_COMMENT: Final = re.compile(r"#[^\r\n]*")
_WORD: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMERIC: Final = re.compile(
    r"0[xX]_?[0-9a-fA-F](?:_?[0-9a-fA-F])*|"
    r"(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)"
    r"(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
)
_DURATION: Final = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_WORD_CHARACTER: Final = re.compile(r"[A-Za-z0-9_]")
_TWO_CHARACTER_OPERATORS: Final = frozenset({"==", "!=", "<=", ">="})
_ONE_CHARACTER_OPERATORS: Final = frozenset("+-*/%^<>@")
_BRACE_OPERATORS: Final = ("=~", "!~", "!=", "=")


class Lexer:
    """Tokens of ``query``; raises ParseError where the characters make none."""

    def __init__(self, query: str) -> None:
        self.query = query
        self._position = 0
        self._parentheses = 0
        self._is_in_braces = False
        self._is_in_brackets = False

    def next(self) -> Token:
        """The next token; END again and again once the query is used up."""
        self._skip_blank()
        start = self._position
        if start >= len(self.query):
            return self._end(start)
        character = self.query[start]
        if character in "\"'`":
            return self._string(start, character)
        if self._is_in_braces:
            return self._inside_braces(start, character)
        if self._is_in_brackets:
            return self._inside_brackets(start, character)
        if character.isascii() and character.isdigit():
            return self._number(start)
        if character == "." and self.query[start + 1 : start + 2].isdigit():
            return self._number(start)
        if _WORD.match(self.query, start):
            return self._word(start)
        return self._symbol(start, character)

    def fail(self, message: str, position: int) -> ParseError:
        """The error to raise."""
        return ParseError(message, position=position, query=self.query)

    def _skip_blank(self) -> None:
        while True:
            match = _SPACE.match(self.query, self._position) or _COMMENT.match(
                self.query, self._position
            )
            if match is None:
                return
            self._position = match.end()

    def _emit(self, kind: Kind, start: int, end: int, text: str | None = None) -> Token:
        self._position = end
        return Token(kind, self.query[start:end] if text is None else text, start, end)

    def _end(self, start: int) -> Token:
        if self._is_in_braces:
            raise self.fail("unexpected end of input inside braces", start)
        if self._parentheses:
            raise self.fail("unclosed left parenthesis", start)
        if self._is_in_brackets:
            raise self.fail("unexpected end of input in duration expression", start)
        return Token(Kind.END, "", start, start)

    def _string(self, start: int, quote: str) -> Token:
        end = start + 1
        while True:
            character = self.query[end : end + 1]
            if character == "" or (character == "\n" and quote != "`"):
                word = "raw" if quote == "`" else "quoted"
                raise self.fail(f"unterminated {word} string", start)
            if character == "\\" and quote != "`":
                end += 2
                continue
            end += 1
            if character == quote:
                break
        try:
            unquoted(self.query[start:end])
        except ValueError as error:
            raise self.fail(str(error), start) from None
        return self._emit(Kind.STRING, start, end)

    def _inside_braces(self, start: int, character: str) -> Token:
        label = _LABEL.match(self.query, start)
        if label is not None:
            return self._emit(Kind.IDENTIFIER, start, label.end())
        if character == "}":
            self._is_in_braces = False
            return self._emit(Kind.PUNCTUATION, start, start + 1)
        if character == ",":
            return self._emit(Kind.PUNCTUATION, start, start + 1)
        for operator in _BRACE_OPERATORS:
            if self.query.startswith(operator, start):
                return self._emit(Kind.OPERATOR, start, start + len(operator))
        if character == "!":
            following = go_rune(self.query[start + 1 : start + 2])
            raise self.fail(f"unexpected character after '!' inside braces: {following}", start)
        if character == "{":
            raise self.fail("unexpected left brace '{'", start)
        raise self.fail(f"unexpected character inside braces: {go_rune(character)}", start)

    def _inside_brackets(self, start: int, character: str) -> Token:
        if character == "]":
            self._is_in_brackets = False
            return self._emit(Kind.PUNCTUATION, start, start + 1)
        if character == ":":
            return self._emit(Kind.PUNCTUATION, start, start + 1)
        if (character.isascii() and character.isdigit()) or character == ".":
            return self._number(start)
        raise self.fail(f"unexpected character in duration expression: {go_rune(character)}", start)

    def _number(self, start: int) -> Token:
        for pattern, kind in ((_NUMERIC, Kind.NUMBER), (_DURATION, Kind.DURATION)):
            match = pattern.match(self.query, start)
            if match is None:
                continue
            following = self.query[match.end() : match.end() + 1]
            if not _WORD_CHARACTER.match(following) and following != ".":
                return self._emit(kind, start, match.end())
        end = start
        while end < len(self.query) and _WORD_CHARACTER.match(self.query[end]):
            end += 1
        bad = self.query[start : max(end, start + 1)]
        raise self.fail(f"bad number or duration syntax: {go_quoted(bad)}", start)

    def _word(self, start: int) -> Token:
        match = _WORD.match(self.query, start)
        assert match is not None
        word = match.group().lower()
        end = match.end()
        if word in _FILL and not self.query[end:].lstrip(" \t\r\n").startswith("("):
            return self._emit(Kind.IDENTIFIER, start, end)
        if word in SET_OPERATORS or word == "atan2":
            return self._emit(Kind.OPERATOR, start, end, word)
        for words, kind in (
            (AGGREGATORS, Kind.AGGREGATOR),
            (KEYWORDS, Kind.KEYWORD),
            (_PREPROCESSORS, Kind.PREPROCESSOR),
            (_NUMBER_WORDS, Kind.NUMBER),
        ):
            if word in words:
                # The word as written, since it may turn out to be a metric's name.
                return self._emit(kind, start, end)
        is_metric = ":" in match.group()
        return self._emit(Kind.METRIC_IDENTIFIER if is_metric else Kind.IDENTIFIER, start, end)

    def _symbol(self, start: int, character: str) -> Token:
        pair = self.query[start : start + 2]
        if pair in _TWO_CHARACTER_OPERATORS:
            return self._emit(Kind.OPERATOR, start, start + 2)
        if character in _ONE_CHARACTER_OPERATORS:
            return self._emit(Kind.OPERATOR, start, start + 1)
        if character == "=":
            if pair == "=~":
                raise self.fail("unexpected character after '=': '~'", start)
            return self._emit(Kind.PUNCTUATION, start, start + 1)
        if character == "!":
            following = go_rune(self.query[start + 1 : start + 2])
            raise self.fail(f"unexpected character after '!': {following}", start)
        return self._bracket(start, character)

    def _bracket(self, start: int, character: str) -> Token:
        if character == "(":
            self._parentheses += 1
        elif character == ")":
            self._parentheses -= 1
            if self._parentheses < 0:
                raise self.fail("unexpected right parenthesis ')'", start + 1)
        elif character == "{":
            self._is_in_braces = True
        elif character == "[":
            self._is_in_brackets = True
        elif character == "]":
            raise self.fail("unexpected right bracket ']'", start)
        elif character != ",":
            raise self.fail(f"unexpected character: {go_rune(character)}", start)
        return self._emit(Kind.PUNCTUATION, start, start + 1)
