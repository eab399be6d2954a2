"""A real page, scraped by the real collector, asked for in PromQL; the books closed."""

from __future__ import annotations

import http.server
import threading
import time

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import MetricsHandler


@pytest.fixture
def service():
    """prometheus-client's own server with three metrics; ``service.stop()`` takes it away."""
    registry = CollectorRegistry()
    counter = Counter("plays", "Presses.", ("device",), registry=registry)
    counter.labels("tv").inc(5)
    Gauge("queue_length", "Waiting.", registry=registry).set(3)
    Histogram("latency_seconds", "How long.", registry=registry, buckets=(0.1, 1.0)).observe(0.5)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), MetricsHandler.factory(registry))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.counter = counter
    server.address = f"127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()


def asked(collector, query):
    """Value by label set, of an instant query."""
    answer = requests.get(f"{collector.api_url}/prometheus/api/v1/query", {"query": query})
    assert answer.status_code == 200, answer.text
    return {
        tuple(sorted(one["metric"].items())): float(one["value"][1])
        for one in answer.json()["data"]["result"]
    }


def test_from_the_page_to_promql(start, tmp_path, service, wait_for):
    """Counter, gauge, histogram and ``up``; when the target dies its series end."""
    path = tmp_path / "scrape.yml"
    path.write_text(
        "scrape_configs:\n- job_name: player\n  scrape_interval: 200ms\n"
        f"  static_configs: [{{targets: ['{service.address}'], labels: {{zone: a}}}}]\n"
    )
    collector = start(
        tmp_path, SCRAPE__CONFIG_PATH=path, WAL__METRICS_INTERVAL_S=0.1, SCRAPE__REFRESH_S=0.2
    )
    wait_for(lambda: asked(collector, "plays_total"))
    (labels,) = asked(collector, "plays_total")
    expected = {
        "__name__": "plays_total",
        "device": "tv",
        "job": "player",
        "instance": service.address,
        "zone": "a",
    }
    assert dict(labels) == expected
    assert list(asked(collector, "plays_total").values()) == [5.0]
    service.counter.labels("tv").inc(2)
    wait_for(lambda: list(asked(collector, "plays_total").values()) == [7.0])
    assert list(asked(collector, "queue_length").values()) == [3.0]
    buckets = asked(collector, "latency_seconds_bucket")
    assert {dict(one)["le"]: value for one, value in buckets.items()} == {
        "0.1": 0.0,
        "1.0": 1.0,
        "+Inf": 1.0,
    }
    assert list(asked(collector, "up").values()) == [1.0]
    (shown,) = requests.get(f"{collector.api_url}/api/v1/scrape").json()["targets"]
    assert (shown["job"], shown["health"]) == ("player", "up")
    service.shutdown()
    service.server_close()
    wait_for(lambda: list(asked(collector, "up").values()) == [0.0])
    wait_for(lambda: asked(collector, "plays_total") == {})
    assert collector.metric("davylamp_scrapes_total", outcome="unreachable") > 0
    path.write_text("scrape_configs: []\n")
    wait_for(lambda: asked(collector, "up") == {})
    books = collector.settled_books()
    assert books["quarantined"] == 0
    taken = collector.metric("davylamp_scrape_samples_total", outcome="taken")
    assert books["signals"]["samples"]["received"] == taken
    assert collector.terminate() == 0
    assert "Traceback" not in collector.stderr()


@pytest.mark.slow
def test_a_wrong_file_keeps_it_from_starting(start, tmp_path):
    """With the place and what is accepted, in one sentence."""
    path = tmp_path / "scrape.yml"
    path.write_text("scrape_configs:\n- job_name: a\n  scrape_interval: never\n")
    with pytest.raises(AssertionError, match=r"scrape\.yml:3: .*scrape_interval: 'never'.*1m30s"):
        start(tmp_path, SCRAPE__CONFIG_PATH=path)


@pytest.mark.slow
def test_the_collector_scrapes_itself(start, tmp_path, wait_for):
    """Its own page is a good one."""
    path = tmp_path / "scrape.yml"
    path.write_text("")
    collector = start(
        tmp_path, SCRAPE__CONFIG_PATH=path, WAL__METRICS_INTERVAL_S=0.1, SCRAPE__REFRESH_S=0.2
    )
    address = collector.api_url.removeprefix("http://")
    path.write_text(
        "scrape_configs:\n- job_name: self\n  scrape_interval: 500ms\n"
        f"  static_configs: [{{targets: ['{address}']}}]\n"
    )
    began_s = time.monotonic()
    wait_for(lambda: asked(collector, 'davylamp_scrapes_total{outcome="ok"}'))
    assert time.monotonic() - began_s < 60
    assert list(asked(collector, "up").values()) == [1.0]
