"""Answers of the collector's read API: services, request rollups, series, topology, traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.answers.reading import Fields
from dashboards.errors import UnreadableAnswerError


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service."""

    instance_id: str
    version: str
    region: str
    zone: str
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class Service:
    """One service over the window; rates are None when it answered no request."""

    name: str
    versions: tuple[str, ...]
    instances: tuple[Instance, ...]
    last_seen_unix_nano: int
    request_rate_per_s: float | None
    error_ratio: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class RedPoint:
    """Server requests of one step."""

    t_unix_s: float
    request_count: int
    error_count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class RedGroup:
    """One line of the request charts; ``label`` is empty when nothing is split."""

    label: str
    points: tuple[RedPoint, ...]


@dataclass(frozen=True, slots=True)
class Red:
    """Requests, errors and durations per step; steps without requests are absent."""

    groups: tuple[RedGroup, ...]
    from_unix_nano: int
    to_unix_nano: int
    step_s: float


@dataclass(frozen=True, slots=True)
class Heatmap:
    """``counts[i][j]``: step ``times_unix_s[i]``, durations up to ``bounds_s[j]``."""

    bounds_s: tuple[float, ...]
    times_unix_s: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    from_unix_nano: int
    to_unix_nano: int
    step_s: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One server operation over the window."""

    name: str
    count: int
    error_count: int
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one service to another over the window."""

    client: str
    server: str
    call_count: int
    error_count: int
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Topology:
    """All services and calls over ``window_s`` seconds."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    window_s: float


@dataclass(frozen=True, slots=True)
class SeriesGroup:
    """One line: attributes and a value per step, None = no data in that step."""

    attributes: Mapping[str, str]
    times_unix_s: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """A metric's lines; ``truncated`` when there were too many series to read."""

    groups: tuple[SeriesGroup, ...]
    to_unix_nano: int
    step_s: float
    truncated: bool


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace in a line."""

    trace_id: str
    root_service: str
    root_name: str
    start_unix_nano: int
    duration_s: float
    span_count: int
    error_count: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something a span noted."""

    time_unix_nano: int
    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """``kind``: what the store holds, OTLP's number or word. ``status_code`` 2 = error."""

    span_id: str
    parent_span_id: str
    service: str
    name: str
    kind: str
    start_unix_nano: int
    duration_ns: int
    status_code: int
    status_message: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    events: tuple[SpanEvent, ...]

    @property
    def is_error(self) -> bool:
        return self.status_code == 2


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of a trace, or the first ones when ``truncated``."""

    trace_id: str
    spans: tuple[Span, ...]
    truncated: bool


def services(body: Any) -> tuple[Service, ...]:
    """/api/v1/services."""
    return Fields(body).objects("services", _service)


def _service(item: Fields) -> Service:
    return Service(
        name=item.text("service_name"),
        versions=item.texts("versions"),
        instances=item.objects("instances", _instance),
        last_seen_unix_nano=item.integer("last_seen_unix_nano"),
        request_rate_per_s=item.number_or_none("request_rate_per_s"),
        error_ratio=item.number_or_none("error_ratio"),
        p50_s=item.number_or_none("p50_s"),
        p95_s=item.number_or_none("p95_s"),
        p99_s=item.number_or_none("p99_s"),
    )


def _instance(item: Fields) -> Instance:
    return Instance(
        instance_id=item.text("instance_id"),
        version=item.text("version"),
        region=item.text("region"),
        zone=item.text("zone"),
        last_seen_unix_nano=item.integer("last_seen_unix_nano"),
    )


def red(body: Any) -> Red:
    """/api/v1/red."""
    fields = Fields(body)
    return Red(
        groups=fields.objects("groups", _red_group),
        from_unix_nano=fields.integer("from_unix_nano"),
        to_unix_nano=fields.integer("to_unix_nano"),
        step_s=fields.number("step_s"),
    )


def _red_group(item: Fields) -> RedGroup:
    values = item.text_map("attributes").values()
    return RedGroup(" ".join(values), item.objects("points", _red_point))


def _red_point(item: Fields) -> RedPoint:
    return RedPoint(
        t_unix_s=item.number("t_unix_s"),
        request_count=item.integer("request_count"),
        error_count=item.integer("error_count"),
        p50_s=item.number_or_none("p50_s"),
        p95_s=item.number_or_none("p95_s"),
        p99_s=item.number_or_none("p99_s"),
    )


def heatmap(body: Any) -> Heatmap:
    """/api/v1/heatmap."""
    fields = Fields(body)
    return Heatmap(
        bounds_s=tuple(fields.sequence("bounds_s")),
        times_unix_s=tuple(fields.sequence("times_unix_s")),
        counts=tuple(tuple(row) for row in fields.sequence("counts")),
        from_unix_nano=fields.integer("from_unix_nano"),
        to_unix_nano=fields.integer("to_unix_nano"),
        step_s=fields.number("step_s"),
    )


def operations(body: Any) -> tuple[Operation, ...]:
    """/api/v1/operations."""
    return Fields(body).objects("operations", _operation)


def _operation(item: Fields) -> Operation:
    return Operation(
        name=item.text("name"),
        count=item.integer("count"),
        error_count=item.integer("error_count"),
        p50_s=item.number_or_none("p50_s"),
        p99_s=item.number_or_none("p99_s"),
    )


def topology(body: Any) -> Topology:
    """/api/v1/topology."""
    fields = Fields(body)
    width_ns = fields.integer("to_unix_nano") - fields.integer("from_unix_nano")
    return Topology(
        nodes=fields.objects("nodes", lambda item: item.text("service_name")),
        edges=fields.objects("edges", _edge),
        window_s=width_ns / 1e9,
    )


def _edge(item: Fields) -> Edge:
    return Edge(
        client=item.text("client"),
        server=item.text("server"),
        call_count=item.integer("call_count"),
        error_count=item.integer("error_count"),
        p50_s=item.number_or_none("p50_s"),
        p99_s=item.number_or_none("p99_s"),
    )


def series(body: Any) -> SeriesAnswer:
    """/api/v1/series."""
    fields = Fields(body)
    return SeriesAnswer(
        groups=fields.objects("groups", _series_group),
        to_unix_nano=fields.integer("to_unix_nano"),
        step_s=fields.number("step_s"),
        truncated=fields.boolean("truncated"),
    )


def _series_group(item: Fields) -> SeriesGroup:
    points = item.sequence("points")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise UnreadableAnswerError("a point of a series is not [time, value]")
    return SeriesGroup(
        attributes=item.text_map("attributes"),
        times_unix_s=tuple(point[0] for point in points),
        values=tuple(point[1] for point in points),
    )


def traces(body: Any) -> tuple[TraceSummary, ...]:
    """/api/v1/traces, newest first."""
    return Fields(body).objects("traces", _trace_summary)


def _trace_summary(item: Fields) -> TraceSummary:
    return TraceSummary(
        trace_id=item.text("trace_id"),
        root_service=item.text("root_service"),
        root_name=item.text("root_name"),
        start_unix_nano=item.integer("start_unix_nano"),
        duration_s=item.number("duration_s"),
        span_count=item.integer("span_count"),
        error_count=item.integer("error_count"),
        services=item.texts("services"),
    )


def trace(body: Any) -> Trace:
    """/api/v1/traces/{id}."""
    fields = Fields(body)
    return Trace(
        trace_id=fields.text("trace_id"),
        spans=fields.objects("spans", _span),
        truncated=fields.boolean("truncated"),
    )


def _span(item: Fields) -> Span:
    return Span(
        span_id=item.text("span_id"),
        parent_span_id=item.text("parent_span_id"),
        service=item.text("service_name"),
        name=item.text("name"),
        kind=str(item.raw("kind")),
        start_unix_nano=item.integer("start_unix_nano"),
        duration_ns=item.integer("duration_ns"),
        status_code=item.integer("status_code"),
        status_message=item.text("status_message"),
        attributes=item.text_map("attributes"),
        resource=item.text_map("resource"),
        events=item.objects("events", _span_event),
    )


def _span_event(item: Fields) -> SpanEvent:
    return SpanEvent(
        time_unix_nano=item.integer("time_unix_nano"),
        name=item.text("name"),
        attributes=item.text_map("attributes"),
    )
