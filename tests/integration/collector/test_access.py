"""Who may send to a collector and read from it, over its real sockets (B30 among them)."""

from __future__ import annotations

import os
import time

import grpc
import pytest
import requests

from collector.access.token_file import TokenFile
from collector.access.tokens import Order, issue
from collector.samples.messages import RawRequest, Series
from collector.samples.snappy import compress_block
from collector.testing import resource, trace_request

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
OWNER = "the-installations-own"


def made(folder, name, *scopes, **bound):
    token, text = issue(Order(name, scopes, **bound), time.time(), os.urandom)
    TokenFile(folder / "secrets" / "tokens.json").add(token)
    return {"authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def closed(start_for_module, tmp_path_factory):
    """(collector, folder): everybody shows a token."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "api.token").write_text(OWNER)
    return start_for_module(folder, other={"ACCESS__REQUIRED": "true"}), folder


def spans(service, environment="prod"):
    ids = {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": time.time_ns()}
    named = resource(service, **{"deployment.environment.name": environment})
    return trace_request(named, [ids]).SerializeToString()


def posted(collector, body, headers):
    every = {"content-type": "application/x-protobuf", **headers}
    return requests.post(f"{collector.http_url}/v1/traces", body, headers=every)


def rejected_spans(answer):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    return ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans


def test_sending_needs_the_scope(closed):
    collector, folder = closed
    reads = made(folder, "grafana", "read")
    sends = made(folder, "playback", "ingest")
    for headers, status in (({}, 401), (reads, 403), (sends, 200)):
        assert posted(collector, spans("playback"), headers).status_code == status


@pytest.mark.parametrize(("service", "environment"), [("search", "prod"), ("playback", "test")])
def test_b30_a_token_brings_in_its_own_service_only(closed, service, environment):
    collector, folder = closed
    bound = made(folder, "bound", "ingest", services=("playback",), environments=("prod",))
    answer = posted(collector, spans(service, environment), bound)
    assert (answer.status_code, rejected_spans(answer.content)) == (200, 1)
    own = posted(collector, spans("playback"), bound)
    assert (own.status_code, rejected_spans(own.content)) == (200, 0)


def test_the_same_over_grpc(closed):
    collector, folder = closed
    bound = made(folder, "bound", "ingest", services=("playback",))
    with grpc.insecure_channel(collector.grpc_address) as channel:
        export = channel.unary_unary(EXPORT)
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            (made(folder, "r", "read").items(), grpc.StatusCode.PERMISSION_DENIED),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                export(spans("playback"), metadata=tuple(metadata))
            assert caught.value.code() is code
        for service, rejected in (("playback", 0), ("search", 1)):
            answer = export(spans(service), metadata=tuple(bound.items()))
            assert rejected_spans(answer) == rejected


def test_remote_write_needs_a_token_for_every_service(closed):
    collector, folder = closed
    one = Series()
    one.labels.add(name=b"__name__", value=b"x")
    one.samples.add(timestamp=time.time_ns() // 1_000_000, value=1.0)
    body = compress_block(RawRequest(timeseries=[one.SerializeToString()]).SerializeToString())
    kind = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    bound = made(folder, "bound", "ingest", services=("playback",))
    free = made(folder, "prometheus", "ingest")
    url = f"{collector.api_url}/api/v1/write"
    for headers, status in (({}, 401), (bound, 403), (free, 204)):
        answer = requests.post(url, body, headers={**kind, **headers})
        assert answer.status_code == status, answer.text


def test_every_route_of_the_read_api_is_closed(closed):
    collector, folder = closed
    owner = {"authorization": f"Bearer {OWNER}"}
    described = requests.get(f"{collector.api_url}/openapi.json", headers=owner).json()
    paths = [*described["paths"], "/prometheus/api/v1/query", "/jaeger/api/services", "/nothing"]
    probes = {"/healthz", "/readyz"}
    assert set(described["paths"]) >= probes
    for path in paths:
        answer = requests.get(f"{collector.api_url}{path}")
        assert answer.status_code == (200 if path in probes else 401), path
    reads = made(folder, "grafana", "read")
    assert requests.get(f"{collector.api_url}/api/v1/services", headers=reads).status_code == 200
    snapshot = requests.post(
        f"{collector.api_url}/api/v1/store/snapshot", headers={**reads, "x-davylamp": "1"}
    )
    assert snapshot.status_code == 403


def test_a_revoked_token_is_over_at_once_and_refusals_are_counted(closed):
    collector, folder = closed
    sends = made(folder, "soon gone", "ingest")
    assert posted(collector, spans("playback"), sends).status_code == 200
    TokenFile(folder / "secrets" / "tokens.json").remove(sends["authorization"].split("_")[1])
    assert posted(collector, spans("playback"), sends).status_code == 401
    owner = {"authorization": f"Bearer {OWNER}"}
    told = requests.get(f"{collector.api_url}/metrics", headers=owner).text
    counted = [line for line in told.splitlines() if 'outcome="unauthenticated"' in line]
    assert any('protocol="http"' in line for line in counted)
    assert sends["authorization"][7:] not in told + collector.stderr()


def test_listening_wider_needs_tokens(tmp_path, start):
    """One sentence; with tokens required it starts."""
    with pytest.raises(AssertionError, match=r"\[access\] required = true"):
        start(HOST="0.0.0.0")
    wide = start(tmp_path / "wide", HOST="0.0.0.0", other={"ACCESS__REQUIRED": "true"})
    assert requests.get(f"{wide.api_url}/api/v1/services").status_code == 401
