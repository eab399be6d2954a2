"""A good receiver passes every check; a bad one fails those that name its mistake, and no other."""

from __future__ import annotations

import ast
import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest
from fastapi import FastAPI, Response

from analysis.webhooks.conformance import Audience, Messages, checks, judge_acted
from analysis.webhooks.conformance_run import run_checks
from analysis.webhooks.signing import parse_secret, public_keys, read_secrets
from telemetry.clock import SystemClock

FASTAPI_RECEIVER = Path(__file__).parents[3] / "docs/howto/receivers/fastapi_receiver.py"
FORGERIES = {
    "signed with another secret",
    "one byte of the body changed",
    "timestamp 360 s old",
    "timestamp 360 s ahead",
    "no webhook-id header",
    "no webhook-timestamp header",
    "no webhook-signature header",
    "signature header without a signature",
}
NOT_FOR_IT = {"expired command", "addressed to another endpoint", "mode is not act"}
OVERTAKEN = "another id, a sequence that is not newer"
REPEATS = {"the same again: same id, same bytes", "the first one again, after newer ones"}
ROTATION = "a valid signature among others (rotation)"
UNKNOWN = "event of an unknown type"
LARGE = "body of 65536 bytes, with a member you do not know"
#: Lines that a receiver should not have.
LAST_ONLY = (
    "LAST = 'SELECT 1 FROM accepted WHERE id = ? AND rowid = (SELECT max(rowid) FROM accepted)'"
)
FIRST_SIGNATURE = """
def only_one(headers):
    signature = headers.get("webhook-signature", "").split(" ")[0]
    return {**headers, "webhook-signature": signature}
"""


def planned(keys, endpoint_id="deploy-controller"):
    return checks(Messages(Audience(endpoint_id), SystemClock().wall_unix_nano(), os.urandom), keys)


async def failures(url, sent):
    async with aclosing(run_checks(url, sent, SystemClock())) as found:
        return {one.check.name async for one in found if not one.passed}


async def test_the_fastapi_receiver_passes_and_acts_on_each_once(load, serve, secret_file):
    app, obeyed = load()
    sent = planned(read_secrets(secret_file))
    async with serve(app) as url:
        assert await failures(url, sent) == set()
        assert judge_acted(sent, obeyed) == []
        # A later run's commands are newer ones.
        assert await failures(url, planned(read_secrets(secret_file))) == set()
    assert {one.name for one in sent} >= FORGERIES | NOT_FOR_IT | REPEATS | {OVERTAKEN, UNKNOWN}


async def test_it_holds_with_a_public_key_alone(load, serve, secret_file):
    """The receiver knows nothing it could sign with."""
    key = parse_secret("whsk_" + "A" * 43)
    secret_file.write_text(public_keys([key])[0])
    app, obeyed = load()
    sent = planned([key])
    async with serve(app) as url:
        assert await failures(url, sent) == set()
    assert judge_acted(sent, obeyed) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            [("    verify(request.headers, body,", "    (request.headers, body,")],
            FORGERIES,
            id="verifies nothing",
        ),
        pytest.param(
            [
                (
                    "fetchone() is not None,\n        422",
                    "fetchone() is None and False,\n        422",
                )
            ],
            REPEATS,
            id="ignores the id",
        ),
        pytest.param(
            [
                (
                    "200: known.execute(SEEN, [message_id])",
                    "200: known.execute(LAST, [message_id])",
                ),
                (
                    "SEEN = ",
                    f"{LAST_ONLY}\nSEEN = ",
                ),
            ],
            {"the first one again, after newer ones"},
            id="remembers only the last id",
        ),
        pytest.param([("<= now_unix_s", "<= 0")], {"expired command"}, id="ignores the expiry"),
        pytest.param([("sequence >= ?", "sequence > ?")], {OVERTAKEN}, id="takes a sequence twice"),
        pytest.param(
            [('command["audience"] not in AUDIENCES or', "")],
            {"addressed to another endpoint"},
            id="obeys what is meant for others",
        ),
        pytest.param(
            [(' or command["mode"] != "act"', "")], {"mode is not act"}, id="ignores the mode"
        ),
        pytest.param(
            [
                ("verify(request.headers,", "verify(only_one(request.headers),"),
                (
                    "def obey",
                    f"{FIRST_SIGNATURE}\n\ndef obey",
                ),
            ],
            {ROTATION},
            id="reads one signature",
        ),
        pytest.param([("le=65_536", "le=10_000")], {LARGE}, id="reads too little"),
        pytest.param(
            [("int(now_unix_s))", "int(now_unix_s), 600)")],
            {"timestamp 360 s old", "timestamp 360 s ahead"},
            id="takes old messages",
        ),
        pytest.param(
            [("        return Response(status_code=204)", "        raise ValueError")],
            {UNKNOWN},
            id="fails at the unknown",
        ),
    ],
)
async def test_a_mistake_fails_its_own_checks(load, serve, secret_file, changes, expected):
    app, _ = load(*changes)
    async with serve(app) as url:
        assert await failures(url, planned(read_secrets(secret_file))) == expected


