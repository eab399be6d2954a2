"""The health page says what is wrong, and nothing when nothing is."""

from __future__ import annotations

import os
import time

import pytest
import requests

from collector.testing import SECOND_NS, metrics_request, resource, trace_request


def gauge(service, offset_s=0):
    point = {"time": time.time_ns() + offset_s * SECOND_NS, "value": 1.0}
    return metrics_request(resource(service), "healthy", "gauge", [point])


def test_all_is_well_and_then_it_is_not(start, tmp_path):
    """Lag, queue, log, parts, services; then each ill by its name."""
    path = tmp_path / "scrape.yml"
    path.write_text("")
    collector = start(tmp_path, SCRAPE__CONFIG_PATH=path, SCRAPE__REFRESH_S=0.1)
    assert collector.post("metrics", gauge("well")).status_code == 200
    collector.settled_books()
    found = collector.get("/api/v1/health")
    assert (found["status"], found["reasons"]) == ("ok", [])
    assert (found["lag_s"], found["pending_items"], found["wal_bytes"]) == (0, 0, 0)
    tables = {one["table"]: one for one in found["tables"]}
    assert tables["number_points"]["rows"] == 1
    assert tables["number_points"]["parts"] >= 1
    assert tables["number_points"]["bytes"] > 0
    assert found["free_bytes"] > 0
    assert found["series"] == 1
    assert found["retention_s"]["spans"] == 259_200
    (service,) = found["services"]
    assert (service["service"], service["coverage_ratio"]) == ("well", 1.0)
    assert collector.post("metrics", gauge("late", -3_600)).status_code == 200
    bad = {"trace_id": bytes(16), "span_id": os.urandom(8), "start": time.time_ns()}
    assert collector.post("traces", trace_request(resource("s"), [bad])).status_code == 200
    path.write_text("oops: 1")
    deadline_s = time.monotonic() + 10
    while not (found := collector.get("/api/v1/health"))["scrape_problems"]:
        assert time.monotonic() < deadline_s
    assert found["status"] == "degraded"
    assert any("'late' is 3600 s behind" in reason for reason in found["reasons"])
    assert any("scrape.yml:1: oops" in reason for reason in found["reasons"])
    assert found["rejected"]["traces"] == {"invalid_id": 1}


@pytest.mark.slow
def test_pressure_is_a_reason(start):
    """Also told while nothing is asked of the store."""
    collector = start(OVERLOAD__SHED_TRACES_RATIO=0.001)
    found = collector.get("/api/v1/health")
    assert found["reasons"] == ["memory is short: traces are refused"]
    assert requests.get(f"{collector.api_url}/readyz").status_code == 200
