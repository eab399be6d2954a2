"""The configuration: Prometheus' own shape, and errors that name the line."""

from __future__ import annotations

import pytest

from collector.scrape.discovery import DiscoveryFiles
from collector.scrape.errors import BadScrapeFile
from collector.scrape.jobs import size_bytes
from collector.scrape.targets import targets_of


def test_everything_a_job_may_say(jobs, tmp_path):
    """Read with its units; relative paths start at the file."""
    job = jobs(
        """
        global: {scrape_interval: 15s, scrape_timeout: 20s, sample_limit: 7}
        scrape_configs:
        - job_name: all
          scrape_interval: 1m30s
          metrics_path: /m
          scheme: https
          params: {a: [x, y], b: [z]}
          honor_labels: true
          honor_timestamps: false
          follow_redirects: false
          enable_compression: false
          fallback_scrape_protocol: PrometheusText0.0.4
          basic_auth: {username: u, password_file: secret}
          body_size_limit: 10KB
          label_limit: 3
          static_configs:
          - targets: [h:1, h:2]
            labels: {zone: 1}
          file_sd_configs:
          - files: [targets/*.json]
            refresh_interval: 5m
        """
    )["all"]
    assert (job.interval_s, job.timeout_s, job.scheme, job.metrics_path) == (90, 20, "https", "/m")
    assert job.params == (("a", "x"), ("a", "y"), ("b", "z"))
    flags = (job.honor_labels, job.honor_timestamps, job.follow_redirects, job.is_compressed)
    assert flags == (True, False, False, False)
    assert job.fallback_content_type == "text/plain"
    assert job.credentials.secret_file == tmp_path / "secret"
    assert job.limits.body_bytes == 10_240
    assert (job.limits.samples, job.limits.labels) == (7, 3)
    assert job.static_groups[0].labels == {"zone": "1"}
    assert job.discovery_files == (tmp_path / "targets/*.json",)


def test_defaults(jobs, scrape_config):
    """Prometheus' where it has any, else the collector's ceilings."""
    job = jobs("scrape_configs: [{job_name: j}]")["j"]
    assert (job.interval_s, job.timeout_s, job.metrics_path) == (60, 10, "/metrics")
    assert job.honor_timestamps
    assert not job.honor_labels
    assert job.limits.body_bytes == scrape_config.max_body_bytes
    assert job.limits.samples == scrape_config.max_samples
    short = jobs("global: {scrape_interval: 2s}\nscrape_configs: [{job_name: j}]")["j"]
    assert short.timeout_s == 2
    assert jobs("") == {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("scrape_configs:\n- job_name: j\n  scrape_intervall: 5s", 3, "scrape_interval, "),
        ("rule_files: [x]", 1, "accepted: global, scrape_configs"),
        ("scrape_configs:\n- job_name: j\n  scrape_interval: 5x", 3, "1m30s"),
        ("scrape_configs:\n- job_name: j\n  scrape_interval: 0s", 3, "longer than nothing"),
        ("scrape_configs:\n- job_name: j\n  scrape_timeout: 2m", 3, "at most 60s"),
        ("scrape_configs:\n- job_name: j\n- job_name: j", 3, "two jobs are called 'j'"),
        ("scrape_configs:\n- scheme: http", 2, "needs a job_name"),
        ("scrape_configs:\n- job_name: j\n  scheme: ftp", 3, "http, https"),
        ("scrape_configs:\n- job_name: j\n  honor_labels: 1", 3, "true or false"),
        ("scrape_configs:\n- job_name: j\n  sample_limit: -1", 3, "whole number"),
        ("scrape_configs:\n- job_name: j\n  body_size_limit: 5 apples", 3, "10MB"),
        ("scrape_configs:\n- job_name: j\n  static_configs: [h]", 3, "keys and values"),
        (
            "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['http://h/']}]",
            3,
            "without scheme",
        ),
        ("scrape_configs:\n- job_name: j\n  file_sd_configs: [{files: [a.txt]}]", 3, "json"),
        (
            "scrape_configs:\n- job_name: j\n  file_sd_configs: [{files: ['*/a.json']}]",
            3,
            "only in",
        ),
        ("scrape_configs:\n- job_name: j\n  tls_config: {}", 3, "unsupported"),
        ("scrape_configs:\n- job_name: j\n  authorization: {type: Basic}", 3, "not Basic"),
        ("scrape_configs:\n- job_name: j\n  authorization: {type: Bearer}", 3, "one of both"),
        ("scrape_configs:\n- job_name: j\n  job_name: k", 3, "given twice"),
        ("scrape_configs:\n- job_name: j\n   x: y", 3, "not YAML"),
        ("a: \x00", 1, "not YAML"),
    ],
)
def test_errors_name_the_line(jobs, text, line, words):
    """And what would be accepted."""
    with pytest.raises(BadScrapeFile, match=words) as caught:
        jobs(text)
    assert f"scrape.yml:{line}" in str(caught.value) or words == "not YAML"


