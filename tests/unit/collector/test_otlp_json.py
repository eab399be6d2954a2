"""OTLP/JSON where it differs from protobuf's JSON, and what is refused."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.wire.errors import Malformed
from collector.wire.otlp_json import json_to_protobuf


def decoded_span(**fields):
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}
    body = json_to_protobuf(Signal.TRACES, json.dumps(document).encode())
    return ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]


def decoded_point(**fields):
    document = {
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [fields]}}]}]}]
    }
    body = json_to_protobuf(Signal.METRICS, json.dumps(document).encode())
    metric = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0]
    return metric.metrics[0].gauge.data_points[0]


def test_ids_are_hex_of_any_case():
    """Not base64, which would make 24 bytes of 32 letters."""
    span = decoded_span(
        traceId="5B8EFFF798038103D269B633813FC60C",
        spanId="eee19b7ec3c1b174",
        links=[{"traceId": "00ff", "spanId": ""}],
    )
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.span_id.hex() == "eee19b7ec3c1b174"
    assert span.links[0].trace_id == b"\x00\xff"


@pytest.mark.parametrize(
    "value", [1_790_000_000_000_000_000, "1790000000000000000"], ids=["number", "text"]
)
def test_64_bit_integers_are_numbers_or_text(value):
    """Both spellings give the same nanosecond."""
    assert decoded_span(startTimeUnixNano=value).start_time_unix_nano == 1_790_000_000_000_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.5, 1.5), (2, 2.0), ("-0.25", -0.25), ("Infinity", float("inf")), ("1e3", 1000.0)],
)
def test_doubles(value, expected):
    """Numbers, decimal text, and the three names JSON has no number for."""
    assert decoded_point(asDouble=value).as_double == expected


def test_zero_is_a_value():
    """A oneof that is set to its default is set."""
    assert decoded_point(asInt="0").WhichOneof("value") == "as_int"
    assert decoded_point(asDouble=0).WhichOneof("value") == "as_double"


def test_unknown_names_null_and_snake_case_are_ignored():
    """A name OTLP/JSON does not have says nothing, whatever its value."""
    span = decoded_span(
        name="kept", trace_id="00", start_time_unix_nano=5, kind=None, future={"a": [1]}
    )
    assert span == type(span)(name="kept")


@pytest.mark.parametrize("text", ["AAECAw==", "AAECAw", "-_-_", "+/+/"])
def test_bytes_are_base64_of_either_alphabet(text):
    """Padded or not."""
    span = decoded_span(attributes=[{"key": "raw", "value": {"bytesValue": text}}])
    assert span.attributes[0].value.bytes_value in {b"\x00\x01\x02\x03", b"\xfb\xff\xbf"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"traceId": "abc"}, r"\$.*spans\[0\]\.traceId: must be an id in hex"),
        ({"traceId": "zz"}, "hex"),
        ({"traceId": " 00"}, "hex"),
        ({"traceId": 5}, "hex"),
        ({"kind": "SPAN_KIND_SERVER"}, "the enum's number"),
        ({"kind": 1.5}, "integer"),
        ({"kind": True}, "integer"),
        ({"startTimeUnixNano": -1}, "must be from 0"),
        ({"startTimeUnixNano": "18446744073709551616"}, "must be from 0"),
        ({"startTimeUnixNano": "1_000"}, "integer"),
        ({"startTimeUnixNano": " 1"}, "integer"),
        ({"startTimeUnixNano": "١"}, "integer"),
        ({"name": 5}, "must be a string"),
        ({"attributes": {}}, r"attributes: must be a list"),
        ({"attributes": [None]}, r"attributes\[0\]: KeyValue must be an object"),
        ({"attributes": [{"value": {"intValue": 1, "boolValue": True}}]}, "more than one value"),
        ({"attributes": [{"value": {"boolValue": "true"}}]}, "true or false"),
        ({"attributes": [{"value": {"doubleValue": "nan"}}]}, "NaN"),
        ({"attributes": [{"value": {"bytesValue": "!"}}]}, "base64"),
        ({"status": []}, "Status must be an object"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(fields, words):
    """The path leads to it."""
    with pytest.raises(Malformed, match=words):
        decoded_span(**fields)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"1", b'"x"', b"{", b'{"resourceSpans": NaN}', b"\xff", b"[" * 100_000],
    ids=["empty", "list", "null", "number", "text", "open", "NaN", "bytes", "deep"],
)
def test_documents_that_are_no_request(body):
    """Refused, whatever they are."""
    with pytest.raises(Malformed):
        json_to_protobuf(Signal.TRACES, body)


@pytest.mark.parametrize(("depth", "is_taken"), [(20, True), (40, False), (150, False)])
def test_nesting_is_bounded(depth, is_taken):
    """Deep lists are refused before the stack is."""
    value = {"intValue": 1}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    attributes = [{"key": "deep", "value": value}]
    if is_taken:
        assert decoded_span(attributes=attributes).attributes[0].key == "deep"
    else:
        with pytest.raises(Malformed, match="levels"):
            decoded_span(attributes=attributes)
