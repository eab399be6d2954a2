"""The parser's view of the text: one token ahead, and the errors found so far."""

from __future__ import annotations

from typing import Final

from collector.promql.errors import ParseError
from collector.promql.lexer import Kind, Lexer, Token
from collector.promql.strings import unquoted

__all__ = ["TokenStream"]

_LABEL_KINDS: Final = frozenset({Kind.IDENTIFIER, Kind.AGGREGATOR, Kind.KEYWORD, Kind.PREPROCESSOR})
_WORD_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2"})


class TokenStream:
    """Reads tokens; a meaning that is wrong is noted and told only if the grammar is right."""

    def __init__(self, query: str) -> None:
        self._lexer = Lexer(query)
        self.query = query
        self.current: Token = self._lexer.next()
        #: Where the last token taken ended.
        self.previous_end = 0
        self._semantic: ParseError | None = None

    def advance(self) -> Token:
        """Take the current token."""
        taken = self.current
        self.previous_end = taken.end
        self.current = self._lexer.next()
        return taken

    def is_at_end(self) -> bool:
        """Whether every token is taken."""
        return self.current.kind is Kind.END

    def is_punctuation(self, text: str) -> bool:
        """Whether the current token is this bracket, comma or colon."""
        return self.current.kind is Kind.PUNCTUATION and self.current.text == text

    def expect(self, text: str, context: str = "", expected: str = "") -> Token:
        """Take this punctuation or raise."""
        if not self.is_punctuation(text):
            raise self.unexpected(context, expected)
        return self.advance()

    def fail(self, message: str) -> ParseError:
        """The error to raise about the current token."""
        return self.fail_at(self.current.start, message)

    def fail_at(self, position: int, message: str) -> ParseError:
        """The error to raise about a position."""
        return ParseError(message, position=position, query=self.query)

    def unexpected(self, context: str = "", expected: str = "") -> ParseError:
        """The error to raise where the current token does not fit."""
        message = f"unexpected {self.current.described()}"
        if context:
            message += f" in {context}"
        if expected:
            message += f", expected {expected}"
        return self.fail(message)

    def note(self, position: int, message: str) -> None:
        """Keep an error of meaning; the first one is raised once the grammar is found right."""
        if self._semantic is None:
            self._semantic = self.fail_at(position, message)

    def raise_semantic_error(self) -> None:
        """Raise the first error noted, if any."""
        if self._semantic is not None:
            raise self._semantic

    def read_labels(self) -> tuple[str, ...]:
        """Names between parentheses after ``by``, ``on`` and the like."""
        self.expect("(", "grouping opts", '"("')
        names: list[str] = []
        while not self.is_punctuation(")"):
            names.append(self._label())
            if self.is_punctuation(","):
                self.advance()
            elif not self.is_punctuation(")"):
                raise self.unexpected("grouping opts", '"," or ")"')
        self.advance()
        return tuple(names)

    def _label(self) -> str:
        token = self.current
        if token.kind is Kind.STRING:
            self.advance()
            return unquoted(token.text)
        is_word = token.kind is Kind.OPERATOR and token.text in _WORD_OPERATORS
        if token.kind not in _LABEL_KINDS and not is_word:
            raise self.unexpected("grouping opts", "label")
        self.advance()
        return self.query[token.start : token.end]
