"""The analysis API's answers in their agreed form, from the real judge over generated blocks.

One canary of every kind of ending, and one still running that moves on with each
``POST /test/advance``, so that a test decides when there is news.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from analysis.canary.config import CanaryConfig, default_config_text, load_canary_config
from analysis.canary.evidence import Look
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, START, Release, Traffic, blocks_of_seconds

SECOND_NS = 1_000_000_000
ARMS = Traffic(baseline_per_s=16.0, canary_per_s=14.0)
BAD = Release("fails on old televisions", legacy_failure_ratio=0.3)
STATES = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive", "invalid": "invalid"}


def rule(**changes) -> CanaryConfig:
    """The shipped rule, with a shorter horizon so that an undecided canary ends soon."""
    return replace(load_canary_config(default_config_text()), **changes)


def looks_of(
    config: CanaryConfig, release: Release, started: int, *, seed: int, silent_after_s: int = 10**6
) -> Iterator[Look]:
    """The judge's looks, one a second, shifted to begin at ``started``."""
    judge = CanaryJudge(config, started)
    shift = started - START
    rng = np.random.default_rng(seed)
    stream = blocks_of_seconds(ARMS, release, int(config.horizon_s) + 5, rng)
    for second, (now, blocks) in enumerate(stream):
        moved = {
            key: [
                replace(
                    block,
                    start_unix_nano=block.start_unix_nano + shift,
                    end_unix_nano=block.end_unix_nano + shift,
                    canary=block.canary if second < silent_after_s else None,
                )
                for block in given
            ]
            for key, given in blocks.items()
        }
        look = judge.look(moved, now + shift)
        yield look
        if look.final:
            return


class Canary:
    """One canary and all its looks so far."""

    def __init__(self, deployment_id, version, started, looks: Iterator[Look], seconds=0) -> None:
        self.deployment_id, self.version, self.started = deployment_id, version, started
        self._coming = looks
        self.looks: list[Look] = []
        self.advance(seconds or 10**6)

    def advance(self, seconds: int) -> None:
        """Take up to that many more looks."""
        for _, look in zip(range(seconds), self._coming, strict=False):
            self.looks.append(look)

    def to_json(self, *, with_look: bool) -> dict:
        """The agreed form of a canary."""
        last = self.looks[-1] if self.looks else None
        verdict = last.verdict if last else None
        state = "declared"
        if last is not None:
            state = "warming" if last.reason == "warming" else "observing"
        if verdict is not None and verdict.final:
            state = STATES[str(verdict.kind)]
        return {
            "deployment_id": self.deployment_id,
            "environment": "demo",
            "service": "playback",
            "baseline": {"version": "1.9.3", "digest": "sha256:11", "instances": ["p-1", "p-2"]},
            "canary": {"version": self.version, "digest": "sha256:22", "instances": ["c-1"]},
            "started_unix_nano": self.started,
            "expires_unix_nano": self.started + 900 * SECOND_NS,
            "declared_unix_nano": self.started,
            "state": state,
            "reason": str(last.reason) if last else "declared",
            "summary": last.summary if last else "Declared; no look yet.",
            "looks": len(self.looks),
            "verdict": verdict.to_json() if verdict else None,
            "decision": self.decision(),
            "last_look": last.to_json() if last and with_look else None,
        }

    def decision(self) -> dict | None:
        """What follows from a final PASS or FAIL, all steps done."""
        verdict = self.looks[-1].verdict if self.looks else None
        if verdict is None or not verdict.final or str(verdict.kind) not in {"pass", "fail"}:
            return None
        at = verdict.unix_nano
        action = "rollback" if str(verdict.kind) == "fail" else "promotion"
        return {
            "decision_id": f"dec-{self.deployment_id}",
            "deployment_id": self.deployment_id,
            "environment": "demo",
            "service": "playback",
            "action": action,
            "sequence": 1,
            "state": "confirmed",
            "reason": {
                "verdict": str(verdict.kind),
                "summary": verdict.summary,
                "culprit_metric": verdict.culprit_metric,
                "culprit_split": verdict.culprit_split,
            },
            "created_unix_nano": at + 40_000_000,
            "expires_unix_nano": at + 600 * SECOND_NS,
            "delivered_unix_nano": at + 1_400_000_000,
            "acknowledged_unix_nano": at + 1_460_000_000,
            "completed_unix_nano": at + 3_900_000_000,
            "confirmed_unix_nano": at + 9_100_000_000,
            "history": [{"unix_nano": at + 40_000_000, "what": "requested"}],
        }

    def deliveries(self) -> list[dict]:
        """Two attempts: the first met a receiver that was busy."""
        decision = self.decision()
        if decision is None:
            return []
        at = decision["created_unix_nano"]
        attempts = [
            {"unix_nano": at, "status": 503, "error": None, "duration_s": 0.012},
            {"unix_nano": at + 1_350_000_000, "status": 204, "error": None, "duration_s": 0.008},
        ]
        return [
            {
                "webhook_id": f"msg-{self.deployment_id}",
                "decision_id": decision["decision_id"],
                "endpoint_id": "deploy-controller",
                "url": "http://127.0.0.1:7000/webhooks",
                "state": "delivered",
                "attempts": attempts,
                "due_unix_nano": None,
                "expires_unix_nano": decision["expires_unix_nano"],
            }
        ]


