"""Every kind of objective that runs, from a file to the status and to what looks back on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from yarl import URL

from analysis.api import Desk
from analysis.metrics import Metrics
from analysis.slo.objectives import load_objectives
from analysis.slo_api import Looker, add_looking_back
from collector.access.desk import AccessDesk
from davylamp.config import analysis_config, load_settings

CALENDAR = """
  timeWindow:
    - duration: 1M
      isRolling: false
      calendar: {startTime: "2026-01-01 00:00:00", timeZone: Europe/Berlin}
"""
ROLLING = """
  timeWindow: [{duration: 1d, isRolling: true}]
"""
RATIO = """
          ratioMetric:
            counter: true
            bad: {metricSource: {type: davylamp, spec: {metric: playback.starts,
              attribute: playback.outcome, values: [failure_technical]}}}
            total: {metricSource: {type: davylamp, spec: {metric: playback.starts,
              attribute: playback.outcome, values: [success, failure_technical]}}}
"""
INDICATOR = f"""  indicator:
        metadata: {{name: starts}}
        spec:{RATIO}"""


def slo(name, method, window, objectives, indicator=INDICATOR):
    return (
        f"apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n"
        f"  service: playback\n{indicator}\n  budgetingMethod: {method}{window}  objectives:\n"
        f"{objectives}---\n"
    )


FILE = (
    slo("month", "Occurrences", CALENDAR, "    - target: 0.9\n")
    + slo(
        "minutes",
        "Timeslices",
        ROLLING,
        "    - {target: 0.9, timeSliceTarget: 0.8, timeSliceWindow: 1m}\n"
        "    - {target: 0.5, timeSliceTarget: 0.99, timeSliceWindow: 1m, displayName: strict}\n",
    )
    + slo("shares", "RatioTimeslices", CALENDAR, "    - {target: 0.9, timeSliceWindow: 1m}\n")
    + slo(
        "shop",
        "Occurrences",
        ROLLING,
        f"    - target: 0.9\n      compositeWeight: 0.5\n    {INDICATOR}"
        f"    - target: 0.8\n      compositeWeight: 0.5\n    {INDICATOR}",
        indicator="",
    )
)
NAMES = ("month", "minutes/0", "minutes/strict", "shares", "shop", "shop/0", "shop/1")


@contextlib.asynccontextmanager
async def served(app):
    """On a socket that listens from the start, so that nobody has to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1/slos"
        server.should_exit = True
        await task


@pytest.fixture
def asked(stage, tmp_path):
    """Status and explanation of every objective, over HTTP, for the objectives of a file."""

    async def ask(objectives):
        shipped = analysis_config(load_settings((), {}))
        metrics = Metrics(CollectorRegistry())
        access = AccessDesk(shipped.access, stage.clock)
        desk = Desk(
            stage.ledger,
            stage.clock,
            metrics,
            access=access,
            secret_files=(),
            files=shipped.secret_files,
            is_alive=lambda: True,
        )
        app = FastAPI()
        add_looking_back(app, Looker(desk, stage.client, objectives))
        found = {}
        async with served(app) as url, aiohttp.ClientSession() as http:
            for name in NAMES:
                path = URL(f"{url}/{name.replace('/', '%2F')}/explain", encoded=True)
                async with http.get(path) as answer:
                    body = await answer.json()
                    assert answer.status == 200, body
                numbers = {one["name"]: one["value"] for one in body["numbers"]}
                found[name] = numbers["budget_remaining_ratio"]
            async with http.get(url.replace("slos", "slo-report?from=now-10m")) as answer:
                report = await answer.json()
            async with http.get(f"{url}/shop/whatif") as answer:
                whatif = (answer.status, await answer.text())
        return found, report, whatif

    return ask


async def test_every_kind_runs_and_is_looked_back_on(stage, asked, tmp_path):
    path = tmp_path / "objectives.yaml"
    path.write_text(FILE, "utf-8")
    runner = await stage.new_runner(objectives_path=str(path))
    await runner.fleet.start()
    stage.fleet.has_canary = False
    behaviour = stage.fleet.stable
    behaviour.plays_per_s = 6.0
    for second in range(55):
        bad = 0.5 if second < 30 else 0.0
        behaviour.failure_ratio = behaviour.legacy_failure_ratio = bad
        await stage.second(look=False)
        if second % 10 == 9:
            await runner.fleet.tick()
    statuses = {one["name"]: one for one in stage.ledger.statuses("slo")}
    assert set(statuses) == set(NAMES)
    assert statuses["minutes/0"]["total"] == 1
    assert statuses["month"]["period"]["time_zone"] == "Europe/Berlin"
    assert statuses["month"]["budget_projected_remaining_ratio"] is not None
    stage.clock.advance(310.0)  # a month is looked at in slices of five minutes
    objectives = load_objectives({"objectives.yaml": FILE})
    found, report, whatif = await asked(objectives)
    rows = {one["name"]: one for one in report["objectives"]}
    assert set(rows) == set(NAMES)
    for name, status in statuses.items():
        # Failures ended long before the newest status; what came after was good.
        assert rows[name]["bad"] == pytest.approx(status["total"] - status["good"], abs=1e-6), name
        assert rows[name]["bad"] > 0
        assert found[name] >= status["budget_remaining_ratio"] - 1e-9
    assert whatif[0] == 422
    assert "shop/0, shop/1" in whatif[1]
