"""Real processes behind real pages in Debian's Chromium, without a display and without a network.

Playwright's synchronous interface drives it: browser tests are plain functions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)


def chromium_path() -> str | None:
    for name in (os.environ.get("DAVYLAMP_CHROMIUM"), "chromium", "chromium-browser"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


class Child:
    """A process that says in one line that it is ready."""

    def __init__(self, *arguments: str, **settings: object) -> None:
        kept = {name: value for name, value in os.environ.items() if "DAVYLAMP_" not in name}
        path = os.pathsep.join(p for p in sys.path if p)
        values = {f"DAVYLAMP_{name}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**kept, **values, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        if "{" not in line:
            self.end()
            raise AssertionError(f"{arguments} did not get ready: {line!r}")
        self.said = json.loads(line[line.index("{") :])

    def end(self) -> None:
        """Kill it; again does nothing."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@dataclass
class Platform:
    """Where everything listens."""

    collector: str
    analysis: str
    dashboards: str
    dashboards_pid: int
    otlp_http_port: int
    otlp_grpc_port: int

    def ask(self, url: str) -> dict:
        with urllib.request.urlopen(url) as answer:
            return json.loads(answer.read())

    def advance(self, seconds: int) -> None:
        """Let the running canary be looked at that many more times."""
        url = f"{self.analysis}/test/advance?seconds={seconds}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()


class Starter:
    """Starts processes and ends them all."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def _start(self, *arguments: str, **settings: object) -> Child:
        child = Child(*arguments, **settings)
        self._children.append(child)
        return child

    def collector(self, folder: Path) -> Child:
        return self._start(
            "-m",
            "davylamp",
            "run",
            "collector",
            DAVYLAMP__STATE_DIR=folder,
            COLLECTOR__OTLP_GRPC_PORT=0,
            COLLECTOR__OTLP_HTTP_PORT=0,
            COLLECTOR__API_PORT=0,
        )

    def analysis(self, otlp_url: str = "") -> Child:
        """Its answers, and traffic for the collector at ``otlp_url``."""
        return self._start(str(HERE / "sample_platform.py"), otlp_url)

    def dashboards(self, *, collector_port: int, analysis_port: int) -> Child:
        return self._start(
            "-m",
            "davylamp",
            "run",
            "dashboards",
            COLLECTOR__API_PORT=collector_port,
            ANALYSIS__API_PORT=analysis_port,
            DASHBOARDS__PORT=0,
            DASHBOARDS__REFRESH_S=1.0,
            DASHBOARDS__WINDOW_S=900,
        )

    def end(self) -> None:
        for child in reversed(self._children):
            child.end()


@pytest.fixture
def start():
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """A collector with traffic, the analysis API's answers, and the dashboards."""
    starter = Starter()
    try:
        collector = starter.collector(tmp_path_factory.mktemp("state"))
        others = starter.analysis(f"http://127.0.0.1:{collector.said['otlp_http_port']}")
        ports = collector.said["api_port"], others.said["analysis_port"]
        dashboards = starter.dashboards(collector_port=ports[0], analysis_port=ports[1])
        yield Platform(
            *(f"http://127.0.0.1:{port}" for port in (*ports, dashboards.said["port"])),
            dashboards.process.pid,
            collector.said["otlp_http_port"],
            collector.said["otlp_grpc_port"],
        )
    finally:
        starter.end()


@pytest.fixture(scope="session")
def chromium():
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: install one or name it in DAVYLAMP_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and everything it should not have done."""

    page: object
    origin: str
    complaints: list[str] = field(default_factory=list)
    posts: int = 0

    def watch(self) -> None:
        page = self.page
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console {message.type}: {message.text}")

    def _request(self, request) -> None:
        self.posts += request.method == "POST"
        if not request.url.startswith((self.origin + "/", "data:", "blob:")):
            self.complaints.append(f"request to {request.url}")

    def open(self, path: str):
        """Go there and wait until no part of the page is waiting any more."""
        self.page.goto(self.origin + path)
        self.settle()
        return self.page

    def settle(self, page: str = "") -> None:
        """Every part has been drawn or says why not; ``page`` names the one to wait for, since
        the page that is being left looks settled too."""
        frame = f".page-{page}" if page else ".page"
        self.until(
            f"document.querySelector('#page {frame} .part') !== null"
            " && document.querySelector('#page .part.is-waiting') === null"
            # A part has its figure before the figure is drawn.
            " && [...document.querySelectorAll('#page .dash-graph')].every("
            "g => !g.checkVisibility({visibilityProperty: true})"
            " || g.querySelector('.js-plotly-plot')?.data)"
        )

    def until(self, expression: str, deadline_s: float = 20.0) -> None:
        """Ask until it is true. Playwright's own waiting evaluates in the page, which the pages'
        content policy forbids."""
        end_s = time.monotonic() + deadline_s
        while not self.page.evaluate(expression):
            assert time.monotonic() < end_s, f"not within {deadline_s} s: {expression}"
            self.page.wait_for_timeout(50)


@pytest.fixture
def visit(chromium, platform):
    """``visit(width=..., color_scheme=...)`` -> a watched page; complaints fail the test."""
    opened: list[Watched] = []

    def make(*, origin: str = "", width: int = 1440, height: int = 900, color_scheme="light"):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=color_scheme
        )
        watched = Watched(context.new_page(), origin or platform.dashboards)
        watched.watch()
        opened.append(watched)
        return watched

    yield make
    complaints = [line for watched in opened for line in watched.complaints]
    for watched in opened:
        watched.page.context.close()
    assert complaints == []
