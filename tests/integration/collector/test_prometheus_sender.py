"""Debian's Prometheus as the sender: it scrapes a page of prometheus-client and writes it to us."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time

import pytest
import requests
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed (Debian: prometheus)"
)

CONFIG = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: page
    static_configs:
      - targets: ["127.0.0.1:{page}"]
remote_write:
  - url: {url}/api/v1/write
    queue_config:
      batch_send_deadline: 200ms
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def page():
    """A page with a counter and a gauge; its port."""
    registry = CollectorRegistry()
    Counter("lamps_lit", "Lamps.", ["mine"], registry=registry).labels("deep").inc(41)
    Gauge("air_ratio", "Air.", registry=registry).set(0.21)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sender(page, start, tmp_path):
    """(our collector, the port of a Prometheus that writes to it)."""
    collector = start(tmp_path / "ours", WAL__SAMPLES_INTERVAL_S=0.1)
    port, file = free_port(), tmp_path / "prometheus.yml"
    file.write_text(CONFIG.format(page=page, url=collector.api_url))
    process = subprocess.Popen(
        ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'theirs'}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield collector, port
    process.kill()
    process.wait()


def query(url, expression, at_s):
    answer = requests.get(f"{url}/api/v1/query", {"query": expression, "time": at_s}, timeout=5)
    return {
        tuple(sorted(one["metric"].items())): one["value"][1]
        for one in answer.json()["data"]["result"]
    }


def test_what_prometheus_scraped_is_here_as_it_is_there(sender, wait_for):
    """Labels and values of all series of the page, at a time both have."""
    collector, port = sender
    ours, theirs = f"{collector.api_url}/prometheus", f"http://127.0.0.1:{port}"
    wanted = '{__name__=~"lamps_lit_total|air_ratio|up"}'
    wait_for(lambda: len(query(ours, wanted, time.time() - 2)) == 3, 30.0)
    at_s = time.time() - 1
    times = "timestamp(lamps_lit_total)"
    wait_for(lambda: query(ours, times, at_s) == query(theirs, times, at_s))
    found = query(ours, wanted, at_s)
    assert found == query(theirs, wanted, at_s)
    assert {dict(labels)["__name__"]: value for labels, value in found.items()} == {
        "lamps_lit_total": "41",
        "air_ratio": "0.21",
        "up": "1",
    }
    assert collector.books()["signals"]["samples"]["rejected"] == {}
