"""Secrets of endpoints in a real analysis process: they go in, sign, and never come out."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import time
from dataclasses import replace

import aiohttp
import pytest

from analysis.bodies import read_secret
from analysis.config import EndpointConfig
from analysis.decisions.ledger import Ledger
from analysis.errors import ConflictError, UnknownRecordError
from analysis.server import run
from analysis.webhooks.events import Addressing
from analysis.webhooks.secret_desk import NewSecret, SecretDesk
from analysis.webhooks.signing import parse_secret, public_keys
from analysis.webhooks.verify import VerificationError, verify
from collector.access.config import AccessConfig
from collector.access.sealed import SealingKey
from collector.access.secret_files import SecretFiles
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, issue
from davylamp.config import analysis_config, load_settings
from telemetry.clock import SystemClock

KEY = SealingKey(b"k" * 32)
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
NEXT = "whsk_" + base64.b64encode(b"x" * 32).decode()
ROUTING = "R0" * 16
PATH = "/api/v1/endpoints/deployer/secret"
PAGER = {
    "endpoint_id": "pager",
    "url": "http://127.0.0.1:9/pager",
    "allowed_networks": ["127.0.0.0/8"],
    "plain_http": False,
    "format": "pagerduty",
    "kinds": ["decision"],
}


@pytest.fixture
def start(start_process, receiver, tmp_path):
    """``start(**settings)``: a process that has a key."""
    (tmp_path / "key").write_text(KEY.to_text())

    def started(**more):
        return start_process(receiver.url, **{"secret_key_file": str(tmp_path / "key"), **more})

    return started


@pytest.fixture
async def ask(helpers):
    """``await ask(process, method, path, body, token)``: status and JSON; texts are kept."""
    async with aiohttp.ClientSession() as session:

        async def asked(process, method, path, body=None, token=helpers.token):
            headers = {"authorization": f"Bearer {token}"}
            url = process.url + path
            async with session.request(method, url, json=body, headers=headers) as reply:
                asked.texts.append(str(reply.headers) + await reply.text())
                return reply.status, json.loads(asked.texts[-1].partition(">")[2])

        asked.texts = []
        yield asked


def body(secret=NEW, **more):
    return {"who": "ada@example", "secret": secret, **more}


async def test_a_new_secret_signs_beside_the_one_before(
    start, ask, receiver, tmp_path, helpers, wait
):
    """Then the third takes the first one's place; the file is encrypted and private."""
    process = start()
    status, answer = await ask(process, "GET", PATH)
    assert (status, answer["is_encrypted"], len(answer["keys"])) == (200, False, 1)
    old_print = answer["keys"][0]["fingerprint"]
    status, answer = await ask(process, "PUT", PATH, body())
    assert (status, answer["is_encrypted"], answer["key_id"]) == (200, True, KEY.key_id)
    assert answer["keys"][1]["fingerprint"] == old_print
    assert await ask(process, "GET", PATH) == (200, answer)
    # Asked twice, done once: the old key is still there.
    assert await ask(process, "PUT", PATH, body()) == (200, answer)
    file = tmp_path / "webhook.secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().startswith("davylamp-secret:v1:")
    await _command(process, receiver, tmp_path, helpers)
    process = start(secrets_must_be_encrypted=True)
    await wait(lambda: receiver.requests)
    (request,) = receiver.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    for secret in (NEW, helpers.secret):
        verify(headers, request.body, [secret], int(time.time()))
    with pytest.raises(VerificationError):
        verify(headers, request.body, ["whsec_" + "A" * 43 + "="], int(time.time()))
    status, answer = await ask(process, "PUT", PATH, body(NEXT))
    assert [one["signature"] for one in answer["keys"]] == ["v1a", "v1"]
    assert answer["keys"][0]["public_key"] == public_keys([parse_secret(NEXT)])[0]
    assert old_print not in str(answer)
    _, keys = await ask(process, "GET", "/api/v1/webhooks/keys")
    assert keys == {"keys": [answer["keys"][0]["public_key"]]}
    _, answer = await ask(process, "PUT", PATH, body(keep_previous=False))
    assert len(answer["keys"]) == 1


async def _command(process, receiver, tmp_path, helpers):
    """A decision that the next process will send."""
    assert process.terminate() == 0
    clock = SystemClock()
    addressing = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock, addressing)
    helpers.decide(ledger, clock, 1)
    ledger.close()


async def test_no_secret_is_shown_anywhere(start, ask, tmp_path, helpers):
    """Not in answers, logs, the database, the audit log or any other file but the key's own."""
    process = start(notices=[PAGER])
    assert (await ask(process, "PUT", PATH, body()))[0] == 200
    # The pager shares the file in these tests, so it refuses to open what is for signing.
    assert (await ask(process, "GET", "/api/v1/endpoints/pager/secret"))[0] == 409
    assert (await ask(process, "PUT", "/api/v1/endpoints/pager/secret", body(ROUTING)))[0] == 200
    broken = (
        body(NEW + "!"), body(NEXT[:-3]), body(f"whsec_{NEW}"), {"secret": NEW},
        body(NEW, more=1), {"who": NEW, "secret": 5}, body([NEW]), body(NEW * 9),
    )  # fmt: skip
    for one in broken:
        status, answer = await ask(process, "PUT", PATH, one)
        assert (status, answer["error"]["code"]) == (422, "malformed"), one
    for path in (PATH, "/api/v1/endpoints/pager/secret", "/api/v1/events", "/api/v1/endpoints",
                 "/openapi.json", "/api/v1/webhooks/keys"):  # fmt: skip
        await ask(process, "GET", path)
    assert process.terminate() == 0
    kept = [path for path in tmp_path.iterdir() if path.is_file() and path.name != "key"]
    shown = ask.texts + [path.read_bytes().decode("latin-1") for path in kept]
    for secret in (NEW, NEW.removeprefix("whsec_"), NEXT[5:-3], ROUTING, KEY.to_text()):
        assert not any(secret in text for text in shown), secret
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        rows = list(database.execute("SELECT actor, action, detail FROM audit"))
    told = [row for row in rows if row[1] == "endpoint_secret"]
    assert [row[0] for row in told] == ["ada@example"] * 2
    assert "of endpoint deployer was set by ada@example" in told[0][2]
    assert "of endpoint pager was set by ada@example" in told[1][2]


