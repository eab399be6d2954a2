"""The collector dies in the middle of everything; whatever it acknowledged is there, once."""

from __future__ import annotations

import os
import threading
import time

import grpc
import numpy as np
import pytest
import requests

from collector.testing import DELTA, metrics_request, resource, trace_request

PROTOBUF = {"content-type": "application/x-protobuf"}
SPANS_PER_BODY = 5
POINTS_PER_BODY = 4


class Sender(threading.Thread):
    """Sends new bodies until told to stop; each one again and again until it is acknowledged."""

    def __init__(self, number, target, protocol):
        super().__init__()
        self.number = number
        self.target = target
        self.protocol = protocol
        self.trace_ids = []
        self.points = 0
        self.retries = 0
        self.is_stopping = False

    def run(self):
        while not self.is_stopping:
            trace_id = os.urandom(16)
            self.send_until_acknowledged("traces", self.traces(trace_id))
            self.trace_ids.append(trace_id)
            self.send_until_acknowledged("metrics", self.metrics())
            self.points += POINTS_PER_BODY

    def traces(self, trace_id):
        spans = [
            {"trace_id": trace_id, "span_id": os.urandom(8), "start": time.time_ns()}
            for _ in range(SPANS_PER_BODY)
        ]
        return trace_request(resource("killed", instance=f"s{self.number}"), spans)

    def metrics(self):
        now = time.time_ns()
        points = [
            {"time": now + offset, "start": now - 1, "value": 1, "attributes": {"n": str(offset)}}
            for offset in range(POINTS_PER_BODY)
        ]
        whose = resource("killed", instance=f"s{self.number}")
        return metrics_request(whose, "killed.points", "sum", points, DELTA)

    def send_until_acknowledged(self, signal, request):
        content = request.SerializeToString()
        while not self.is_acknowledged(signal, content):
            self.retries += 1
            time.sleep(0.02)

    def is_acknowledged(self, signal, content):
        collector = self.target["collector"]
        if self.protocol == "http":
            try:
                answer = requests.post(
                    f"{collector.http_url}/v1/{signal}", content, headers=PROTOBUF, timeout=5
                )
            except requests.RequestException:
                return False
            return answer.status_code == 200
        service = {"traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService"}
        method = f"/opentelemetry.proto.collector.{service[signal]}/Export"
        try:
            with grpc.insecure_channel(collector.grpc_address) as channel:
                channel.unary_unary(method)(content, timeout=5)
        except grpc.RpcError:
            return False
        return True


def span_counts(collector, began_s):
    """Spans of every trace, asked for in windows that hold fewer than the limit."""
    counts = {}
    for start_s in np.arange(began_s - 1.0, time.time() + 1.0, 0.25):
        answer = collector.get(
            "/api/v1/traces",
            service="killed",
            limit="500",
            **{"from": f"{start_s:.6f}", "to": f"{start_s + 0.26:.6f}"},
        )
        assert not answer["truncated"]
        counts |= {one["trace_id"]: one["span_count"] for one in answer["traces"]}
    return counts


@pytest.mark.slow
def test_every_acknowledged_item_is_stored_exactly_once(start, tmp_path):
    """Five times killed under load from six senders on both protocols, then counted."""
    began_s = time.time()
    target = {"collector": start(tmp_path, WAL__TRACES_INTERVAL_S=0.2, WAL__METRICS_INTERVAL_S=0.1)}
    senders = [Sender(n, target, "grpc" if n % 3 == 0 else "http") for n in range(6)]
    for sender in senders:
        sender.start()
    rng = np.random.default_rng(11)
    try:
        for _ in range(5):
            # The wait is the moment of the crash, not a synchronisation.
            time.sleep(float(rng.uniform(0.2, 1.0)))
            target["collector"].kill()
            target["collector"] = start(
                tmp_path, WAL__TRACES_INTERVAL_S=0.2, WAL__METRICS_INTERVAL_S=0.1
            )
        time.sleep(0.3)
    finally:
        for sender in senders:
            sender.is_stopping = True
        for sender in senders:
            sender.join(20)
    assert sum(sender.retries for sender in senders) > 0, "no request was ever cut off"
    collector = target["collector"]
    collector.settled_books()
    trace_ids = [one for sender in senders for one in sender.trace_ids]
    assert len(trace_ids) > 50
    assert span_counts(collector, began_s) == {one.hex(): SPANS_PER_BODY for one in trace_ids}
    window = {"from": str(began_s - 1), "to": str(time.time() + 1)}
    requests_counted = sum(
        point["request_count"]
        for group in collector.get("/api/v1/red", service="killed", **window)["groups"]
        for point in group["points"]
    )
    assert requests_counted == len(trace_ids) * SPANS_PER_BODY
    (group,) = collector.get("/api/v1/blocks", metric="killed.points", **window)["groups"]
    assert sum(block["increase"] for block in group["blocks"]) == sum(
        sender.points for sender in senders
    )
    assert collector.metric("davylamp_store_miscounted_total") == 0
    assert collector.terminate() == 0
    assert "Traceback" not in collector.stderr()
