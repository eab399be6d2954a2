"""The API of a real process: who may write, what is accepted, what every answer looks like."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import socket

import aiohttp
import pytest

from telemetry.clock import SystemClock

NOW = SystemClock().wall_unix_nano()
BODY = {
    "deployment_id": "playback-1700000000-abc123",
    "environment": "demo",
    "service": "playback",
    "baseline": {"version": "1.0.0", "digest": "sha256:aaaa", "instances": ["b-1"]},
    "canary": {"version": "1.1.0", "digest": "sha256:bbbb", "instances": ["c-1"]},
    "started_unix_nano": NOW,
    "expires_unix_nano": NOW + 900 * 10**9,
}
CANARY_KEYS = {
    "deployment_id", "environment", "service", "baseline", "canary", "started_unix_nano",
    "expires_unix_nano", "declared_unix_nano", "state", "reason", "summary", "looks", "verdict",
    "decision", "last_look",
}  # fmt: skip
DECISION_KEYS = {
    "decision_id", "deployment_id", "environment", "service", "action", "sequence", "state",
    "reason", "created_unix_nano", "expires_unix_nano", "delivered_unix_nano",
    "acknowledged_unix_nano", "completed_unix_nano", "confirmed_unix_nano", "history",
}  # fmt: skip
DELIVERY_KEYS = {
    "webhook_id", "decision_id", "endpoint_id", "url", "state", "attempts", "due_unix_nano",
    "expires_unix_nano",
}  # fmt: skip


class Api:
    """A client of one process."""

    def __init__(self, process, session, token):
        self.process = process
        self._session = session
        self._token = token

    async def get(self, path):
        async with self._session.get(self.process.url + path) as reply:
            return reply.status, await reply.json()

    async def post(self, path, body, token=None, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = self._token if token is None else token
        headers = {"authorization": f"Bearer {shown}", **headers}
        async with self._session.post(self.process.url + path, data=data, headers=headers) as reply:
            return reply.status, await reply.json()

    async def text(self, path):
        async with self._session.get(self.process.url + path) as reply:
            return reply.status, await reply.text()


@pytest.fixture
async def api(start_process, receiver, helpers):
    process = start_process(receiver.url)
    async with aiohttp.ClientSession() as session:
        yield Api(process, session, helpers.token)


@pytest.fixture
async def shared(shared_process, helpers):
    """For questions that change nothing."""
    async with aiohttp.ClientSession() as session:
        yield Api(shared_process, session, helpers.token)


@pytest.fixture
async def decided(api, receiver, tmp_path, start_process, helpers, wait):
    """A process whose ledger has one delivered decision; made while no process had it open."""
    from analysis.decisions.ledger import Ledger
    from analysis.webhooks.events import Addressing

    assert api.process.terminate() == 0
    clock = SystemClock()
    addressing = Addressing("deployer", receiver.url, "http://127.0.0.1:1", 900.0)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock, addressing)
    decision = helpers.decide(ledger, clock, 1)
    ledger.put_status("slo", "availability", {"name": "availability", "state": "ok"})
    ledger.put_status("anomaly", "starts", {"name": "starts", "state": "normal"})
    ledger.close()
    api.process = start_process(receiver.url)
    await wait(lambda: receiver.requests)
    return decision


async def delivered(api, path):
    """The decision once its delivery is written down, after which it does not change by itself."""
    async with asyncio.timeout(20):
        while (answer := (await api.get(path))[1])["delivered_unix_nano"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return answer


def is_error(answer, code):
    error = answer["error"]
    assert set(error) == {"code", "message", "accepted"}
    assert error["code"] == code
    assert error["message"]
    return error


# --- who may write ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/canaries", "/api/v1/decisions/dec_x/status"])
async def test_writers_show_the_token(shared, path, helpers):
    """Without it, with another, with half of it or another scheme: 401, and nothing is read."""
    for value in ("", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {helpers.token[:-1]}",
                  f"Bearer {helpers.token}x", f"Basic {helpers.token}", helpers.token,
                  "Bearer \xe4\xf6"):  # fmt: skip
        status, answer = await shared.post(path, BODY, authorization=value)
        assert status == 401, value
        is_error(answer, "unauthorized")
    assert await shared.get("/api/v1/canaries") == (200, {"canaries": []})


async def test_a_new_token_counts_at_once(api, tmp_path):
    """The file is the truth; an emptied one lets nobody in."""
    (tmp_path / "api.token").write_text("another\n")
    assert (await api.post("/api/v1/canaries", BODY))[0] == 401
    assert (await api.post("/api/v1/canaries", BODY, token="another"))[0] == 201
    (tmp_path / "api.token").write_text("")
    assert (await api.post("/api/v1/canaries", BODY, token=""))[0] == 401


# --- declaring --------------------------------------------------------------------------------


async def test_declaring_a_canary(api):
    """201, then 200 for the same, 409 for another under the id; it can be read back."""
    status, answer = await api.post("/api/v1/canaries", BODY)
    assert status == 201
    assert set(answer) >= CANARY_KEYS
    assert {key: answer[key] for key in BODY} == BODY
    assert (answer["state"], answer["looks"], answer["decision"]) == ("declared", 0, None)
    assert (await api.post("/api/v1/canaries", BODY)) == (200, answer)
    other = {**BODY, "expires_unix_nano": BODY["expires_unix_nano"] + 1}
    status, conflict = await api.post("/api/v1/canaries", other)
    assert status == 409
    is_error(conflict, "conflict")
    assert await api.get(f"/api/v1/canaries/{BODY['deployment_id']}") == (200, answer)
    assert (await api.get("/api/v1/canaries"))[1]["canaries"] == [answer]
    assert (await api.get("/api/v1/canaries?state=passed"))[1]["canaries"] == []
    _, listed = await api.get("/api/v1/events")
    assert listed["events"][0]["kind"] == "canary_declared"


def changed(path, value):
    body = copy.deepcopy(BODY)
    place = body
    *parents, last = path.split(".")
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff\xfe", "body"),
        (b"null", "body"),
        (b"[" * 5000, "body"),
        (changed("deployment_id", ...), "deployment_id"),
        (changed("deployment_id", ""), "deployment_id"),
        (changed("deployment_id", "a/b"), "deployment_id"),
        (changed("deployment_id", "a" * 129), "deployment_id"),
        (changed("deployment_id", "a\n"), "deployment_id"),
        (changed("deployment_id", 5), "deployment_id"),
        (changed("service", "<script>"), "service"),
        (changed("environment", "a" * 65), "environment"),
        (changed("baseline", None), "baseline"),
        (changed("baseline.version", ...), "baseline.version"),
        (changed("canary.digest", "a\x00b"), "canary.digest"),
        (changed("canary.instances", "c-1"), "canary.instances"),
        (changed("canary.instances", [1]), "canary.instances"),
        (changed("canary.instances", ["x"] * 1001), "canary.instances"),
        (changed("started_unix_nano", 1.5), "started_unix_nano"),
        (changed("started_unix_nano", True), "started_unix_nano"),
        (changed("started_unix_nano", "1"), "started_unix_nano"),
        (changed("started_unix_nano", -1), "started_unix_nano"),
        (changed("started_unix_nano", 10**30), "started_unix_nano"),
        (changed("expires_unix_nano", NOW), "expires_unix_nano"),
        (changed("surprise", 1), "surprise"),
    ],
    ids=itertools.count(),
)
async def test_a_malformed_declaration_is_refused_by_name(shared, body, named):
    """422, what is wrong and what is accepted; nothing is stored."""
    status, answer = await shared.post("/api/v1/canaries", body)
    assert status == 422
    error = is_error(answer, "malformed")
    assert named in error["message"]
    assert error["accepted"]
    assert (await shared.get("/api/v1/canaries"))[1]["canaries"] == []


async def test_a_body_above_the_limit_is_refused(shared):
    """512 KiB are read, one byte more is 413, however it is sent."""

    async def endless():
        for _ in range(600):
            yield b"x" * 1024

    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{shared.process.url}/api/v1/canaries",
            data=endless(),
            headers={"authorization": "Bearer a-token-of-this-test"},
        ) as reply,
    ):
        assert reply.status == 413
        is_error(await reply.json(), "too_large")


async def test_a_writer_that_hangs_up_breaks_nothing(shared):
    """Half a body and gone; the next request is answered."""
    with socket.create_connection(("127.0.0.1", shared.process.port)) as raw:
        raw.sendall(
            b"POST /api/v1/canaries HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n"
            b"authorization: Bearer a-token-of-this-test\r\n\r\n{"
        )
    assert (await shared.get("/healthz")) == (200, {"status": "ok"})
    assert "Traceback" not in shared.process.stderr.read_text()


# --- decisions --------------------------------------------------------------------------------


async def test_a_decision_and_its_delivery_can_be_read(api, decided):
    """All keys of the contract, by list and by id; the canary's page carries both."""
    path = f"/api/v1/decisions/{decided.decision_id}"
    decision = await delivered(api, path)
    assert set(decision) >= DECISION_KEYS
    assert set(decision["reason"]) == {"verdict", "summary", "culprit_metric", "culprit_split"}
    assert (decision["action"], decision["sequence"]) == ("rollback", 1)
    assert (await api.get("/api/v1/decisions"))[1]["decisions"] == [decision]
    _, answer = await api.get(f"/api/v1/deliveries?decision_id={decided.decision_id}")
    (delivery,) = answer["deliveries"]
    assert set(delivery) >= DELIVERY_KEYS
    (attempt,) = delivery["attempts"]
    assert set(attempt) == {"unix_nano", "status", "error", "duration_s"}
    assert (delivery["state"], attempt["status"]) == ("delivered", 200)
    assert (await api.get("/api/v1/deliveries?decision_id=nobody"))[1] == {"deliveries": []}
    _, canary = await api.get(f"/api/v1/canaries/{decided.deployment_id}")
    assert canary["decision"]["decision_id"] == decided.decision_id
    assert canary["last_look"]["verdict"] == "fail"
    assert canary["verdict"]["final"] is True
    _, looks = await api.get(f"/api/v1/canaries/{decided.deployment_id}/looks")
    assert looks["looks"] == [canary["last_look"]]
    _, looks = await api.get(f"/api/v1/canaries/{decided.deployment_id}/looks?after_index=0")
    assert looks["looks"] == []


