"""Objectives as tiles: three numbers, the budget as a bar with its number, and the burn rates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import BurnRate, Slo
from dashboards.components.words import aria, status_badge
from dashboards.figures.base import Message
from dashboards.theme import Status
from dashboards.wording import duration, figures3, percent

NO_SLOS = Message(
    "No objective is defined.", "The analysis takes objectives from its settings; see the how-to."
)
_STATES = {
    "ok": ("within budget", Status.OK),
    "burning": ("budget burning", Status.BAD),
    "no_data": ("no data", Status.UNKNOWN),
}


def slo_tiles(slos: Sequence[Slo]) -> Component:
    """One tile each, the least budget first."""
    ordered = sorted(
        slos,
        key=lambda s: (
            s.state != "burning",
            1.0 if s.budget_remaining_ratio is None else s.budget_remaining_ratio,
            s.name,
        ),
    )
    return html.Div([_tile(slo) for slo in ordered], className="tiles")


def _standing(slo: Slo) -> tuple[str, Status]:
    """Its word: what burns comes first, then what is spent already, though nothing burns now."""
    left = slo.budget_remaining_ratio
    if slo.state == "ok" and left is not None and left < 0:
        return "budget spent", Status.WARN
    return _STATES.get(slo.state, (slo.state, Status.UNKNOWN))


def _tile(slo: Slo) -> Component:
    word, status = _standing(slo)
    achieved = None if slo.error_ratio is None else 1 - slo.error_ratio
    return html.Article(
        [
            html.Div(
                [html.H3(slo.display_name or slo.name), status_badge(word, status)],
                className="tile-head",
            ),
            html.Dl(
                [
                    *_pair("objective", percent(slo.objective_ratio, digits=2)),
                    *_pair(_over(slo), percent(achieved, digits=2)),
                    *_budget_pairs(slo),
                ],
                className="numbers",
            ),
            _budget_bar(slo.budget_remaining_ratio, status),
            _burn_table(slo.burn_rates),
            html.P(slo.summary, className="tile-summary"),
        ],
        className="tile",
    )


def _pair(term: str, value: str) -> list[Component]:
    return [html.Div([html.Dt(term), html.Dd(value)])]


def _over(slo: Slo) -> str:
    period = slo.calendar
    of = "" if slo.slice_s is None else f"slices of {duration(slo.slice_s)} "
    if period is None:
        return f"{of}over {duration(slo.window_s)}"
    return f"{of}since {_local(period.from_unix_nano, period.time_zone)}"


def _budget_pairs(slo: Slo) -> list[Component]:
    """Where a budget has two numbers, each says which it is."""
    left = budget_words(slo.budget_remaining_ratio)
    whole = budget_words(slo.projected_remaining_ratio)
    period = slo.calendar
    if period is not None:
        until = _local(period.to_unix_nano, period.time_zone)
        return [
            *_pair("budget left so far", left),
            *_pair(f"left of the budget projected to {until}", whole),
        ]
    if slo.slice_s is not None:
        return [
            *_pair("budget left, of slices with events", left),
            *_pair("left of the budget of all slices", whole),
        ]
    return _pair("budget left", left)


def _local(unix_nano: int, time_zone: str) -> str:
    try:
        zone: dt.tzinfo = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone, time_zone = dt.UTC, "UTC"
    return f"{dt.datetime.fromtimestamp(unix_nano // 10**9, zone):%Y-%m-%d %H:%M} {time_zone}"


def budget_words(left: float | None) -> str:
    """``62 %``; overspent budgets say so and are never clipped."""
    if left is None:
        return percent(None)
    if left < 0:
        return f"overspent by {percent(-left, digits=0)}"
    return percent(left, digits=0)


def _budget_bar(left: float | None, status: Status) -> Component:
    width = 0.0 if left is None else max(0.0, min(1.0, left))
    return html.Div(
        html.Div(className=f"bar-fill fill-{status}", style={"width": f"{100 * width:.1f}%"}),
        className="bar",
        role="img",
        **aria(label=f"{percent(left, digits=0)} of the error budget left"),
    )


def _burn_table(burns: Sequence[BurnRate]) -> Component:
    head = html.Tr([html.Th(t, scope="col") for t in ("alert", "windows", "burn now", "fires at")])
    return html.Table(
        [html.Thead(head), html.Tbody([_burn_row(burn) for burn in burns])], className="small-table"
    )


def _burn_row(burn: BurnRate) -> Component:
    status = Status.BAD if burn.firing else Status.OK
    if burn.long_burn is None or burn.short_burn is None:
        status = Status.UNKNOWN
    word = {Status.BAD: "firing", Status.OK: "quiet", Status.UNKNOWN: "no data"}[status]
    windows = f"{duration(burn.long_window_s)} / {duration(burn.short_window_s)}"
    return html.Tr(
        [
            html.Td([burn.severity, " ", status_badge(word, status)]),
            html.Td(windows),
            html.Td(f"{_burn(burn.long_burn)} / {_burn(burn.short_burn)}"),
            html.Td(f"{burn.factor:g}×"),
        ]
    )


def _burn(value: float | None) -> str:
    return "–" if value is None else f"{figures3(round(value, 2))}×"