async def test_what_takes_everything_fails_whatever_is_to_be_refused(serve, secret_file):
    everything = FastAPI()

    @everything.post("/webhooks/davylamp")
    async def yes() -> Response:
        return Response(status_code=200)

    async with serve(everything) as url:
        found = await failures(url, planned(read_secrets(secret_file)))
    assert found == FORGERIES | NOT_FOR_IT | {OVERTAKEN}


async def test_redirects_are_answers_and_not_followed(serve, secret_file):
    """A redirect is no yes, and no no; its target is never asked."""
    asked = []
    elsewhere = FastAPI()

    @elsewhere.post("/webhooks/davylamp")
    async def redirect() -> Response:
        return Response(status_code=307, headers={"location": "/elsewhere"})

    @elsewhere.post("/elsewhere")
    async def target() -> Response:
        asked.append(1)
        return Response(status_code=200)

    sent = planned(read_secrets(secret_file))
    async with serve(elsewhere) as url:
        assert await failures(url, sent) == {one.name for one in sent}
    assert asked == []


async def test_acting_on_the_unknown_is_seen_in_what_was_written_down(load, serve, secret_file):
    """Its answers are right and its doing is not."""
    app, obeyed = load(('event["type"] not in ACTIONS', "False"))
    sent = planned(read_secrets(secret_file))
    async with serve(app) as url:
        assert await failures(url, sent) == set()
    (wrong,) = judge_acted(sent, obeyed)
    assert wrong.startswith(f"{UNKNOWN}: dec_")
    assert wrong.endswith("is there 1 x, expected 0 x")


async def test_acting_twice_at_once_is_seen_in_what_was_written_down(load, serve, secret_file):
    """A receiver that looks, waits for something, and then writes."""
    sent = planned(read_secrets(secret_file))
    (twice,) = {check.decision_id for check in sent if check.copies == 2}
    both = asyncio.Barrier(2)

    async def something(decision_id):
        if decision_id == twice:
            await both.wait()

    app, obeyed = load(
        ("    if status == 202:", "    await something(event['id'])\n    if status == 202:"),
        ("INSERT INTO", "INSERT OR IGNORE INTO"),
        something=something,
    )
    async with serve(app) as url:
        assert await failures(url, sent) == set()
    (wrong,) = judge_acted(sent, obeyed)
    assert wrong.startswith("the same one twice at the same moment: dec_")
    assert wrong.endswith("is there 2 x, expected 1 x")


def test_the_receiver_has_twenty_lines():
    """As the page says, of the function that receives."""
    tree = ast.parse(FASTAPI_RECEIVER.read_text())
    (receive,) = (node for node in tree.body if getattr(node, "name", "") == "receive")
    assert receive.end_lineno - receive.lineno + 1 <= 20