async def test_the_receivers_report(api, decided):
    """Acknowledged and completed move the decision; repeating changes nothing."""
    path = f"/api/v1/decisions/{decided.decision_id}/status"
    now = SystemClock().wall_unix_nano()
    report = {"status": "acknowledged", "unix_nano": now, "detail": "draining"}
    status, first = await api.post(path, report)
    assert (status, first["state"]) == (200, "acknowledged")
    assert (await api.post(path, report))[1] == first
    status, done = await api.post(path, {"status": "completed", "unix_nano": now})
    assert (status, done["state"]) == (200, "completed")
    assert done["completed_unix_nano"] is not None


@pytest.mark.parametrize(
    "report",
    [
        {"status": "confirmed", "unix_nano": NOW},
        {"status": "acknowledged"},
        {"status": "acknowledged", "unix_nano": "now"},
        {"status": "acknowledged", "unix_nano": NOW, "detail": "x" * 2001},
        {"status": "acknowledged", "unix_nano": NOW, "more": 1},
    ],
)
async def test_a_malformed_report_is_refused(shared, report):
    """A receiver cannot confirm: that is what telemetry is for."""
    status, answer = await shared.post("/api/v1/decisions/dec_x/status", report)
    assert status == 422
    is_error(answer, "malformed")


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/canaries/nobody", 404, "not_found"),
        ("/api/v1/canaries/nobody/looks", 404, "not_found"),
        ("/api/v1/decisions/nobody", 404, "not_found"),
        ("/api/v1/slos/nobody/history", 404, "not_found"),
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/canaries?state=great", 422, "malformed"),
        ("/api/v1/canaries?limit=0", 422, "malformed"),
        ("/api/v1/canaries?limit=501", 422, "malformed"),
        ("/api/v1/canaries?limit=1e2", 422, "malformed"),
        ("/api/v1/canaries?limit=%D9%A1", 422, "malformed"),
        ("/api/v1/canaries?limits=5", 422, "malformed"),
        ("/api/v1/events?from=yesterday", 422, "malformed"),
        ("/api/v1/events?from=2026-01-01T00:00:00", 422, "malformed"),
        ("/api/v1/events?from=now&to=now-1h", 422, "malformed"),
        ("/api/v1/events?from=1e400", 422, "malformed"),
        ("/api/v1/events?from=nan", 422, "malformed"),
        ("/api/v1/events?from=1700000000000000000", 422, "malformed"),
        ("/api/v1/events?from=now-999999999d", 422, "malformed"),
    ],
)
async def test_a_wrong_question_gets_a_typed_refusal(shared, path, status, code):
    """Never an empty answer to a question that was not understood, never a 500."""
    found, answer = await shared.get(path)
    assert found == status
    is_error(answer, code)