def test_secrets_are_not_shown(jobs):
    """However a job is printed."""
    job = jobs("scrape_configs: [{job_name: j, authorization: {credentials: hunter2}}]")["j"]
    assert job.credentials.secret == "hunter2"
    assert "hunter2" not in repr(job)


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("5B", 5), ("1KB", 1024), ("2MiB", 2 << 20), ("1G", 1 << 30)]
)
def test_sizes(text, size):
    """Powers of 1024, as Prometheus has them."""
    assert size_bytes(text) == size


def test_targets(jobs):
    """Labels, parameters, relabelling and duplicates, as Prometheus makes targets."""
    job = jobs(
        """
        scrape_configs:
        - job_name: j
          params: {module: [one, two]}
          static_configs:
          - targets: [a:1, a:1, b:2, c:3, d:4]
            labels: {zone: z1, __meta_x: y, job: other}
          relabel_configs:
          - {source_labels: [__address__], regex: 'c:.*', action: drop}
          - {source_labels: [__address__], regex: 'd:.*', target_label: __scheme__, replacement: x}
          - source_labels: [__address__]
            regex: 'b:.*'
            target_label: __param_module
            replacement: q
          - {source_labels: [__address__], regex: 'b:.*', target_label: instance, replacement: bee}
          - source_labels: [__address__]
            regex: 'b:.*'
            target_label: __scrape_interval__
            replacement: 30s
          - {source_labels: [__meta_x], target_label: from_meta}
        """
    )["j"]
    (first, second), problems = targets_of(job, job.static_groups)
    assert first.url == "http://a:1/metrics?module=one&module=two"
    assert dict(first.labels) == {
        "job": "other",
        "instance": "a:1",
        "zone": "z1",
        "from_meta": "y",
    }
    assert second.url == "http://b:2/metrics?module=q&module=two"
    assert dict(second.labels)["instance"] == "bee"
    assert (first.interval_s, second.interval_s, second.timeout_s) == (60, 30, 10)
    assert problems == ["job j: d:4 is no target: scheme 'x'; accepted: http, https"]


def test_discovery_files_are_read_again(jobs, tmp_path):
    """JSON and YAML; a file that became wrong keeps its targets, a gone one does not."""
    job = jobs("scrape_configs: [{job_name: j, file_sd_configs: [{files: ['t*.json', u.yml]}]}]")[
        "j"
    ]
    files = DiscoveryFiles()
    assert files.groups(job) == ()
    (tmp_path / "t1.json").write_text(
        '[\n\t{"targets": ["a:1"], "labels": {"x": "\\ud83d\\ude00"}}]'
    )
    (tmp_path / "u.yml").write_text("- targets: [b:2]\n")
    first, second = files.groups(job)
    assert (first.addresses, first.labels["x"]) == (("a:1",), "\U0001f600")
    assert first.labels["__meta_filepath"] == str(tmp_path / "t1.json")
    assert second.addresses == ("b:2",)
    (tmp_path / "t1.json").write_text('[{"targets": ["a:1", "c:3"]')
    assert files.groups(job) == (first, second)
    assert files.problems() == [f"{tmp_path}/t1.json:1: not JSON: Expecting ',' delimiter"]
    (tmp_path / "t1.json").write_text('[{"targets": ["c:3"]}]')
    assert [group.addresses for group in files.groups(job)] == [("c:3",), ("b:2",)]
    assert files.problems() == []
    (tmp_path / "t1.json").unlink()
    assert [group.addresses for group in files.groups(job)] == [("b:2",)]
