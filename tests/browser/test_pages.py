"""Every page loads, live, in both schemes, from this machine alone; its numbers are the APIs'."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

CULPRIT = "failed playback starts · tv-legacy"
PATHS = [
    "/",
    "/service/playback?by=cohort",
    "/canaries",
    "/canary/playback-2.3.9-6",
    "/canary/playback-2.3.8-5",
    "/canary/playback-2.3.7-4",
    "/canary/playback-2.3.6-3",
    "/canary/playback-2.3.5-2",
]


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        *((path, "light") for path in PATHS),
        *((path, "dark") for path in PATHS[:4]),
        *(pytest.param(path, "dark", marks=pytest.mark.slow) for path in PATHS[4:]),
    ],
)
def test_every_page_is_drawn_without_a_complaint(visit, path, scheme):
    """No console error, no request elsewhere, no bare axes, no way to upload, nothing cut off."""
    page = visit(color_scheme=scheme).open(path)
    assert page.locator("html").get_attribute("data-mantine-color-scheme") == scheme
    assert page.locator(".part.is-stale").count() == 0
    bare = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')]"
        ".filter(p => p.checkVisibility({visibilityProperty: true}) && !p.data.length).length"
    )
    assert bare == 0
    assert page.locator(".modebar-btn").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("path", PATHS[:4])
def test_pages_fit_a_narrow_window(visit, path):
    """600 pixels: one column, no sideways scrolling of the page."""
    page = visit(width=600).open(path)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_part_says_something_in_words(visit):
    """A chart has its sentence; nothing is left at "Loading"."""
    for path in PATHS[:4]:
        page = visit().open(path)
        for part in page.locator("main .part").all():
            words = part.inner_text().strip()
            assert len(words) > 3, part.get_attribute("id")
            assert "Loading" not in words, part.get_attribute("id")


READ_FLEET_TABLE = """
[...document.querySelectorAll('#fleet-services .ag-center-cols-container .ag-row')]
  .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
  .map(row => Object.fromEntries(
    [...row.querySelectorAll('[col-id]')].map(c => [c.getAttribute('col-id'), c.innerText])))
"""


def test_the_fleet_lists_what_the_collector_heard(visit, platform):
    """Names and versions of the API; the silent service is there and called so."""
    page = visit().open("/")
    heard = platform.ask(f"{platform.collector}/api/v1/services?from=now-900s")["services"]
    page.locator("#fleet-services .ag-center-cols-container .ag-row").first.wait_for()
    # In one go: the table sorts itself anew while it is read.
    rows = page.evaluate(READ_FLEET_TABLE)
    shown = {row["name"]: row for row in rows}
    assert set(shown) == {service["service_name"] for service in heard}
    assert shown["billing"]["status"].strip().endswith("silent")
    assert shown["billing"]["rate"] == "–"
    assert shown["playback"]["versions"] == "1.9.3, 2.4.0"
    assert rows[0]["name"] in {"playback", "recommendations"}, "the worst stands first"


def test_the_numbers_of_a_service_are_the_collectors(visit, platform):
    """137 requests, 9 failed, as counted by the API and as sent."""
    red = platform.ask(f"{platform.collector}/api/v1/red?service=billing&from=now-900s&step_s=10")
    points = red["groups"][0]["points"]
    requests = sum(point["request_count"] for point in points)
    errors = sum(point["error_count"] for point in points)
    assert (requests, errors) == (137, 9)
    page = visit().open("/service/billing")
    words = page.locator("#service-errors-note").inner_text()
    assert words == f"all requests: {errors} errors in {requests} requests (6.57 %)."
    drawn = page.evaluate("document.querySelector('#service-requests-body .js-plotly-plot').data")
    assert sum(drawn[0]["y"]) * 10 == pytest.approx(requests)


def test_objectives_and_canary_are_the_analysis(visit, platform):
    """Budget, burn and the running canary's own summary."""
    page = visit().open("/")
    worst = page.locator("#fleet-slos article").first
    assert "Rows on the home page" in worst.inner_text()
    assert "overspent by 302 %" in worst.inner_text()
    assert "16.2× / 17.8×" in worst.inner_text()
    running = platform.ask(f"{platform.analysis}/api/v1/canaries")["canaries"][0]
    assert running["summary"] in page.locator("#fleet-canary").inner_text()
    assert "Error budget burning" in page.locator("#fleet-headline").inner_text()


def test_from_the_fleet_to_the_failed_trace_in_two_clicks(visit, platform):
    """Service, then trace; the failure's origin is named, and Back leads back."""
    watched = visit()
    page = watched.open("/")
    page.locator("#fleet-services").get_by_role("link", name="playback").click()
    page.wait_for_url("**/service/playback")
    watched.settle("service")
    assert page.locator("h1").inner_text() == "playback"
    link = page.locator("#service-traces .ag-row").first.get_by_role("link")
    trace_id = link.get_attribute("href").removeprefix("/trace/")
    link.click()
    page.wait_for_url(f"**/trace/{trace_id}")
    watched.settle("trace")
    spans = platform.ask(f"{platform.collector}/api/v1/traces/{trace_id}")["spans"]
    assert page.locator("#trace-spans .ag-center-cols-container .ag-row").count() == len(spans)
    words = page.locator("#trace-summary").inner_text()
    assert "The failure began in playback POST /v1/sessions: manifest unavailable." in words
    assert f"{len(spans)} spans" in words
    profiles = page.locator("#trace-spans").get_by_role("link", name="profiles")
    profiles.click()
    page.wait_for_url("**?span=*")
    page.locator("#trace-span", has_text="GET /v1/profiles").wait_for()
    page.go_back()
    page.go_back()
    page.wait_for_url("**/service/playback")


