"""Corrections over HTTP and in the ledger: who, why, taken back, and what is refused."""

from __future__ import annotations

import time

import aiohttp
import pytest

from analysis.slo.openslo.corrections import Once

HOUR_S = 3_600
NOW_S = int(time.time())
ONCE = {
    "who": "ada",
    "reason": "the network was cut by a digger",
    "once": {"from_unix_s": NOW_S - 2 * HOUR_S, "to_unix_s": NOW_S - HOUR_S},
}
WEEKLY = {
    "who": "ada",
    "reason": "weekly maintenance",
    "objectives": ["playback-starts"],
    "recurring": {
        "start_time": "2026-01-04T02:00:00",
        "time_zone": "Europe/Berlin",
        "duration_s": HOUR_S,
        "rule": "FREQ=WEEKLY;BYDAY=SU",
    },
}
PATH = "/api/v1/slo-corrections"


@pytest.fixture
async def ask(start_process, helpers):
    process = start_process("http://127.0.0.1:9/nobody")
    async with aiohttp.ClientSession() as session:

        async def asked(method, path, body=None, token=helpers.token):
            headers = {"authorization": f"Bearer {token}"}
            url = process.url + path
            async with session.request(method, url, json=body, headers=headers) as reply:
                return reply.status, await reply.json()

        yield asked


async def test_made_listed_and_withdrawn_with_every_word(ask):
    status, once = await ask("POST", PATH, ONCE)
    assert (status, once["author"], once["objectives"]) == (201, "ada", [])
    assert once["once"] == ONCE["once"]
    status, weekly = await ask("POST", PATH, WEEKLY)
    assert (status, weekly["recurring"]) == (201, WEEKLY["recurring"])
    gone = {"who": "bob", "reason": "it was us after all"}
    status, withdrawn = await ask("POST", f"{PATH}/{once['correction_id']}/withdraw", gone)
    assert (status, withdrawn["withdrawn"]["author"]) == (200, "bob")
    status, again = await ask("POST", f"{PATH}/{once['correction_id']}/withdraw", gone)
    assert (status, again["error"]["code"]) == (409, "conflict")
    _, listed = await ask("GET", PATH)
    assert {one["correction_id"]: one["withdrawn"] is None for one in listed["corrections"]} == {
        once["correction_id"]: False,
        weekly["correction_id"]: True,
    }
    _, events = await ask("GET", "/api/v1/events")
    titles = [one["title"] for one in events["events"] if one["kind"] == "slo_correction"]
    assert len(titles) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"once": None}, "once or recurring"),
        ({"recurring": WEEKLY["recurring"]}, "once or recurring"),
        ({"once": {"from_unix_s": 10, "to_unix_s": 10}}, "ends at 10, not after 10"),
        ({"objectives": ["nobody"]}, "no objective 'nobody'"),
        ({"reason": "   "}, "reason has 0 characters"),
        ({"once": None, "recurring": WEEKLY["recurring"] | {"rule": "FREQ=SECONDLY"}}, "FREQ"),
        ({"once": None, "recurring": WEEKLY["recurring"] | {"time_zone": "Mars"}}, "IANA"),
        ({"once": None, "recurring": WEEKLY["recurring"] | {"start_time": "soon"}}, "isoformat"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(ask, change, words):
    status, answer = await ask("POST", PATH, ONCE | change)
    assert status == 422, answer
    assert words in answer["error"]["message"]
    assert (await ask("GET", PATH))[1] == {"corrections": []}


async def test_it_needs_the_token(ask):
    assert (await ask("POST", PATH, ONCE, token="wrong"))[0] == 401
    assert (await ask("POST", f"{PATH}/cor_x/withdraw", {"who": "a", "reason": "b"}))[0] == 404


def test_what_is_in_force_is_read_back_as_it_was_made(open_ledger):
    ledger = open_ledger()
    when = Once(NOW_S - 60, NOW_S)
    made = ledger.corrections.make(when, ["a"], author="ada", reason="x", category="incident")
    now = (made.correction.made_unix_s + 1) * 10**9
    assert ledger.corrections.in_force(now) == [made]
    ledger.corrections.withdraw(made.correction.correction_id, author="bob", reason="y")
    later = (made.correction.made_unix_s + 10_000) * 10**9
    assert ledger.corrections.in_force(later) == []
    (kept,) = ledger.corrections.every()
    assert kept.correction.withdrawn.author == "bob"


async def test_what_may_have_spent_a_budget_is_told_and_on_the_timeline(ask):
    cause = {
        "who": "chaos-monkey",
        "kind": "chaos",
        "title": "eu-west is cut off",
        "service": "playback",
        "from_unix_s": NOW_S - HOUR_S,
        "to_unix_s": NOW_S,
    }
    status, told = await ask("POST", "/api/v1/slo-causes", cause)
    assert (status, told["cause"], told["who"]) == (201, "chaos", "chaos-monkey")
    for wrong in ({"kind": "weather"}, {"to_unix_s": NOW_S - HOUR_S}, {"service": "a b"}):
        assert (await ask("POST", "/api/v1/slo-causes", cause | wrong))[0] == 422
    assert (await ask("POST", "/api/v1/slo-causes", cause, token="wrong"))[0] == 401
    _, found = await ask("GET", "/api/v1/events?from=now-5m")
    (event,) = [one for one in found["events"] if one["kind"] == "cause"]
    assert (event["title"], event["service"]) == ("eu-west is cut off", "playback")
