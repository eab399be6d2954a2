"""A report of all objectives over one period: as JSON, CSV and HTML. No data is said, not zero."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from analysis.slo.openslo.time_windows import Period

_COLUMNS: Final = (
    "name",
    "service",
    "objective_ratio",
    "sli_ratio",
    "total",
    "bad",
    "budget_remaining_ratio",
    "covered_ratio",
    "data_state",
    "pages",
    "tickets",
    "budgeting_method",
    "budget_projected_remaining_ratio",
)
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;"
    "color:#1b1f24;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #c9ced6}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.over{font-weight:600}"
)


def as_json(period: Period, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The report; the other forms are made from it."""
    return {
        "from_unix_nano": period.start_unix_s * 1_000_000_000,
        "to_unix_nano": period.end_unix_s * 1_000_000_000,
        "objectives": list(rows),
    }


def as_csv(report: Mapping[str, Any]) -> str:
    """One line an objective; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in report["objectives"]:
        writer.writerow(["" if (value := _cell(row, name)) is None else value for name in _COLUMNS])
    return out.getvalue()


def as_html(report: Mapping[str, Any]) -> str:
    """One page that needs nothing else; every text is escaped."""
    span = f"{_time(report['from_unix_nano'])} to {_time(report['to_unix_nano'])} UTC"
    heads = "".join(f"<th scope=col>{head}</th>" for head in _HEADS)
    rows = "".join(_row(row) for row in report["objectives"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Objectives, {span}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Objectives</h1><p>{span}</p><table><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    )


_HEADS: Final = (
    "Objective",
    "Service",
    "Target",
    "Achieved",
    "Events",
    "Bad",
    "Budget left",
    "Seen",
    "Pages",
    "Tickets",
)


def _row(row: Mapping[str, Any]) -> str:
    left = row["budget_remaining_ratio"]
    is_over = left is not None and left < 0
    numbers = (
        _percent(row["objective_ratio"], 3),
        _percent(row["sli_ratio"], 3),
        f"{row['total']}{_unit(row)}",
        f"{row['bad']:.8g}",
        f"overspent by {_percent(-left, 0)}" if is_over else _percent(left, 0),
        f"{_percent(row['covered_ratio'], 1)} ({html.escape(row['data_state'])})",
        str(_cell(row, "pages")),
        str(_cell(row, "tickets")),
    )
    cells = "".join(f"<td class=n>{text}</td>" for text in numbers)
    name = html.escape(row["display_name"] or row["name"])
    kind = " class=over" if is_over else ""
    return f"<tr{kind}><td>{name}</td><td>{html.escape(row['service'])}</td>{cells}</tr>"


def _unit(row: Mapping[str, Any]) -> str:
    """Time slices are said, events are what the column is of."""
    return "" if row["budgeting_method"] == "Occurrences" else " slices"


def _cell(row: Mapping[str, Any], name: str) -> Any:
    if name in ("pages", "tickets"):
        return row["alert_counts"].get(name.removesuffix("s"), 0)
    return row[name]


def _percent(ratio: float | None, digits: int) -> str:
    return "no events" if ratio is None else f"{100 * ratio:.{digits}f} %"


def _time(unix_nano: int) -> str:
    moment = dt.datetime.fromtimestamp(unix_nano / 1e9, dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M}"
