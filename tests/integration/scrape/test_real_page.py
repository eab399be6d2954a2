"""The page of a real program: Debian's prometheus about itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.scrape.text_format import parse_text


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where it listens; skipped where it is not installed."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.terminate()
        process.wait(20)


def page(address, accept):
    request = urllib.request.Request(address, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["content-type"], answer.read()


def test_every_sample_is_read_as_the_second_opinion_reads_it(address):
    """Hundreds of series with labels of every kind; types too."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        body = answer.read()
    found = parse_text(body, ())
    ours = {found.new[key]: value for key, value in zip(found.keys, found.values, strict=True)}
    theirs = {}
    for family in text_string_to_metric_families(body.decode()):
        for one in family.samples:
            labels = {"__name__": one.name, **{k: v for k, v in one.labels.items() if v}}
            theirs[tuple(sorted(labels.items()))] = one.value
    assert len(ours) > 200
    assert ours.keys() == theirs.keys()
    assert {key: repr(value) for key, value in ours.items()} == {
        key: repr(float(value)) for key, value in theirs.items()
    }
    assert found.metadata["prometheus_http_request_duration_seconds"].type == "histogram"
