"""Answers of /exemplars and /summaries: from a metric to single requests, and ready quantiles."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request, Response

from collector.query import params
from collector.query.questions import (
    FromText,
    MatchTexts,
    Questions,
    Text,
    ToText,
    bounds,
)
from collector.store import exemplar_reader, points
from collector.store.engine import Store
from collector.store.points import Series, SeriesCache, text
from collector.store.reader import Match, Window
from collector.wire.values import stored_text

MAX_EXEMPLARS: Final = 1_000
MAX_SUMMARY_POINTS: Final = 10_000
#: Series of one metric that are looked at.
MAX_SERIES: Final = 2_000


class _Selected:
    """The series of a question, and whether there were more."""

    def __init__(
        self, store: Store, metric: str, window: Window, matches: tuple[Match, ...]
    ) -> None:
        ids = points.series_ids(store, metric, window, matches, limit=MAX_SERIES + 1)
        self.is_truncated = len(ids) > MAX_SERIES
        self.ids = ids[:MAX_SERIES]
        self.known = SeriesCache(MAX_SERIES).find(store, metric, self.ids)


def exemplars(
    store: Store, window: Window, metric: str, matches: tuple[Match, ...], *, limit: int
) -> dict[str, Any]:
    """The newest exemplars of a metric, each with its series and, if it has one, its trace."""
    chosen = _Selected(store, metric, window, matches)
    rows = []
    if chosen.ids:
        rows = exemplar_reader.exemplars(store, chosen.ids, window, limit=limit + 1).to_pylist()
    return {
        "metric": metric,
        "exemplars": [_exemplar(row, chosen.known[row["series_id"]]) for row in rows[:limit]],
        "truncated": chosen.is_truncated or len(rows) > limit,
    }


def _exemplar(row: dict[str, Any], series: Series) -> dict[str, Any]:
    pairs = zip(row["keys"], row["encoded_values"], strict=True)
    return {
        "time_unix_nano": row["time_unix_nano"],
        "value": row["value"],
        "trace_id": text(row["trace_id_hex"]),
        "span_id": text(row["span_id_hex"]),
        "filtered_attributes": {text(key): stored_text(encoded) for key, encoded in pairs},
        **_identity(series),
    }


def summaries(
    store: Store, window: Window, metric: str, matches: tuple[Match, ...]
) -> dict[str, Any]:
    """Count, sum and quantiles of summaries, as their sender computed them; nothing is merged."""
    chosen = _Selected(store, metric, window, matches)
    ids = [one for one in chosen.ids if chosen.known[one].kind == "summary"]
    rows = []
    if ids:
        rows = exemplar_reader.summary_points(
            store, ids, window, limit=MAX_SUMMARY_POINTS + 1
        ).to_pylist()
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows[:MAX_SUMMARY_POINTS]:
        quantiles = zip(row["quantiles"], row["quantile_values"], strict=True)
        found.setdefault(row["series_id"], []).append(
            {
                "t_unix_nano": row["time_unix_nano"],
                "count": row["count"],
                "sum": row["sum"],
                "quantiles": [{"quantile": level, "value": value} for level, value in quantiles],
            }
        )
    return {
        "metric": metric,
        "series": [{**_identity(chosen.known[one]), "points": found[one]} for one in found],
        "truncated": chosen.is_truncated or len(rows) > MAX_SUMMARY_POINTS,
    }


def _identity(series: Series) -> dict[str, Any]:
    return {
        "service_name": series.resource.get("service.name", ""),
        "attributes": series.attributes,
        "resource": series.resource,
    }


def add_exemplar_routes(app: FastAPI, questions: Questions, store: Store) -> None:
    """GET /api/v1/exemplars and /api/v1/summaries."""

    @app.get("/api/v1/exemplars")
    async def find_exemplars(
        request: Request,
        *,
        metric: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        from_text: FromText = None,
        to_text: ToText = None,
        limit: Text = None,
    ) -> Response:
        """Single measurements of a metric with the traces they belong to, the newest first."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            name = params.required("metric", metric)
            count = params.integer("limit", limit or "100", low=1, high=MAX_EXEMPLARS)
            body = exemplars(store, span, name, params.matches(match), limit=count)
            return {**body, **bounds(span)}

        return await questions.run(request, answer)

    @app.get("/api/v1/summaries")
    async def find_summaries(
        request: Request,
        *,
        metric: Text = None,
        match: MatchTexts = [],  # noqa: B006 - FastAPI copies it
        from_text: FromText = None,
        to_text: ToText = None,
    ) -> Response:
        """Points of a summary metric with the quantiles its sender computed."""

        def answer() -> dict[str, Any]:
            span = questions.window(from_text, to_text)
            name = params.required("metric", metric)
            return {**summaries(store, span, name, params.matches(match)), **bounds(span)}

        return await questions.run(request, answer)
