"""Logs over all three ways in; metrics where Prometheus takes OTLP."""

from __future__ import annotations

import os
import time

import grpc
import pytest
import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from collector.testing import logs_request, metrics_request, resource

METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def record(body, **more):
    return {"time": time.time_ns(), "body": body, "trace_id": os.urandom(16), **more}


def over_protobuf(collector, request):
    answer = collector.post("logs", request)
    return answer.status_code, answer.content


def over_grpc(collector, request):
    with grpc.insecure_channel(collector.grpc_address) as channel:
        return 200, channel.unary_unary(METHOD)(request.SerializeToString(), timeout=10)


@pytest.fixture
def stored(collector, wait_for):
    """The log records of a service, once there are as many as expected."""

    def run(service, count):
        def found():
            logs = collector.get("/api/v1/logs", service=service)["logs"]
            return logs if len(logs) == count else None

        return wait_for(found)

    return run


@pytest.mark.parametrize("send", [over_protobuf, over_grpc])
def test_logs_are_taken_and_found(collector, stored, send):
    """The answer is empty, the record is found by its trace."""
    service = f"logs-{send.__name__}"
    one = record("hello", attributes={"n": 1})
    assert send(collector, logs_request(resource(service), [one])) == (200, b"")
    (log,) = stored(service, 1)
    assert log["body"] == "hello"
    trace_id = one["trace_id"].hex()
    assert collector.get(f"/api/v1/traces/{trace_id}/logs")["logs"] == [log]


@pytest.mark.parametrize("send", [over_protobuf, over_grpc])
def test_bad_records_are_told(collector, stored, send):
    """One too old, one without any time, one with half a trace id: the last one stays."""
    service = f"bad-logs-{send.__name__}"
    records = [
        record("good"),
        record("ancient", time=10**18),
        record("timeless", time=0),
        record("half", trace_id=b"half"),
    ]
    before = collector.settled_books()["signals"]["logs"]
    status, body = send(collector, logs_request(resource(service), records))
    assert status == 200
    partial = ExportLogsServiceResponse.FromString(body).partial_success
    assert partial.rejected_log_records == 2
    assert "too_old" in partial.error_message
    assert "trace_id must be empty or 16" in partial.error_message
    logs = {log["body"]: log for log in stored(service, 2)}
    assert set(logs) == {"good", "half"}
    assert logs["half"]["trace_id"] == ""
    after = collector.settled_books()["signals"]["logs"]
    assert after["stored"] - before["stored"] == 2
    assert sum(after["rejected"].values()) - sum(before["rejected"].values()) == 2


def test_json_logs_keep_any_body(collector, stored):
    """A body that is a map is text in JSON; ids are hex."""
    trace_id = os.urandom(16).hex()
    body = {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "json-logs"}}]
                },
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": str(time.time_ns()),
                                "severityNumber": 17,
                                "traceId": trace_id,
                                "body": {
                                    "kvlistValue": {
                                        "values": [{"key": "n", "value": {"intValue": "5"}}]
                                    }
                                },
                            }
                        ]
                    }
                ],
            }
        ]
    }
    answer = requests.post(f"{collector.http_url}/v1/logs", json=body, headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    (log,) = stored("json-logs", 1)
    assert log["body"] == '{"n":5}'
    assert (log["trace_id"], log["severity_number"]) == (trace_id, 17)


def test_metrics_are_taken_where_prometheus_takes_them(collector, wait_for):
    """For senders that were pointed at a Prometheus."""
    point = {"time": time.time_ns(), "value": 1}
    request = metrics_request(resource("moved"), "moved.here", "gauge", [point])
    url = f"{collector.http_url}/api/v1/otlp/v1/metrics"
    answer = requests.post(url, request.SerializeToString(), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")

    def is_found():
        names = [one["name"] for one in collector.get("/api/v1/metrics")["metrics"]]
        return "moved.here" in names

    wait_for(is_found)
