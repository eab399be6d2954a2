"""The scan decides about every request: taken whole, in part, or refused by a typed error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model import Signal
from collector.testing_random import odd_request
from collector.wire.errors import WireError
from collector.wire.scan import scan
from collector.wire.values import make_plain, make_text

KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


def items(signal, body):
    """Encoded spans, points or records of a request, in order, by the official classes.

    Lists, maps and bytes are text in points, and any log's body is.
    """
    if signal is Signal.TRACES:
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            span
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
    elif signal is Signal.LOGS:
        request = ExportLogsServiceRequest.FromString(body)
        found = [
            record
            for group in request.resource_logs
            for scope in group.scope_logs
            for record in scope.log_records
        ]
        for record in found:
            make_text(record.body)
    else:
        request = ExportMetricsServiceRequest.FromString(body)
        found = [
            point
            for group in request.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
            for kind in KINDS
            for point in getattr(metric, kind).data_points
        ]
        for point in found:
            make_plain(point.attributes)
    return [one.SerializeToString(deterministic=True) for one in found]


def is_part_of(part, whole):
    """Whether ``part`` is ``whole`` with some elements left out."""
    rest = iter(whole)
    return all(one in rest for one in part)


@pytest.mark.parametrize("signal", list(Signal))
@given(seed=st.integers(0, 2**63), bends=st.integers(0, 12))
@settings(max_examples=200, deadline=None)
@example(seed=0, bends=0)
def test_every_item_is_kept_or_counted(signal, seed, bends, limits, now):
    """Kept and rejected items add up; kept ones are the sender's, in order; again changes nothing.

    Spans whose parent was repaired differ from the sender's, so only their number is compared.
    """
    body = odd_request(signal, np.random.default_rng(seed), now, bends=bends).SerializeToString()
    sent = items(signal, body)
    scanned = scan(signal, body, limits, now_unix_nano=now)
    kept = items(signal, scanned.body)
    assert scanned.item_count == len(kept)
    assert scanned.item_count + scanned.rejected_count == len(sent)
    if not scanned.repaired:
        assert is_part_of(kept, sent)
    again = scan(signal, scanned.body, limits, now_unix_nano=now)
    assert (again.body, again.item_count, again.rejected_count) == (scanned.body, len(kept), 0)


@pytest.mark.parametrize("signal", list(Signal))
@given(seed=st.integers(0, 2**63), data=st.data())
@settings(max_examples=300, deadline=None)
def test_broken_bytes_are_taken_or_refused(signal, seed, data, limits, now):
    """Bytes flipped, cut or inserted anywhere: what is taken decodes, the rest is a WireError."""
    whole = odd_request(signal, np.random.default_rng(seed), now, bends=1).SerializeToString()
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body)))
        noise = data.draw(st.binary(max_size=3))
        body[place : place + data.draw(st.integers(0, 3))] = noise
    try:
        scanned = scan(signal, bytes(body), limits, now_unix_nano=now)
    except WireError:
        return
    assert len(items(signal, scanned.body)) == scanned.item_count


@given(body=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_taken_or_refused(body, limits, now):
    """Never another error, for either signal."""
    for signal in Signal:
        try:
            scan(signal, body, limits, now_unix_nano=now)
        except WireError:
            continue
