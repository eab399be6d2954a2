"""B30: no request, however it is made, brings in an item of a service that is not the token's."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.access.tokens import Binding
from collector.model import Signal
from collector.testing import DELTA, metrics_request, resource, trace_request
from collector.wire.scan import scan

OWN = Binding(frozenset({"own"}), frozenset({"prod"}))
NAMES = st.sampled_from(["own", "other", "OWN", "own ", "", "ówn", "own\x00"])
VALUES = st.one_of(
    NAMES.map(lambda text: AnyValue(string_value=text)),
    st.just(AnyValue(int_value=7)),
    st.just(AnyValue(bytes_value=b"own")),
    st.just(AnyValue()),
)
KEYS = st.sampled_from(["service.name", "deployment.environment.name", "service.version"])
ENVIRONMENTS = st.sampled_from(["prod", "test"]).map(lambda text: AnyValue(string_value=text))
ATTRIBUTES = st.lists(
    st.builds(lambda key, value: KeyValue(key=key, value=value), KEYS, VALUES | ENVIRONMENTS),
    max_size=5,
)


def forged(signal, now, heads):
    """A request with one item under each list of resource attributes."""
    whole = None
    for number, head in enumerate(heads):
        if signal is Signal.TRACES:
            ids = {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": now}
            request = trace_request(resource("x"), [ids])
            group = request.resource_spans[0]
        else:
            request = metrics_request(
                resource("x"), f"m{number}", "sum", [{"time": now, "value": 1.0}], DELTA
            )
            group = request.resource_metrics[0]
        del group.resource.attributes[:]
        group.resource.attributes.extend(head)
        if whole is None:
            whole = request
        else:
            whole.MergeFrom(request)
    return whole


def names_in(signal, body):
    kind = ExportTraceServiceRequest if signal is Signal.TRACES else ExportMetricsServiceRequest
    request = kind.FromString(body)
    groups = request.resource_spans if signal is Signal.TRACES else request.resource_metrics
    for group in groups:
        for one in group.resource.attributes:
            if one.key in ("service.name", "deployment.environment.name"):
                yield one.key, one.value.string_value


def holds(signal, limits, now, heads):
    request = forged(signal, now, heads)
    body = request.SerializeToString()
    scanned = scan(signal, body, limits, now_unix_nano=now, binding=OWN)
    assert set(names_in(signal, scanned.body)) <= {
        ("service.name", "own"),
        ("deployment.environment.name", "prod"),
    }
    assert scanned.item_count + scanned.rejected_count == len(heads)
    # What is its own came in: nothing is refused but what is another's.
    own = sum(
        {one.key for one in head} >= {"service.name", "deployment.environment.name"}
        and all(
            one.value.string_value == {"service.name": "own"}.get(one.key, "prod")
            for one in head
            if one.key != "service.version"
        )
        for head in heads
    )
    assert scanned.item_count == own


@given(heads=st.lists(ATTRIBUTES, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.METRICS])
def test_only_its_own_comes_in(signal, limits, now, heads):
    holds(signal, limits, now, heads)


@pytest.mark.slow
@given(heads=st.lists(ATTRIBUTES, min_size=1, max_size=4))
@settings(max_examples=10_000, deadline=None)
def test_b30_only_its_own_comes_in_ten_thousand_times(limits, now, heads):
    holds(Signal.METRICS, limits, now, heads)


def test_every_order_of_two_names_is_refused(limits, now):
    names = [
        KeyValue(key="service.name", value=AnyValue(string_value=text)) for text in ("own", "other")
    ]
    place = KeyValue(key="deployment.environment.name", value=AnyValue(string_value="prod"))
    for head in itertools.permutations([*names, place]):
        holds(Signal.TRACES, limits, now, [list(head)])
