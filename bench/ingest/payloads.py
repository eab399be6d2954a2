"""OTLP trace requests as a fleet would send them: varied, and never the same bytes twice.

A template is one request of one service instance, made with the official messages. ``fresh`` fills
in new ids, times and session numbers, so that no store can profit from repetition and no receiver
takes a body for a retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.testing import fill

SERVICES: Final = (
    "edge-gateway",
    "playback",
    "recommendations",
    "profiles",
    "search",
    "billing",
    "cdn-steering",
    "license",
)
SPANS_PER_TRACE: Final = 8
_ROUTES: Final = ("/a", "/b/{id}", "/c", "/d/{id}/e")
_STATUSES: Final = (200, 200, 200, 200, 200, 201, 204, 400, 404, 500)
_SESSION: Final = "0123456789abcdef"
_HEX: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Template:
    """A request and where in its bytes the fields of span ``i`` stand that must differ."""

    body: Bytes
    span_count: int
    trace_id: Offsets
    span_id: Offsets
    #: Of all spans but the first of a trace, which has no parent.
    parent: Offsets
    start: Offsets
    end: Offsets
    session: Offsets


def template(rng: np.random.Generator, *, span_count: int, number: int) -> Template:
    """One instance's request; ``span_count`` is a multiple of SPANS_PER_TRACE."""
    service = SERVICES[number % len(SERVICES)]
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    fill(
        group.resource.attributes,
        {
            "service.name": service,
            "service.version": ("1.4.0", "1.4.1", "1.5.0-rc1")[number % 3],
            "service.instance.id": f"{service}-{number % 15:03d}",
            "host.name": f"ip-10-1-0-{number % 60}",
            "cloud.region": f"region-{number % 3}",
            "telemetry.sdk.language": "python",
        },
    )
    scope = group.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.fastapi"
    scope.scope.version = "0.66b2"
    for index in range(span_count):
        _add_span(scope.spans.add(), rng, service, is_root=index % SPANS_PER_TRACE == 0)
    return _located(request, span_count)


def _add_span(span: Any, rng: np.random.Generator, service: str, *, is_root: bool) -> None:
    method = ("GET", "POST")[int(rng.integers(2))]
    route = f"/v1/{service}{_ROUTES[int(rng.integers(len(_ROUTES)))]}"
    status = _STATUSES[int(rng.integers(len(_STATUSES)))]
    span.trace_id, span.span_id = rng.bytes(16), rng.bytes(8)
    if not is_root:
        span.parent_span_id = rng.bytes(8)
    span.name = f"{method} {route}"
    span.kind = int(rng.integers(1, 4))
    span.start_time_unix_nano = int(rng.integers(1, 2**62))
    span.end_time_unix_nano = int(rng.integers(1, 2**62))
    span.flags = 257
    if status >= 500:
        span.status.code = 2
    fill(
        span.attributes,
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "server.address": f"10.0.0.{int(rng.integers(200))}",
            "device.type": f"device-{int(rng.integers(24))}",
            "client.region": f"region-{int(rng.integers(6))}",
            "title.id": f"tt{int(rng.zipf(1.3) - 1) % 10_000:07d}",
            "user.id": f"u-{int(rng.integers(200_000)):08x}",
            "deployment.canary": ("baseline", "canary")[int(rng.random() < 0.05)],
            "playback.session": _SESSION,
        },
    )


def _located(request: ExportTraceServiceRequest, span_count: int) -> Template:
    body = request.SerializeToString()
    found: dict[str, list[int]] = {
        name: [] for name in ("trace_id", "span_id", "parent", "start", "end", "session")
    }
    position = 0
    for span in request.resource_spans[0].scope_spans[0].spans:
        for name, wanted in (
            ("trace_id", span.trace_id),
            ("span_id", span.span_id),
            ("parent", span.parent_span_id),
            ("start", span.start_time_unix_nano.to_bytes(8, "little")),
            ("end", span.end_time_unix_nano.to_bytes(8, "little")),
            ("session", _SESSION.encode()),
        ):
            if wanted:
                position = body.index(wanted, position)
                found[name].append(position)
    offsets = {name: np.array(places) for name, places in found.items()}
    return Template(np.frombuffer(body, dtype=np.uint8), span_count, **offsets)


def fresh(made: Template, rng: np.random.Generator, now_unix_nano: int) -> bytes:
    """The template with new ids, sessions and times of the last seconds."""
    body = made.body.copy()
    count = made.span_count
    traces = count // SPANS_PER_TRACE
    _put(body, made.trace_id, np.repeat(_random(rng, traces, 16), SPANS_PER_TRACE, axis=0))
    span_ids = _random(rng, count, 8)
    _put(body, made.span_id, span_ids)
    is_child = np.arange(count) % SPANS_PER_TRACE != 0
    _put(body, made.parent, np.roll(span_ids, 1, axis=0)[is_child])
    began = np.repeat(now_unix_nano - rng.integers(0, 2_000_000_000, traces), SPANS_PER_TRACE)
    start = began + np.tile(np.arange(SPANS_PER_TRACE) * 800_000, traces)
    duration = rng.lognormal(15.5, 0.9, count).astype(np.int64)
    _put(body, made.start, start.astype("<i8").view(np.uint8).reshape(count, 8))
    _put(body, made.end, (start + duration).astype("<i8").view(np.uint8).reshape(count, 8))
    _put(body, made.session, _HEX[rng.integers(0, 16, (count, 16))])
    return body.tobytes()


def bodies(
    rng: np.random.Generator, now_unix_nano: int, *, count: int, span_count: int
) -> Iterator[bytes]:
    """``count`` requests of ``span_count`` spans, from eight templates a service."""
    made = [
        template(rng, span_count=span_count, number=number)
        for number in range(min(count, 8 * len(SERVICES)))
    ]
    for number in range(count):
        yield fresh(made[number % len(made)], rng, now_unix_nano)


def _random(rng: np.random.Generator, rows: int, width: int) -> Bytes:
    return np.frombuffer(rng.bytes(rows * width), dtype=np.uint8).reshape(rows, width)


def _put(body: Bytes, offsets: Offsets, values: Bytes) -> None:
    body[offsets[:, None] + np.arange(values.shape[1])] = values