@pytest.fixture
def desk(tmp_path, secret_file, open_ledger):
    """``desk(key)``: what the routes ask, and the timeline it writes."""
    ledger = open_ledger()

    def made(key=KEY):
        (tmp_path / "key").write_text("" if key is None else key.to_text())
        files = SecretFiles(None if key is None else tmp_path / "key")
        endpoint = EndpointConfig("deployer", "http://127.0.0.1:9/", secret_file, (), False)
        return SecretDesk([endpoint], files, ledger.database, SystemClock())

    def said():
        listed = ledger.events(0, SystemClock().wall_unix_nano() + 1, 9)
        return [one.detail for one in listed if one.kind == "endpoint_secret"]

    made.said = said
    return made


def test_without_a_key_nothing_is_written_or_audited(desk, secret_file, helpers):
    """A secret is not laid down plain because nobody made a key."""
    with pytest.raises(ConflictError, match="no key to encrypt the secret with"):
        desk(None).replace("deployer", NewSecret(NEW, keep_previous=True), "ada")
    assert secret_file.read_text().strip() == helpers.secret
    assert desk.said() == []


def test_a_file_that_does_not_open_is_replaced_only_if_asked(desk):
    """What cannot be read cannot be kept beside the new one."""
    desk().replace("deployer", NewSecret(NEW, keep_previous=True), "ada")
    other = desk(SealingKey(b"o" * 32))
    with pytest.raises(ConflictError, match=f"under the key {KEY.key_id}"):
        other.shown("deployer")
    with pytest.raises(ConflictError, match="the secret before cannot be kept"):
        other.replace("deployer", NewSecret(NEXT, keep_previous=True), "ada")
    assert len(desk.said()) == 1
    shown = other.replace("deployer", NewSecret(NEXT, keep_previous=False), "ada")
    assert [one["signature"] for one in shown["keys"]] == ["v1a"]
    with pytest.raises(UnknownRecordError):
        other.shown("nobody")


def test_a_file_that_cannot_be_written_is_told_and_audited(desk, secret_file):
    """The log first says that it was set, and then that it was not."""
    secret_file.unlink()
    secret_file.mkdir()
    with pytest.raises(ConflictError, match="cannot be written: Is a directory"):
        desk().replace("deployer", NewSecret(NEW, keep_previous=False), "ada")
    not_done, asked = desk.said()
    assert "does not sign: " in not_done
    assert "signs, and 0 before it" in asked
    assert not list(secret_file.parent.glob(".webhook*"))


def test_no_repr_shows_what_somebody_sets():
    """Frames of a traceback show reprs."""
    assert NEW not in repr(NewSecret(NEW, keep_previous=True))
    assert NEW not in repr(read_secret(json.dumps(body()).encode()))


async def test_only_an_unbound_admin_may(start, ask, tmp_path):
    """Fingerprints need ``read``; setting needs ``admin``, by a token that is bound to nothing."""
    process = start(tokens_required=True)

    def token(name, *scopes, **bound):
        kept, text = issue(Order(name, scopes, **bound), time.time(), os.urandom)
        TokenFile(tmp_path / "tokens.json").add(kept)
        return text

    reader, deployer = token("reader", "read"), token("deployer", "deploy")
    bound = token("bound", "admin", services=("playback",))
    free = token("free", "admin", "read")
    for shown, status in ((reader, 403), (deployer, 403), (bound, 403), ("", 401), (free, 200)):
        assert (await ask(process, "PUT", PATH, body(), shown))[0] == status
    assert (await ask(process, "GET", PATH, token=reader))[0] == 200
    assert (await ask(process, "GET", PATH, token=""))[0] == 401
    _, answer = await ask(process, "GET", "/api/v1/events", token=free)
    (event,) = [one for one in answer["events"] if one["kind"] == "endpoint_secret"]
    assert "was set by free" in event["title"]


def test_act_does_not_start_on_a_plain_file_that_must_be_encrypted(tmp_path, secret_file, capsys):
    """One sentence says which file, and what to do."""
    (tmp_path / "token").write_text("token")
    config = analysis_config(load_settings(environ={}))
    given = {
        "access": AccessConfig(False, tmp_path / "tokens", tmp_path / "token"),
        "endpoint": replace(config.endpoint, secret_file=secret_file),
        "secrets_must_be_encrypted": True,
    }
    assert run(replace(config, **given)) == 1
    told = capsys.readouterr().err
    assert "webhook.secret is not encrypted" in told
    assert "davylamp secrets encrypt" in told
