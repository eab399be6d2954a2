"""What a PromQL query can do wrong, in Prometheus' own words and error types.

PromqlError
├── BadData            400 bad_data: the request or the expression is not valid
│   └── InvalidExpression  the expression is not valid, or not for this kind of query
│       └── ParseError     with line and column of the offending part
├── ExecutionError     422 execution: the expression is valid, the data does not allow it
│   └── TooManySamples the query met its sample or series limit
├── UnknownRoute       404 not_found: the API has no such path
├── QueryTimeout       503 timeout: the deadline passed
└── QueryUnavailable   503 unavailable: too many queries at once, or the store does not answer
"""

from __future__ import annotations

from typing import ClassVar, Final

__all__ = [
    "BadData",
    "ExecutionError",
    "InvalidExpression",
    "ParseError",
    "PromqlError",
    "QueryTimeout",
    "QueryUnavailable",
    "TooManySamples",
    "UnknownRoute",
    "line_and_column",
]

_UNKNOWN_POSITION: Final = "unknown position"


class PromqlError(Exception):
    """Any failure of a query; ``status`` and ``error_type`` are what the HTTP API answers."""

    status: ClassVar[int] = 422
    error_type: ClassVar[str] = "execution"


class BadData(PromqlError):  # noqa: N818 - named after Prometheus' error type
    """The request cannot be answered as it is."""

    status = 400
    error_type = "bad_data"


class InvalidExpression(BadData):
    """The expression cannot be evaluated, whatever the data."""


class ParseError(InvalidExpression):
    """The expression is not PromQL; ``position`` is the character the trouble starts at."""

    def __init__(self, message: str, *, position: int, query: str) -> None:
        super().__init__(f"{line_and_column(query, position)}: parse error: {message}")
        self.message = message
        self.position = position
        self.query = query


class ExecutionError(PromqlError):
    """The expression cannot be evaluated over this data."""


class TooManySamples(ExecutionError):  # noqa: N818 - named after Prometheus' ErrTooManySamples
    """The query would hold more samples in memory than it may."""


class UnknownRoute(PromqlError):  # noqa: N818 - named after the thing
    """The API has no such path."""

    status = 404
    error_type = "not_found"


class QueryTimeout(PromqlError):  # noqa: N818 - named after Prometheus' error type
    """The query's deadline passed."""

    status = 503
    error_type = "timeout"


class QueryUnavailable(PromqlError):  # noqa: N818 - named after the HTTP status
    """The same query may work later."""

    status = 503
    error_type = "unavailable"


def line_and_column(query: str, position: int) -> str:
    """``line:column`` of a character, both from 1; columns count UTF-8 bytes as Prometheus does."""
    if not query:
        return _UNKNOWN_POSITION
    before = query[:position]
    line_start = before.rfind("\n") + 1
    column = len(before[line_start:].encode("utf-8", "surrogatepass")) + 1
    return f"{before.count(chr(10)) + 1}:{column}"
