"""Our OTLP/JSON decoder against the official messages."""

from __future__ import annotations

import base64
import contextlib
import json

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.testing_random import filled
from collector.wire.errors import Malformed
from collector.wire.otlp_json import json_to_protobuf

REQUESTS = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}
IDS = {"traceId", "spanId", "parentSpanId"}


def otlp_json(value):
    """protobuf's JSON turned into OTLP's: ids in hex instead of base64."""
    if isinstance(value, list):
        return [otlp_json(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(one).hex() if name in IDS else otlp_json(one)
        for name, one in value.items()
    }


@pytest.mark.parametrize("signal", list(Signal))
@given(seed=st.integers(0, 2**63))
@settings(max_examples=150, deadline=None)
@example(seed=0)
def test_any_message_survives_json(signal, seed):
    """JSON of a message, decoded by us, is that message, whatever is in it."""
    kind = REQUESTS[signal]
    message = filled(kind(), np.random.default_rng(seed))
    written = otlp_json(MessageToDict(message, use_integers_for_enums=True))
    decoded = kind.FromString(json_to_protobuf(signal, json.dumps(written).encode()))
    # Compared as bytes: a message with NaN is not equal to itself.
    assert decoded.SerializeToString(deterministic=True) == message.SerializeToString(
        deterministic=True
    )


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "attributes",
                    "key",
                    "value",
                    "intValue",
                    "arrayValue",
                    "values",
                    "kind",
                    "startTimeUnixNano",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(document=st.dictionaries(st.sampled_from(["resourceSpans", "y"]), ANYTHING))
@settings(max_examples=300, deadline=None)
def test_any_json_is_decoded_or_refused(document):
    """Whatever the document, the answer is a request or Malformed."""
    try:
        decoded = json_to_protobuf(Signal.TRACES, json.dumps(document).encode())
    except Malformed:
        return
    ExportTraceServiceRequest.FromString(decoded)


@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_decoded_or_refused(body):
    """Bytes that are no JSON are Malformed, never another error."""
    with contextlib.suppress(Malformed):
        json_to_protobuf(Signal.METRICS, body)