async def test_an_objective_may_have_a_slash_in_its_name(shared):
    """One of several of an SLO: the whole name is asked for."""
    found, answer = await shared.get("/api/v1/slos/shop%2Ftight/history")
    assert found == 404
    assert "'shop/tight'" in is_error(answer, "not_found")["message"]


async def test_a_wrong_method_gets_a_typed_refusal(shared):
    """405 in the one error shape."""
    status, answer = await shared.post("/api/v1/slos", {})
    assert status == 405
    is_error(answer, "method_not_allowed")


async def test_times_are_understood_like_the_collectors(api, decided):
    """Unix seconds, RFC 3339, now and relative times, for the timeline and the history."""
    for span in ("", "?from=now-1h", "?from=now-1.5m&to=now%2B5s", "?from=0",
                 "?from=2026-01-01T00:00:00Z", "?from=2026-01-01T00:00:00%2B01:00",
                 "?from=1700000000.5&to=4000000000"):  # fmt: skip
        status, answer = await api.get(f"/api/v1/events{span}")
        assert status == 200, span
        kinds = {one["kind"] for one in answer["events"]}
        assert kinds >= {"canary_declared", "verdict", "decision"}, span
        assert set(answer["events"][0]) == {
            "unix_nano", "kind", "service", "deployment_id", "title", "detail",
        }  # fmt: skip
        times = [one["unix_nano"] for one in answer["events"]]
        assert times == sorted(times, reverse=True)
        assert (await api.get(f"/api/v1/slos/availability/history{span}")) == (
            200,
            {"points": [], "definitions": []},
        )


