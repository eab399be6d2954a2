"""A burning budget from the telemetry that shows it to the timeline, held and heard by silences."""

from __future__ import annotations

import json

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
