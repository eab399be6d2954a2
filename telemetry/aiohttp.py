"""An aiohttp client observed: one CLIENT span and one duration per request, context passed on.

Give ``trace_config(telemetry)`` to ``aiohttp.ClientSession(trace_configs=[...])``. The span and the
duration end when the response's headers are there; reading the body is the caller's time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from yarl import URL

from telemetry import semconv
from telemetry.clock import Clock
from telemetry.provider import Telemetry

_TRACE: Final = TraceContextTextMapPropagator()
_BAGGAGE: Final = W3CBaggagePropagator()
#: A copied inbound header must not travel on beside, or instead of, the current context.
_CONTEXT_HEADERS: Final = ("traceparent", "tracestate", "baggage")
#: Attributes of the span that are also attributes of the duration; all of low cardinality.
_METRIC_KEYS: Final = (
    semconv.HTTP_REQUEST_METHOD,
    semconv.HTTP_RESPONSE_STATUS_CODE,
    semconv.SERVER_ADDRESS,
    semconv.SERVER_PORT,
    semconv.NETWORK_PROTOCOL_VERSION,
    semconv.ERROR_TYPE,
    semconv.URL_TEMPLATE,
)


@dataclass(slots=True)
class _Call:
    """One request under way; lives on aiohttp's per-request namespace."""

    span: Span
    #: The caller's context with the span in it: exemplars and baggage come from here.
    context: Context
    started_s: float
    attributes: dict[str, AttributeValue]


def trace_config(
    telemetry: Telemetry, *, baggage_hosts: Collection[str] | None = None
) -> aiohttp.TraceConfig:
    """Hooks that observe every request of a ClientSession.

    ``baggage_hosts`` limits who is told the baggage (host names); None tells everyone, which is
    right when the session only talks to one's own services. A request may name its route with
    ``trace_request_ctx={"url.template": "/v1/titles/{id}"}``; it then names the span too.
    """
    metric = semconv.HTTP_CLIENT_REQUEST_DURATION
    hooks = _Hooks(
        tracer=telemetry.tracer("telemetry.aiohttp"),
        duration=telemetry.meter("telemetry.aiohttp").create_histogram(
            metric.name,
            metric.unit,
            metric.description,
            explicit_bucket_boundaries_advisory=semconv.HTTP_DURATION_BUCKETS_S,
        ),
        clock=telemetry.clock,
        baggage_hosts=None if baggage_hosts is None else frozenset(baggage_hosts),
    )
    config = aiohttp.TraceConfig()
    config.on_request_start.append(hooks.start)
    config.on_request_end.append(hooks.end)
    config.on_request_exception.append(hooks.fail)
    return config


@dataclass(frozen=True, slots=True)
class _Hooks:
    tracer: Tracer
    duration: Histogram
    clock: Clock
    baggage_hosts: frozenset[str] | None

    async def start(
        self,
        _session: aiohttp.ClientSession,
        namespace: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        """Open the span and write the context into the request's headers."""
        template = _url_template(namespace)
        attributes = _request_attributes(params.method, params.url, template)
        method = str(attributes[semconv.HTTP_REQUEST_METHOD])
        shown = "HTTP" if method == semconv.HTTP_METHOD_OTHER else method
        span = self.tracer.start_span(
            f"{shown} {template}" if template else shown,
            kind=SpanKind.CLIENT,
            attributes={**attributes, semconv.URL_FULL: _without_credentials(params.url)},
        )
        context = trace.set_span_in_context(span, otel_context.get_current())
        namespace.davylamp_call = _Call(span, context, self.clock.monotonic_s(), attributes)
        for header in _CONTEXT_HEADERS:
            params.headers.popall(header, None)
        _TRACE.inject(params.headers, context)
        if self.baggage_hosts is None or params.url.host in self.baggage_hosts:
            _BAGGAGE.inject(params.headers, context)

    async def end(
        self,
        _session: aiohttp.ClientSession,
        namespace: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        """The headers of the (last) response are there."""
        call: _Call = namespace.davylamp_call
        response = params.response
        answered: dict[str, AttributeValue] = {semconv.HTTP_RESPONSE_STATUS_CODE: response.status}
        if response.version is not None:
            major, minor = response.version
            answered[semconv.NETWORK_PROTOCOL_VERSION] = f"{major}.{minor}"
        if response.status >= 400:
            answered[semconv.ERROR_TYPE] = str(response.status)
        self._finish(call, answered)

    async def fail(
        self,
        _session: aiohttp.ClientSession,
        namespace: SimpleNamespace,
        params: aiohttp.TraceRequestExceptionParams,
    ) -> None:
        """No response: refused, timed out or cancelled."""
        call: _Call | None = getattr(namespace, "davylamp_call", None)
        if call is None:  # it failed before the start hook ran
            return
        kind = type(params.exception)
        call.span.record_exception(params.exception)
        self._finish(call, {semconv.ERROR_TYPE: _qualified(kind)})

    def _finish(self, call: _Call, found: Mapping[str, AttributeValue]) -> None:
        call.attributes.update(found)
        call.span.set_attributes(found)
        if semconv.ERROR_TYPE in found:
            call.span.set_status(StatusCode.ERROR)
        self.duration.record(
            max(self.clock.monotonic_s() - call.started_s, 0.0),
            {key: call.attributes[key] for key in _METRIC_KEYS if key in call.attributes},
            context=call.context,
        )
        call.span.end()


def _request_attributes(method: str, url: URL, template: str | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        semconv.HTTP_REQUEST_METHOD: (
            method if method in semconv.HTTP_KNOWN_METHODS else semconv.HTTP_METHOD_OTHER
        )
    }
    if url.host is not None:
        attributes[semconv.SERVER_ADDRESS] = url.host
    if url.port is not None:
        attributes[semconv.SERVER_PORT] = url.port
    if template:
        attributes[semconv.URL_TEMPLATE] = template
    return attributes


def _url_template(namespace: SimpleNamespace) -> str | None:
    given = getattr(namespace, "trace_request_ctx", None)
    template = given.get(semconv.URL_TEMPLATE) if isinstance(given, Mapping) else None
    return template if isinstance(template, str) else None


def _without_credentials(url: URL) -> str:
    """``url.full`` must not carry a user name or password."""
    return str(url.with_user(None) if url.user or url.password else url)


def _qualified(kind: type[BaseException]) -> str:
    """``TimeoutError`` for built-ins, ``aiohttp.client_exceptions.X`` otherwise."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
