"""OTLP/gRPC as the specification has it."""

from __future__ import annotations

import os
import time

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.testing import resource, trace_request

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def body(*ids, service="grpc", **changes):
    spans = [{"trace_id": one, "span_id": os.urandom(8), "start": time.time_ns()} for one in ids]
    return trace_request(resource(service, **changes), spans).SerializeToString()


def export(collector, content, **options):
    with grpc.insecure_channel(collector.grpc_address) as channel:
        return channel.unary_unary(EXPORT)(content, timeout=10, **options)


def test_success_and_empty_requests_say_nothing(collector):
    """OK with partial_success unset."""
    assert export(collector, b"") == b""
    assert export(collector, body(os.urandom(16))) == b""


def test_gzip_is_understood(collector, wait_for):
    """Compression is the channel's affair."""
    answer = export(
        collector, body(os.urandom(16), service="zipped"), compression=grpc.Compression.Gzip
    )
    assert answer == b""
    wait_for(lambda: collector.get("/api/v1/traces", service="zipped")["traces"])


def test_partial_success(collector):
    """Rejected spans are counted, the rest is taken."""
    answer = export(collector, body(os.urandom(16), b"short", bytes(16)))
    assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, id="not protobuf"),
        pytest.param(
            b"\x0a\x02\x12\x00" * 600_000, grpc.StatusCode.RESOURCE_EXHAUSTED, id="elements"
        ),
        pytest.param(bytes(17_000_000), grpc.StatusCode.RESOURCE_EXHAUSTED, id="bytes"),
    ],
)
def test_refusals_have_the_code_of_the_specification(collector, content, code):
    """What can never succeed comes without RetryInfo."""
    with pytest.raises(grpc.RpcError) as caught:
        export(collector, content)
    assert caught.value.code() is code
    assert "google.rpc.retryinfo-bin" not in dict(caught.value.trailing_metadata())


def test_a_bomb_is_refused(collector):
    """The limit holds after decompression."""
    bomb = ExportTraceServiceRequest()
    bomb.resource_spans.add().schema_url = "0" * 17_000_000
    with pytest.raises(grpc.RpcError) as caught:
        export(collector, bomb.SerializeToString(), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_other_methods_are_unimplemented(collector):
    """Profiles are not taken; the exporter is told so and does not retry."""
    with grpc.insecure_channel(collector.grpc_address) as channel:
        call = channel.unary_unary(
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
        )
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_requests_are_counted_by_protocol_and_outcome(collector):
    """One more of each is seen on /metrics."""
    labels = {"protocol": "grpc", "signal": "traces"}
    name = "davylamp_otlp_requests_total"
    before = {
        outcome: collector.metric(name, **labels, outcome=outcome)
        for outcome in ("ok", "malformed", "partial")
    }
    export(collector, body(os.urandom(16)))
    export(collector, body(b"short"))
    with pytest.raises(grpc.RpcError):
        export(collector, b"\xff")
    after = {outcome: collector.metric(name, **labels, outcome=outcome) for outcome in before}
    assert after == {outcome: count + 1 for outcome, count in before.items()}