def sample_canaries(now: int) -> list[Canary]:
    """Newest first: running, failed, passed, inconclusive, invalid, just declared long ago."""
    short = rule(horizon_s=90.0)
    unfair = rule(declared_canary_share_ratio=0.25)

    def started(ago_s: int) -> int:
        return now - ago_s * SECOND_NS

    return [
        Canary("playback-2.4.0-7", "2.4.0", started(6), looks_of(rule(), BAD, started(6), seed=3), 6),
        Canary("playback-2.3.9-6", "2.3.9", started(300), looks_of(rule(), BAD, started(300), seed=4)),
        Canary("playback-2.3.8-5", "2.3.8", started(900), looks_of(rule(), HEALTHY, started(900), seed=5)),
        Canary(
            "playback-2.3.7-4", "2.3.7", started(1800),
            looks_of(short, HEALTHY, started(1800), seed=6, silent_after_s=40),
        ),
        Canary("playback-2.3.6-3", "2.3.6", started(2400), looks_of(unfair, HEALTHY, started(2400), seed=7)),
        Canary("playback-2.3.5-2", "2.3.5", started(3000), iter(())),
    ]  # fmt: skip


def sample_slos(now: int) -> list[dict]:
    """One within budget, one overspent."""
    windows = [("page", 14.4, 300.0, 30.0), ("ticket", 6.0, 1800.0, 150.0)]
    rows = [
        ("playback-start-availability", "Playback starts", 0.99, 0.0062, 0.38, 0.9, "ok"),
        ("recommendations-availability", "Rows on the home page", 0.995, 0.0201, -3.02, 16.2, "burning"),
    ]  # fmt: skip
    return [
        {
            "name": name,
            "service": name.split("-")[0],
            "display_name": title,
            "objective_ratio": objective,
            "window_s": 3600.0,
            "state": state,
            "good": 1_000_000 * (1 - errors),
            "total": 1_000_000,
            "error_ratio": errors,
            "budget_remaining_ratio": left,
            "burn_rates": [
                {
                    "severity": severity,
                    "factor": factor,
                    "long_window_s": long_s,
                    "short_window_s": short_s,
                    "long_burn": burn,
                    "short_burn": burn * 1.1,
                    "firing": burn > factor,
                }
                for severity, factor, long_s, short_s in windows
            ],
            "evaluated_unix_nano": now,
            "summary": f"{100 * (1 - errors):.2f} % over the last hour.",
        }
        for name, title, objective, errors, left, burn, state in rows
    ]


def sample_events(canaries: list[Canary]) -> list[dict]:
    """What happened to the canaries, newest first."""
    events = []
    for canary in canaries:
        name = f"playback {canary.version}"
        steps = [("canary_declared", canary.started, f"Canary {name} declared", "25 % of accounts")]
        verdict = canary.looks[-1].verdict if canary.looks else None
        if verdict is not None and verdict.final:
            title = f"{name}: {str(verdict.kind).upper()}"
            steps.append(("verdict", verdict.unix_nano, title, verdict.summary))
        decision = canary.decision()
        if decision is not None:
            word = {"rollback": "Rollback", "promotion": "Promotion"}[decision["action"]]
            steps += [
                ("decision", decision["created_unix_nano"], f"{word} of {name} requested", ""),
                ("completed", decision["completed_unix_nano"], f"{word} of {name} completed", ""),
                ("confirmed", decision["confirmed_unix_nano"], f"{word} of {name} confirmed", ""),
            ]
        events += [
            {
                "unix_nano": at,
                "kind": kind,
                "service": "playback",
                "deployment_id": canary.deployment_id,
                "title": title,
                "detail": detail,
            }
            for kind, at, title, detail in steps
        ]
    return sorted(events, key=lambda event: -event["unix_nano"])


def build_app(now: int) -> FastAPI:
    """The reads of the analysis API, and a lever for tests."""
    app = FastAPI()
    canaries = sample_canaries(now)
    by_id = {canary.deployment_id: canary for canary in canaries}

    @app.get("/api/v1/canaries")
    async def list_canaries(limit: int = 100) -> dict:
        return {"canaries": [c.to_json(with_look=False) for c in canaries[:limit]]}

    @app.get("/api/v1/canaries/{deployment_id}")
    async def one_canary(deployment_id: str):
        if deployment_id not in by_id:
            error = {"code": "not_found", "message": "no such canary", "accepted": "a known id"}
            return JSONResponse({"error": error}, 404)
        return by_id[deployment_id].to_json(with_look=True)

    @app.get("/api/v1/canaries/{deployment_id}/looks")
    async def looks(deployment_id: str, after_index: int = -1, limit: int = 500) -> dict:
        chosen = [look for look in by_id[deployment_id].looks if look.index > after_index]
        return {"looks": [look.to_json() for look in chosen[:limit]]}

    @app.get("/api/v1/deliveries")
    async def deliveries(decision_id: str = "") -> dict:
        found = [d for c in canaries for d in c.deliveries()]
        return {"deliveries": [d for d in found if d["decision_id"] == decision_id]}

    @app.get("/api/v1/slos")
    async def slos() -> dict:
        return {"slos": sample_slos(now)}

    @app.get("/api/v1/anomalies")
    async def anomalies() -> dict:
        return {"anomalies": [SAMPLE_ANOMALY | {"since_unix_nano": now - 90 * SECOND_NS}]}

    @app.get("/api/v1/events")
    async def events() -> dict:
        return {"events": sample_events(canaries)}

    @app.post("/test/advance")
    async def advance(seconds: int) -> dict:
        by_id["playback-2.4.0-7"].advance(seconds)
        return {"looks": len(by_id["playback-2.4.0-7"].looks)}

    return app


SAMPLE_ANOMALY = {
    "name": "playback.start.failures",
    "service": "playback",
    "attributes": {"playback.device.class": "tv-legacy"},
    "state": "anomalous",
    "log_statistic": 9.1,
    "threshold_log": 6.9,
    "expected_ratio": 0.006,
    "observed_ratio": 0.081,
    "summary": "8.10 % of starts on tv-legacy fail, 0.60 % expected.",
}
