"""A service with only OpenTelemetry's own SDK in it is shown on the fleet page."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind


def exporter_of(protocol: str, platform):
    if protocol == "http":
        return HttpExporter(f"http://127.0.0.1:{platform.otlp_http_port}/v1/traces")
    return GrpcExporter(f"http://127.0.0.1:{platform.otlp_grpc_port}", insecure=True)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_it_is_on_the_open_fleet_page(visit, platform, protocol):
    """Without a reload; on an idle machine it takes less than five seconds."""
    watched = visit()
    watched.open("/")
    name = f"stock-{protocol}"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(SimpleSpanProcessor(exporter_of(protocol, platform)))
    provider.get_tracer("stock").start_span("GET /stock", kind=SpanKind.SERVER).end()
    watched.until(f"document.body.innerText.includes('{name}')", deadline_s=15.0)
    provider.shutdown()
