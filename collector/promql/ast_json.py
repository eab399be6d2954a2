"""The expression tree as JSON, the shape of Prometheus' ``parse_query`` (``translate_ast.go``)."""

from __future__ import annotations

from typing import Any

from collector.promql.errors import BadData
from collector.promql.labels import NAME
from collector.promql.nodes import (
    Aggregate,
    At,
    Binary,
    Call,
    Expression,
    MatrixSelector,
    Number,
    Paren,
    String,
    Subquery,
    Unary,
    VectorMatching,
    VectorSelector,
)
from collector.promql.strings import format_float

__all__ = ["MAX_ANSWER_DEPTH", "tree_json"]

#: Nesting that a JSON encoder takes; a chain of operators leans left and nests in the answer.
MAX_ANSWER_DEPTH = 100


def tree_json(node: Expression, depth: int = 0) -> dict[str, Any]:
    """The node and everything below. Raises BadData for a tree that JSON cannot nest."""
    if depth > MAX_ANSWER_DEPTH:
        raise BadData(f"the tree nests deeper than {MAX_ANSWER_DEPTH}")
    below = depth + 1
    if isinstance(node, Aggregate):
        return {
            "type": "aggregation",
            "op": node.operator,
            "expr": tree_json(node.expression, below),
            "param": None if node.parameter is None else tree_json(node.parameter, below),
            "grouping": list(node.grouping),
            "without": node.is_without,
        }
    if isinstance(node, Binary):
        return {
            "type": "binaryExpr",
            "op": node.operator,
            "lhs": tree_json(node.left, below),
            "rhs": tree_json(node.right, below),
            "matching": _matching(node.matching),
            "bool": node.is_bool,
        }
    if isinstance(node, Call):
        return {
            "type": "call",
            "func": {
                "name": node.function.name,
                "argTypes": [str(kind) for kind in node.function.argument_types],
                "variadic": node.function.variadic,
                "returnType": str(node.function.return_type),
            },
            "args": [tree_json(argument, below) for argument in node.arguments],
        }
    if isinstance(node, Subquery):
        return {
            "type": "subquery",
            "expr": tree_json(node.expression, below),
            "range": node.range_ms,
            "offset": node.offset_ms,
            "step": node.step_ms or 0,
            **_at(node.at),
        }
    if isinstance(node, Paren):
        return {"type": "parenExpr", "expr": tree_json(node.expression, below)}
    if isinstance(node, Unary):
        return {
            "type": "unaryExpr",
            "op": node.operator,
            "expr": tree_json(node.expression, below),
        }
    return _leaf(node)


def _leaf(node: Expression) -> dict[str, Any]:
    if isinstance(node, MatrixSelector):
        return {**_selector(node.selector, "matrixSelector"), "range": node.range_ms}
    if isinstance(node, VectorSelector):
        return _selector(node, "vectorSelector")
    if isinstance(node, Number):
        return {"type": "numberLiteral", "val": format_float(node.value)}
    assert isinstance(node, String)
    return {"type": "stringLiteral", "val": node.value}


def _selector(node: VectorSelector, kind: str) -> dict[str, Any]:
    matchers = [
        {"name": matcher.name, "value": matcher.value, "type": matcher.operator}
        for matcher in node.matchers
    ]
    if node.name:
        matchers.append({"name": NAME, "value": node.name, "type": "="})
    return {
        "type": kind,
        "name": node.name,
        "offset": node.offset_ms,
        "matchers": matchers,
        **_at(node.at),
    }


def _at(at: At | None) -> dict[str, Any]:
    return {
        "timestamp": at.timestamp_ms if at is not None else None,
        "startOrEnd": at.edge if at is not None else None,
    }


def _matching(matching: VectorMatching | None) -> dict[str, Any] | None:
    if matching is None:
        return None
    return {
        "card": str(matching.cardinality),
        "labels": list(matching.labels),
        "on": matching.is_on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }
