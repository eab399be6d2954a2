"""The whole way from a target's socket to the samples, with targets that misbehave in every way."""

from __future__ import annotations

import asyncio
import gzip
import json
import time

import pytest
from aiohttp import web

from collector.pipeline.errors import BacklogFull
from collector.scrape.errors import BadScrapeFile
from collector.scrape.scraper import Scraper


def openmetrics(text):
    headers = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
    return lambda _: web.Response(body=text.encode(), headers=headers)


async def test_a_page_becomes_samples_again_and_again(scrape, pages):
    """With the target's labels and the report of each scrape; one request per interval."""
    sink, counts, scraper = scrape()
    await sink.until(lambda s: len(s.batches) >= 3)
    labels, time_ms, value = sink.samples[0]
    assert labels == {"__name__": "a", "job": "j", "instance": pages.address}
    assert value == 1.0
    assert abs(time_ms / 1000 - time.time()) < 10
    assert sink.values("up") == [1.0] * len(sink.batches)
    assert sink.values("scrape_samples_scraped")[:2] == [1.0, 1.0]
    assert sink.values("scrape_samples_post_metric_relabeling")[0] == 1.0
    assert sink.values("scrape_series_added")[:2] == [1.0, 0.0]
    assert 0 < sink.values("scrape_duration_seconds")[0] < 5
    assert counts.outcomes[0] == "ok"
    (shown,) = scraper.status()["targets"]
    assert (shown["health"], shown["last_error"], shown["last_samples"]) == ("up", "", 1)
    sent = pages.requests[0].headers
    assert sent["Accept"].startswith("application/openmetrics-text;version=1.0.0")
    assert sent["X-Prometheus-Scrape-Timeout-Seconds"] == "0.1"


async def test_openmetrics_is_read_as_such(scrape, pages):
    """By its content type, exemplars included."""
    pages.answer = openmetrics('c_total 5 # {trace_id="t"} 1\n# EOF\n')
    sink, _, _ = scrape()
    await sink.until(lambda s: s.values("c_total"))
    assert dict(sink.batches[0].exemplars[0].labels) == {"trace_id": "t"}


async def test_gzip_and_credentials(scrape, pages, tmp_path):
    """A compressed page; a token from a file that changes."""
    token = tmp_path / "token"
    token.write_text("one\n")

    def answer(request):
        assert request.headers["Accept-Encoding"] == "gzip"
        body = gzip.compress(b"a 1\n")
        return web.Response(
            body=body, headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"}
        )

    pages.answer = answer
    sink, _, _ = scrape("  authorization: {credentials_file: token}\n")
    await sink.until(lambda s: s.values("a"))
    assert pages.requests[0].headers["Authorization"] == "Bearer one"
    token.write_text("two")
    await sink.until(lambda _: pages.requests[-1].headers["Authorization"] == "Bearer two")


async def hang(_):
    await asyncio.sleep(60)


BOMB = gzip.compress(bytes(50_000_000))


def bomb(_):
    return web.Response(
        body=BOMB,
        headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"},
    )


async def endless(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    for _ in range(100):
        await answer.write(b"# " + b"x" * 1_000_000 + b"\n")
    return answer


def redirect_to(where):
    return lambda _: web.Response(status=302, headers={"Location": where})


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(hang, "timeout", id="hangs"),
        pytest.param(lambda _: web.Response(status=500), "status", id="500"),
        pytest.param(lambda _: web.Response(status=204), "status", id="204"),
        pytest.param(redirect_to("http://192.0.2.1/metrics"), "redirect", id="other-host"),
        pytest.param(redirect_to("http://127.0.0.1:1/metrics"), "redirect", id="other-port"),
        pytest.param(redirect_to("/again"), "redirect", id="in-circles"),
        pytest.param(redirect_to("file:///etc/passwd"), "redirect", id="file"),
        pytest.param(
            lambda _: web.Response(text="<html>", content_type="text/html"),
            "content_type",
            id="html",
        ),
        pytest.param(bomb, "body_size_limit", id="gzip-bomb"),
        pytest.param(endless, "body_size_limit", id="100-MB"),
        pytest.param("a 1\nb\n", "malformed", id="no-value"),
        pytest.param(openmetrics("a 1\n"), "malformed", id="no-end"),
        pytest.param("a 1\nb 1\nc 1\nd 1\n", "sample_limit", id="too-many"),
        pytest.param(
            lambda _: web.Response(
                body=b"a 1", headers={"Content-Type": "text/plain", "Content-Encoding": "br"}
            ),
            "encoding",
            id="brotli",
        ),
    ],
)
async def test_a_bad_target_is_down_and_its_series_end(scrape, pages, answer, outcome):
    """``up`` is 0, the reason is told, and when it is well again it goes on."""
    sink, counts, scraper = scrape("  sample_limit: 3\n  body_size_limit: 1MB\n", "300ms")
    await sink.until(lambda s: s.values("a"))
    pages.answer = answer
    await sink.until(lambda s: 0.0 in s.values("up") and outcome in counts.outcomes)
    assert sink.values("a")[-1] == "stale"
    assert scraper.status()["targets"][0]["last_error"]
    pages.answer = "a 7\n"
    await sink.until(lambda s: 7.0 in s.values("a"))
    assert sink.values("up")[-1] == 1.0


async def test_redirects_on_the_same_host_are_followed(scrape, pages):
    """Unless the job says otherwise."""
    pages.answer = lambda request: (
        web.Response(text="a 1\n")
        if request.path == "/there"
        else web.Response(status=307, headers={"Location": "/there"})
    )
    sink, _, _ = scrape()
    await sink.until(lambda s: s.values("a"))


async def test_a_hanging_target_does_not_delay_the_others(scrape, pages):
    """One waits for its timeout again and again, the other keeps its beat."""

    async def answer(request):
        if request.path == "/slow":
            await asyncio.sleep(60)
        return web.Response(text="a 1\n")

    pages.answer = answer
    more = (
        "- job_name: slow\n  scrape_interval: 100ms\n  metrics_path: /slow\n"
        f"  static_configs: [{{targets: ['{pages.address}']}}]\n"
    )
    sink, _, _ = scrape(more)
    await sink.until(lambda s: len(s.values("up", job="slow")) >= 3)
    assert set(sink.values("up", job="slow")) == {0.0}
    assert len(sink.values("up", job="j")) >= 2
    assert set(sink.values("up", job="j")) == {1.0}


async def test_a_target_that_is_one_no_more_ends(scrape, pages, tmp_path):
    """Taken out of its discovery file: stale markers for its series and its report, once."""
    found = tmp_path / "found.json"
    found.write_text(json.dumps([{"targets": [pages.address], "labels": {"from": "file"}}]))
    more = (
        "- job_name: d\n  scrape_interval: 100ms\n  honor_labels: true\n"
        "  file_sd_configs: [{files: [found.json]}]\n"
    )
    sink, _, scraper = scrape(more)
    await sink.until(lambda s: s.values("a", job="d"))
    found.write_text("[]")
    await sink.until(lambda s: "stale" in s.values("up", job="d"))
    assert sink.values("a", job="d")[-1] == "stale"
    assert sink.values("scrape_duration_seconds", job="d")[-1] == "stale"
    assert [one["job"] for one in scraper.status()["targets"]] == ["j"]
    assert "stale" not in sink.values("up", job="j")


async def test_a_configuration_that_became_wrong_changes_nothing(scrape, pages, tmp_path):
    """It is told, and the next good one is taken."""
    sink, _, scraper = scrape()
    await sink.until(lambda s: s.values("a"))
    path = tmp_path / "scrape.yml"
    good = path.read_text()
    path.write_text("scrape_configs: [{job_name: j, oops: 1}]\n")
    await sink.until(lambda _: scraper.status()["problems"])
    assert "scrape.yml:1: scrape_configs[0].oops" in scraper.status()["problems"][0]
    before = len(sink.values("a"))
    await sink.until(lambda s: len(s.values("a")) > before + 1)
    path.write_text(good.replace("job_name: j", "job_name: k"))
    await sink.until(lambda s: s.values("a", job="k"))
    assert sink.values("a", job="j")[-1] == "stale"
    assert scraper.status()["problems"] == []


async def test_a_wrong_configuration_at_start_is_an_error(tmp_path):
    """So is a missing one."""
    from davylamp.config import collector_config, load_settings

    tree = load_settings(environ={})
    for text in (None, "scrape_configs: 5"):
        path = tmp_path / "wrong.yml"
        if text is not None:
            path.write_text(text)
        section = {**tree.section("collector")["scrape"], "config_path": str(path)}
        config = collector_config(tree.with_values({"collector": {"scrape": section}})).scrape
        with pytest.raises(BadScrapeFile, match=r"wrong\.yml"):
            Scraper(config, None, None, None, None)


async def test_samples_that_are_refused_are_offered_again(scrape, pages):
    """The log was full for a moment: nothing is lost; for longer: it is counted."""
    sink, counts, _ = scrape(interval="3s")
    sink.refusals = [BacklogFull("full")]
    await sink.until(lambda s: s.values("a"))
    assert sink.refusals == []
    assert ("taken", 6) in counts.samples
    assert not any(outcome == "lost" for outcome, _ in counts.samples)


async def test_no_more_targets_than_allowed(scrape, pages):
    """The rest is told, not forgotten in silence."""
    sink, _, scraper = scrape(
        f"- job_name: k\n  static_configs: [{{targets: ['{pages.address}', 'h:1']}}]\n",
        max_targets=1,
    )
    await sink.until(lambda s: s.values("a"))
    assert len(scraper.status()["targets"]) == 1
    assert scraper.status()["problems"] == ["2 targets beyond max_targets are not scraped"]