async def test_what_the_runner_publishes_is_shown(api, decided):
    """Objectives and anomalies as they were put."""
    assert (await api.get("/api/v1/slos")) == (
        200,
        {"slos": [{"name": "availability", "state": "ok"}]},
    )
    assert (await api.get("/api/v1/anomalies")) == (
        200,
        {"anomalies": [{"name": "starts", "state": "normal"}]},
    )


async def test_health_and_metrics(api, decided):
    """Ready while commands are delivered; the metrics count what happened, and no secret."""
    assert (await api.get("/readyz")) == (200, {"status": "ready"})
    assert (await api.get("/healthz")) == (200, {"status": "ok"})
    status, text = await api.text("/metrics")
    assert status == 200
    for line in (
        "davylamp_looks_total 1.0",
        'davylamp_verdicts_total{kind="fail"} 1.0',
        'davylamp_verdicts_total{kind="pass"} 0.0',
        'davylamp_decisions{state="requested"} 1.0',
        "davylamp_decision_to_first_attempt_seconds_count 1.0",
        'davylamp_analysis_api_requests_total{route="/readyz",status="200"} 1.0',
    ):
        assert line in text.splitlines()
    assert "whsec_" not in text


async def test_many_questions_at_once(api, decided):
    """Thirty at a time are all answered."""
    answers = await asyncio.gather(*(api.get("/api/v1/canaries") for _ in range(30)))
    assert {status for status, _ in answers} == {200}


async def test_no_secret_is_ever_shown(api, decided, helpers, receiver):
    """Token and signing secret appear in no answer, no log line and no request."""
    paths = ("/api/v1/canaries", "/api/v1/decisions", "/api/v1/deliveries", "/metrics",
             "/api/v1/events", "/openapi.json", "/api/v1/nothing")  # fmt: skip
    shown = [(await api.text(path))[1] for path in paths]
    shown.append(api.process.stderr.read_text())
    shown += [str(one.headers) + one.body.decode() for one in receiver.requests]
    for secret in (helpers.token, helpers.secret, helpers.secret.removeprefix("whsec_")):
        assert not any(secret in text for text in shown)


async def test_public_keys_are_shown_and_nothing_else_of_the_secrets(api, secret_file):
    """HMAC secrets have no public half; a key pair counts from the moment it is in the file."""
    assert await api.get("/api/v1/webhooks/keys") == (200, {"keys": []})
    secret_file.write_text(
        "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n" + secret_file.read_text()
    )
    public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    assert await api.get("/api/v1/webhooks/keys") == (200, {"keys": [public]})
