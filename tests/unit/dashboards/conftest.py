"""Values as the APIs give them; looks come from the real judge over generated blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.canary.config import Mode, default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, START, Release, Traffic, blocks_of_seconds
from dashboards.answers import looks as looks_answer
from dashboards.answers.collector import Edge, Instance, Red, RedGroup, RedPoint, Service
from dashboards.figures.base import Span

SECOND_NS = 1_000_000_000
T0_S = 1_790_000_000


SHIPPED = load_canary_config(default_config_text())


def judged(release: Release, seconds: int, seed: int = 4, rule=SHIPPED):
    """Looks of a canary as the pages read them, by way of JSON."""
    judge = CanaryJudge(rule, START)
    rng = np.random.default_rng(seed)
    found = []
    for now, blocks in blocks_of_seconds(Traffic(16.0, 14.0), release, seconds, rng):
        found.append(judge.look(blocks, now).to_json())
        if found[-1]["final"]:
            break
    return looks_answer.looks({"looks": found})


@pytest.fixture(scope="session")
def failed_looks():
    """A bad release, up to its FAIL."""
    looks = judged(Release("bad", legacy_failure_ratio=0.3), 120)
    assert looks[-1].verdict == "fail"
    return looks


@pytest.fixture(scope="session")
def good_looks():
    """Forty seconds of a good release."""
    return judged(HEALTHY, 40)


@pytest.fixture
def judged_once():
    """Looks of a good release, all metrics or some of them in a mode that answers once."""

    def make(mode, *names):
        metrics = tuple(
            replace(m, mode=Mode(mode), point_s=1) if not names or m.name in names else m
            for m in SHIPPED.metrics
        )
        rule = replace(SHIPPED, metrics=metrics, horizon_s=12.0)
        looks = judged(HEALTHY, 12, rule=rule)
        assert looks[-1].final
        return looks

    return make


def service(name="playback", *, errors=0.0, rate=10.0, seen_s=0.0, p99_s=0.2, now=T0_S):
    last = int((now - seen_s) * SECOND_NS)
    return Service(
        name=name,
        versions=("1.0",),
        instances=(Instance(f"{name}-1", "1.0", "eu-west", "eu-west-1a", last),),
        last_seen_unix_nano=last,
        request_rate_per_s=rate,
        error_ratio=errors,
        p50_s=0.05,
        p95_s=0.1,
        p99_s=p99_s,
    )


def edge(client, server, calls=60, errors=0):
    return Edge(client, server, calls, errors, 0.01, 0.05)


def red(groups: dict[str, list[tuple[int, int, int]]], *, end_s: int, step_s=10):
    """``groups``: label -> (seconds after T0_S, requests, errors)."""
    return Red(
        groups=tuple(
            RedGroup(
                label,
                tuple(RedPoint(T0_S + t, n, bad, 0.05, 0.1, 0.2) for t, n, bad in points),
            )
            for label, points in groups.items()
        ),
        from_unix_nano=T0_S * SECOND_NS,
        to_unix_nano=(T0_S + end_s) * SECOND_NS,
        step_s=step_s,
    )


@pytest.fixture
def make():
    """The builders above, for tests (files here are not a package)."""

    class Builders:
        pass

    for function in (service, edge, red, judged):
        setattr(Builders, function.__name__, staticmethod(function))
    Builders.T0_S, Builders.SECOND_NS = T0_S, SECOND_NS
    Builders.SPAN = Span(T0_S, T0_S + 300)
    return Builders
