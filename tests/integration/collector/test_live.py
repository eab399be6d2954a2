"""New traces arrive on an open stream once each, and only those that were asked for."""

from __future__ import annotations

import json
import os
import time

import pytest
import requests

from collector.query.live import MAX_TAILS
from collector.testing import resource, trace_request

PATH = "/api/v1/traces/live"


def send(collector, service, **changes):
    trace_id = os.urandom(16)
    ids = {"trace_id": trace_id, "span_id": os.urandom(8), "start": time.time_ns()}
    collector.post("traces", trace_request(resource(service), [ids | changes]))
    return trace_id.hex()


def events(answer, count, timeout_s=20.0):
    """The first ``count`` events of a stream: (kind, data)."""
    ends_s = time.monotonic() + timeout_s
    found, kind = [], None
    for line in answer.iter_lines(decode_unicode=True):
        assert time.monotonic() < ends_s, f"only {found}"
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((kind, json.loads(line.removeprefix("data: "))))
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {found}")


def opened(collector, **query):
    return requests.get(f"{collector.api_url}{PATH}", query, stream=True, timeout=30)


def test_what_is_asked_for_comes_once_in_order(collector):
    with opened(collector, service="live", error="true") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        send(collector, "live")
        send(collector, "other", status=2)
        first = send(collector, "live", status=2)
        ((kind, trace),) = events(answer, 1)
        assert (kind, trace["trace_id"], trace["error_count"]) == ("trace", first, 1)
    with opened(collector, service="live-2") as answer:
        wanted = []
        for _ in range(3):
            wanted.append(send(collector, "live-2"))
            time.sleep(0.3)
        found = events(answer, 3)
        assert [trace["trace_id"] for _, trace in found] == wanted


@pytest.mark.parametrize("query", [{"error": "perhaps"}, {"from": "now-1h"}, {"match": "x"}])
def test_a_wrong_question_is_no_stream(collector, query):
    answer = opened(collector, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_parameter")


def test_streams_are_few_and_closing_one_makes_room(collector, wait_for):
    streams = [opened(collector, service=f"many-{n}") for n in range(MAX_TAILS)]
    try:
        refused = opened(collector)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        streams.pop().close()

        def has_room():
            with opened(collector) as one:
                return one.status_code == 200

        wait_for(has_room)
    finally:
        for one in streams:
            one.close()


def test_a_trace_named_live_is_not_hidden(collector):
    """Ids are hexadecimal, so the path takes nothing from them."""
    answer = requests.get(f"{collector.api_url}/api/v1/traces/{'0' * 31}1")
    assert answer.status_code in {200, 404}