def test_the_address_is_the_state(visit):
    """Range and split are in the address, and an address opens the same page."""
    watched = visit()
    page = watched.open("/service/playback")
    page.get_by_role("link", name="canary arm").click()
    page.wait_for_url("**?by=cohort")
    page.locator("#service-requests-note", has_text="canary").wait_for()
    page.get_by_role("link", name="5m", exact=True).click()
    page.wait_for_url("**range=5m*")
    address = page.url.removeprefix(watched.origin)
    page = watched.open(address)
    assert page.locator(".option.is-current").all_inner_texts() == ["canary arm", "5m"]
    names = page.evaluate(
        "document.querySelector('#service-requests-body .js-plotly-plot').data.map(t => t.name)"
    )
    assert names == ["baseline", "canary"]


def test_a_canary_report_says_what_the_judge_said(visit, platform):
    """Verdict and reason first, on the first screen; story, metric, delivery, digests."""
    canary = platform.ask(f"{platform.analysis}/api/v1/canaries/playback-2.3.9-6")
    page = visit(width=1280, height=800).open("/canary/playback-2.3.9-6")
    verdict = page.locator("#canary-verdict")
    assert "FAIL" in verdict.inner_text()
    assert canary["summary"] in " ".join(verdict.inner_text().split())
    box = verdict.bounding_box()
    assert box["y"] + box["height"] < 800
    story = page.locator("#canary-story").inner_text()
    for step in ("declared", "verdict: FAIL", "decided: rollback", "confirmed by telemetry"):
        assert step in story
    chosen = page.locator("#canary-metrics tr.chosen").inner_text()
    assert CULPRIT in chosen
    assert "HTTP 503" in page.locator("#canary-deliveries").inner_text()
    assert "HTTP 204" in page.locator("#canary-deliveries").inner_text()
    rule = page.locator("#canary-rule").inner_text()
    assert canary["last_look"]["inputs_digest"] in rule
    assert canary["last_look"]["rule_digest"] in rule
    looks = platform.ask(f"{platform.analysis}/api/v1/canaries/playback-2.3.9-6/looks")["looks"]
    drawn = page.evaluate("document.querySelector('#canary-evidence-body .js-plotly-plot').data")
    whole = next(line for line in drawn if line["name"] == "all together")
    assert whole["y"][-1] == pytest.approx(looks[-1]["log_e_value"])
    page.get_by_role("link", name="playback startup time").click()
    page.locator("#canary-interval-note", has_text="playback startup time").wait_for()


def test_undecided_canaries_look_like_neither_pass_nor_fail(visit):
    """Another word, shape and frame, and no promise of an action."""
    frames = set()
    for path, word in (
        ("playback-2.3.9-6", "FAIL"),
        ("playback-2.3.8-5", "PASS"),
        ("playback-2.3.7-4", "INCONCLUSIVE"),
        ("playback-2.3.6-3", "INVALID"),
    ):
        page = visit().open(f"/canary/{path}")
        badge = page.locator("#canary-verdict .verdict")
        assert word in badge.inner_text()
        style = badge.evaluate(
            "e => getComputedStyle(e).borderTopStyle + getComputedStyle(e).color"
        )
        frames.add((badge.locator(".shape").inner_text(), style))
        if word in {"INCONCLUSIVE", "INVALID"}:
            assert f"No action follows from {word}." in page.locator("main").inner_text()
    assert len(frames) == 4


def test_a_running_report_follows_the_judge_without_a_reload(visit, platform):
    """New looks move the lines; the verdict appears by itself."""
    watched = visit()
    page = watched.open("/canary/playback-2.4.0-7")
    page.evaluate("window.isStillThisPage = true")
    before = platform.ask(f"{platform.analysis}/api/v1/canaries/playback-2.4.0-7")
    assert before["state"] in {"warming", "observing"}
    count = "document.querySelector('#canary-evidence-body .js-plotly-plot').data.at(-2).x.length"
    looks = before["looks"]
    watched.until("document.querySelector('#canary-evidence-body .js-plotly-plot') !== null")
    watched.until(f"{count} === {looks}")
    platform.advance(2)
    watched.until(f"{count} === {looks + 2}")
    platform.advance(300)
    page.locator("#canary-verdict .verdict-failed").wait_for()
    after = platform.ask(f"{platform.analysis}/api/v1/canaries/playback-2.4.0-7")
    assert after["summary"] in " ".join(page.locator("#canary-verdict").inner_text().split())
    assert page.evaluate("window.isStillThisPage") is True


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    "path", [PATHS[0], *(pytest.param(path, marks=pytest.mark.slow) for path in PATHS[1:4])]
)
def test_an_open_page_costs_little(visit, platform, path):
    """Server CPU, requests, and how much the layout jumped; printed, and bounded generously."""
    watched = visit()
    page = watched.page
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
        "e => { if (!e.hadRecentInput) window.shift += e.value }))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    watched.open(path)
    page.wait_for_timeout(1500)
    start_s, start_cpu_s, start_posts = (
        time.monotonic(),
        cpu_s(platform.dashboards_pid),
        watched.posts,
    )
    page.wait_for_timeout(6000)
    spent_s = time.monotonic() - start_s
    share = (cpu_s(platform.dashboards_pid) - start_cpu_s) / spent_s
    updates = (watched.posts - start_posts) / spent_s
    shift = page.evaluate("window.shift")
    print(
        f"\n{path}: {100 * share:.1f} % of a core, {updates:.2f} updates/s, "
        f"layout shift {shift:.3f}"
    )
    assert share < 0.10
    assert 0.3 < updates < 1.3, "one update a second, fewer when the machine is busy"
    assert shift < 0.1
