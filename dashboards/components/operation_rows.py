"""Operations of a service as rows, ordered by impact: the time all their requests take together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.answers.collector import Operation
from dashboards.wording import duration, percent, rate

OPERATION_COLUMNS: Final[list[dict[str, Any]]] = [
    {"field": "name", "headerName": "Operation", "minWidth": 160, "flex": 2},
    *(
        {
            "field": field,
            "headerName": title,
            "valueFormatter": {"function": f"params.data.{field}_text"},
            "type": "rightAligned",
            "minWidth": 86,
        }
        for field, title in (
            ("rate", "Requests"),
            ("errors", "Errors"),
            ("p50", "p50"),
            ("p99", "p99"),
            ("impact", "Impact"),
        )
    ),
]


def operation_rows(operations: Sequence[Operation], window_s: float) -> list[dict[str, Any]]:
    """The most costly first; impact is requests times median duration, as a share of all."""
    costs = [o.count * (o.p50_s or 0.0) for o in operations]
    total = sum(costs) or 1.0
    rows = [
        _row(operation, window_s, cost / total)
        for operation, cost in zip(operations, costs, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["impact"], row["name"]))


def _row(operation: Operation, window_s: float, impact_ratio: float) -> dict[str, Any]:
    errors = operation.error_count / operation.count if operation.count else None
    return {
        "name": operation.name,
        "rate": operation.count / window_s,
        "rate_text": rate(operation.count / window_s),
        "errors": errors,
        "errors_text": percent(errors, digits=2),
        "p50": operation.p50_s,
        "p50_text": duration(operation.p50_s),
        "p99": operation.p99_s,
        "p99_text": duration(operation.p99_s),
        "impact": impact_ratio,
        "impact_text": percent(impact_ratio, digits=0),
    }
