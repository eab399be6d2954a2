"""A burning budget from the telemetry that shows it to the timeline, held and heard by silences."""

from __future__ import annotations

import json
from dataclasses import replace

from analysis.alerts.wire import read_silence
from analysis.decisions.ledger import Ledger


def silence_pages(ledger: Ledger, ends: str):
    body = {
        "matchers": [{"name": "severity", "value": "page", "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": ends,
        "createdBy": "ada",
        "comment": "known",
    }
    raw = json.dumps(body).encode()
    return ledger.silences.make(lambda new, now: read_silence(raw, new, now), str)


def pages(ledger: Ledger):
    found = [one for one in ledger.events(0, 2**62) if one.kind == "slo_page"]
    return [one.title.partition("' ")[2] for one in reversed(found) if "hour" in one.title]


def kept(ledger: Ledger):
    wanted = ("playback-starts-hour", "page")
    (one,) = [
        one
        for one in ledger.statuses("alert")
        if (one["labels"]["slo"], one["labels"]["severity"]) == wanted
    ]
    return one["silenced_by"], one["is_told"]


async def test_an_alert_is_silenced_and_heard_when_the_silence_is_over(stage):
    fleet, ledger = stage.runner.fleet, stage.ledger
    for arm in stage.fleet.arms.values():
        arm.failure_ratio = arm.legacy_failure_ratio = 0.5
    for _ in range(70):
        await stage.second(look=False)
    made = silence_pages(ledger, "2100-01-01T00:00:00Z")
    await fleet.start()
    await fleet.tick()
    assert pages(ledger) == ["burns, and is silenced"]
    await fleet.tick()
    assert len(pages(ledger)) == 1
    assert kept(ledger) == ([made.silence_id], False)
    ledger.silences.end(made.silence_id, "ada")
    await fleet.tick()
    assert pages(ledger)[1:] == ["still burns, and is silenced no more"]
    assert kept(ledger) == ([], True)
    # The next process knows it, and tells nothing twice.
    await stage.new_runner()
    await stage.runner.fleet.start()
    await stage.runner.fleet.tick()
    assert len(pages(ledger)) == 2


POLICY = """\
apiVersion: davylamp/v1
kind: ErrorBudgetPolicy
metadata: {name: playback}
spec:
  objectives: [playback-starts-hour]
  steps:
    - name: burst
      when: {spentAtLeast: 0.5, within: 1m}
      severity: page
      actions: [notify, freeze, rollBack]
"""


async def test_a_policy_takes_back_a_canary_that_began_before_the_budget_burned(stage, tmp_path):
    """Both arms fail, so the evidence blames nobody; the person's rule decides, and says so."""
    path = tmp_path / "policies.yaml"
    path.write_text(POLICY)
    await stage.new_runner(str(path))
    for arm in (stage.fleet.stable, *stage.fleet.arms.values()):
        arm.failure_ratio = arm.legacy_failure_ratio = 0.0
    for _ in range(30):
        await stage.second(look=False)
    await stage.declare()
    fleet, ledger = stage.runner.fleet, stage.ledger
    await fleet.start()
    for _ in range(6):
        await stage.second()
    await fleet.tick()
    (state,) = ledger.statuses("policy")
    assert (state["holds"], state["in_force"]) == (False, [])
    for arm in stage.fleet.arms.values():
        arm.failure_ratio = arm.legacy_failure_ratio = 0.7
    for _ in range(8):
        await stage.second(look=False)
    await fleet.tick()
    (state,) = ledger.statuses("policy")
    assert state["in_force"] == ["freeze", "notify", "rollBack"], state["text"]
    await stage.second()
    verdict = stage.canary.verdict
    assert (verdict["kind"], verdict["reason"]) == ("inconclusive", "budget_policy")
    assert "nothing is proven" in verdict["summary"]
    assert (stage.canary.decision.action, stage.canary.decision.mode) == ("rollback", "act")
    titles = [one.title for one in ledger.events(0, 2**62)]
    assert "page: the policy playback/burst for 'Pressing play, this hour' holds" in titles
    # What is declared now began after the budget burned: it is not taken back for it.
    assert fleet.take_back(replace(stage.canary.declaration, started_unix_nano=2**62)) is None
