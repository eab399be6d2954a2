"""Nothing that plays video depends on recommendations; and a canary may fall silent."""

from __future__ import annotations

import pytest

#: Starts before and during the outage: with 0.6 % failing anyway, 4 % is six deviations off.
STARTS = 200


@pytest.fixture(scope="module")
def stack(start_stack, otlp):
    return start_stack(otlp_endpoint=otlp.url, plays_per_s=40.0, browse_per_s=10.0)


def rates_over(stack, until, starts):
    """Shares of failed starts, failed home pages and stock home pages over the next plays."""
    begin = until(lambda: (c := stack.counts()).get("plays_success") and c)
    end = until(lambda: (c := stack.counts())["plays_sent"] >= begin["plays_sent"] + starts and c)

    def grown(name):
        return end.get(name, 0) - begin.get(name, 0)

    started, failed, homes = map(grown, ("plays_success", "plays_failure_technical", "homes_sent"))
    return (
        failed / (started + failed),
        grown("homes_failed") / homes,
        grown("homes_stock") / homes,
    )


@pytest.mark.slow
def test_dead_recommendations_cost_rows_and_no_start(stack, otlp, until):
    """As many starts fail as before; the home page shows stock rows, and telemetry says why."""
    failed_before, broken_before, stock_before = rates_over(stack, until, STARTS)
    assert stack.ask("POST", "/v1/services/recommendations/stop")[0] == 202
    until(lambda: not [s for s in stack.instances() if s.startswith("recommendations/")])
    failed_during, broken_during, stock_during = rates_over(stack, until, STARTS)
    assert failed_during < failed_before + 0.04
    assert broken_during < broken_before + 0.04
    assert stock_before < 0.2
    assert stock_during > 0.8
    fallbacks = otlp.matching("resilience.fallback")
    assert {p.attributes["resilience.fallback.target"] for p in fallbacks} == {"recommendations"}

    assert stack.ask("POST", "/v1/services/recommendations/start")[0] == 202
    until(lambda: [s for s in stack.instances() if s.startswith("recommendations/")])
    until(lambda: rates_over(stack, until, 40)[2] < 0.2)


def test_only_services_can_be_switched(stack):
    """The deployer itself cannot be asked to stop."""
    for path in ("controller/stop", "viewers/stop", "edge/pause"):
        assert stack.ask("POST", f"/v1/services/{path}")[0] == 404


def test_a_canary_may_be_deployed_without_a_voice(stack, otlp, until):
    """The drill for silence: its own telemetry goes nowhere, viewers report on it all the same,
    and it is served, drained and killed like any other.
    """
    deployment = stack.deploy("N5", canary_otlp_endpoint="http://127.0.0.1:9")
    arm = {"davylamp.canary.cohort": "canary", "deployment.id": deployment["deployment_id"]}
    (canary,) = [o for o in stack.instances().values() if o["spec"]["arm"] == "canary"]
    (baseline,) = [o for o in stack.instances().values() if o["spec"]["arm"] == "baseline"]

    def reported():
        points = otlp.points("playback.starts")
        return sum(p.total for p in points if arm.items() <= p.attributes.items()) > 40

    until(reported, pause_s=0.2)
    voices = {seen.resource["service.instance.id"] for seen in otlp.spans()}
    for metric in ("http.server.request.duration", "davylamp.telemetry.exported"):
        voices |= {seen.resource["service.instance.id"] for seen in otlp.points(metric)}
    assert baseline["instance_id"] in voices
    assert canary["instance_id"] not in voices
    assert not [p for p in otlp.spans() if p.resource["service.version"] == "2.4.1"]
