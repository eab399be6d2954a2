"""What the deployer does when it is told, when nobody tells it, and when it is killed."""

from __future__ import annotations

import os
import signal
import time

import pytest


@pytest.fixture(scope="module")
def stack(start_stack, otlp, analysis):
    return start_stack(
        otlp_endpoint=otlp.url, analysis_url=analysis.url, plays_per_s=25.0, browse_per_s=0.0
    )


def playback_versions(stack):
    return sorted(
        one["spec"]["version"]
        for one in stack.instances().values()
        if one["spec"]["service"] == "playback"
    )


def arms_of(stack):
    return [one for one in stack.instances().values() if one["spec"]["arm"] != "stable"]


def statuses(analysis, decision_id):
    return [told["status"] for told in analysis.told(f"/decisions/{decision_id}/status")]


def ended(stack, deployment, analysis, action):
    """Command, wait for the end; (final deployment, decision id)."""
    status, answer = stack.commander(deployment, analysis.url).command(action)
    assert (status, answer["duplicate"]) == (202, False)
    state = {"rollback": "rolled_back", "promotion": "promoted"}[action]
    return stack.wait_state(deployment["deployment_id"], state), answer["decision_id"]


@pytest.fixture
def failures(stack, until):
    """Plays that fail over HTTP during a test: at most what healthy releases refuse anyway."""
    until(lambda: stack.counts().get("plays_success", 0) > 0)
    before = stack.counts()
    yield
    until(lambda: stack.counts().get("plays_success", 0) > before["plays_success"] + 25)
    after = stack.counts()
    failed, sent = (after.get(k, 0) - before.get(k, 0) for k in ("plays_http_failed", "plays_sent"))
    assert failed <= 2 + 0.02 * sent


@pytest.mark.usefixtures("failures")
def test_a_rollback_drains_and_kills_the_canary(stack, analysis, until):
    """Viewers leave, processes end, the analysis hears of both steps; no play is lost by it."""
    deployment = stack.deploy("N5")
    deployment_id = deployment["deployment_id"]
    arms = arms_of(stack)
    assert {one["spec"]["arm"] for one in arms} == {"baseline", "canary"}
    until(lambda: stack.deployment(deployment_id)["first_canary_request_unix_nano"])

    final, decision_id = ended(stack, deployment, analysis, "rollback")

    assert arms_of(stack) == []
    for one in arms:
        with pytest.raises(ProcessLookupError):
            os.kill(one["pid"], 0)
    assert stack.ask("GET", "/v1/routes")[1]["deployment"] is None
    begun = final["first_canary_request_unix_nano"]
    assert deployment["started_unix_nano"] < begun < final["canary_gone_unix_nano"]
    assert final["promoted_unix_nano"] is None
    until(lambda: statuses(analysis, decision_id) == ["acknowledged", "completed"])
    tokens = {h["authorization"] for path, h, _ in analysis.posts if decision_id in path}
    assert tokens == {"Bearer token-of-this-test"}


def test_a_repeated_message_is_accepted_and_acts_once(stack, analysis, until):
    """The sender did not get our answer. A fresh message with the old sequence is overtaken."""
    deployment = stack.deploy("N5")
    sender = stack.commander(deployment, analysis.url)
    body = sender.body("rollback")
    headers = sender.headers(body, webhook_id="msg_repeated")
    assert sender.post(body, headers)[1]["duplicate"] is False
    stack.wait_state(deployment["deployment_id"], "rolled_back")

    again = sender.headers(body, webhook_id="msg_repeated")
    status, answer = sender.post(body, again)
    assert (status, answer["duplicate"]) == (202, True)
    status, answer = sender.post(body, sender.headers(body, webhook_id="msg_other"))
    assert (status, answer["error"]["code"]) == (409, "old_sequence")
    late = sender.body("promotion")
    status, answer = sender.post(late, sender.headers(late))
    assert (status, answer["error"]["code"]) == (409, "superseded")
    commands = [line for line in stack.journal() if line["what"] == "command"]
    mine = [c for c in commands if c["deployment_id"] == deployment["deployment_id"]]
    assert len(mine) == 1


@pytest.mark.usefixtures("failures")
def test_a_promotion_replaces_the_stable_instances(start_stack, stack, analysis, until):
    """The canary's version serves everyone, and the next baseline is that version."""
    old = {one["pid"] for one in stack.instances().values() if one["spec"]["service"] == "playback"}
    deployment = stack.deploy("N5")
    final, decision_id = ended(stack, deployment, analysis, "promotion")
    assert playback_versions(stack) == ["2.4.1", "2.4.1"]
    assert arms_of(stack) == []
    for pid in old:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert final["promoted_unix_nano"] > deployment["started_unix_nano"]
    until(lambda: statuses(analysis, decision_id) == ["acknowledged", "completed"])

    following = stack.deploy("F03")
    assert (following["baseline"]["version"], following["canary"]["version"]) == ("2.4.1", "2.4.2")
    ended(stack, following, analysis, "rollback")
    assert playback_versions(stack) == ["2.4.1", "2.4.1"]


def kill_controller(stack, until):
    """``kill -9``; returns when the next one answers."""
    pid = stack.instances()["controller/a/stable"]["pid"]
    os.kill(pid, signal.SIGKILL)

    def answers():
        try:
            return stack.instances()["controller/a/stable"]["pid"] != pid
        except (OSError, KeyError):
            return False

    until(answers)


@pytest.mark.usefixtures("failures")
def test_arms_without_a_deployer_are_cleared(stack, analysis, until):
    """Killed while a canary is on: plays go on, the next deployer takes the arms away, and a
    command about them comes too late.
    """
    deployment = stack.deploy("F01")
    sender = stack.commander(deployment, analysis.url)
    sent = stack.counts()["plays_success"]
    kill_controller(stack, until)
    until(lambda: not arms_of(stack))
    until(lambda: stack.counts().get("plays_success", 0) > sent + 25)
    body = sender.body("rollback")
    status, answer = sender.post(body, sender.headers(body))
    assert (status, answer["error"]["code"]) == (409, "unknown_deployment")
    assert "leftovers_cleared" in [line["what"] for line in stack.journal()]
    assert stack.deploy("N5")["state"] == "observing"
    kill_controller(stack, until)
    until(lambda: not arms_of(stack))


def test_a_rollback_cut_short_is_finished_and_reported(stack, analysis, until):
    """Killed between the command and its end: the next deployer reports the end it sees."""
    deployment = stack.deploy("F01")
    (canary,) = [one for one in arms_of(stack) if one["spec"]["arm"] == "canary"]
    # It does not hear SIGTERM, so the rollback lasts until the grace is over.
    os.kill(canary["pid"], signal.SIGSTOP)
    status, answer = stack.commander(deployment, analysis.url).command("rollback")
    assert status == 202
    kill_controller(stack, until)
    decision_id = answer["decision_id"]
    until(lambda: "completed" in statuses(analysis, decision_id))
    assert arms_of(stack) == []
    with pytest.raises(ProcessLookupError):
        os.kill(canary["pid"], 0)
    kill_controller(stack, until)
    assert statuses(analysis, decision_id).count("completed") == 1


def test_a_promotion_cut_short_is_finished_and_reported(stack, analysis, until):
    """Killed after the new version serves and before the old one is gone."""
    deployment = stack.deploy("N5")
    stable = [
        one
        for one in stack.instances().values()
        if one["spec"]["service"] == "playback" and one["spec"]["arm"] == "stable"
    ]
    os.kill(stable[0]["pid"], signal.SIGSTOP)
    status, answer = stack.commander(deployment, analysis.url).command("promotion")
    assert status == 202
    deployment_id = deployment["deployment_id"]
    until(
        lambda: any(
            line["what"] == "promoted" and line["deployment_id"] == deployment_id
            for line in stack.journal()
        )
    )
    kill_controller(stack, until)
    until(lambda: "completed" in statuses(analysis, answer["decision_id"]))
    assert playback_versions(stack) == ["2.4.1", "2.4.1"]
    assert arms_of(stack) == []
    slots = [s for s in stack.instances() if s.startswith("playback/")]
    assert all(deployment_id in slot for slot in slots)


def test_an_undecided_canary_is_taken_back(start_stack, analysis):
    """Nobody deciding is a decision too."""
    stack = start_stack(
        analysis_url=analysis.url, canary_lifetime_s=0.5, plays_per_s=0.0, browse_per_s=0.0
    )
    deployment = stack.deploy("N5")
    final = stack.wait_state(deployment["deployment_id"], "rolled_back")
    assert "nobody decided in time" in [line["what"] for line in final["history"]]
    assert arms_of(stack) == []


def test_no_canary_without_an_analysis(start_stack):
    """Unreachable: the deployment is refused, its arms are gone, nobody was routed to them."""
    stack = start_stack(analysis_url="http://127.0.0.1:9", plays_per_s=0.0, browse_per_s=0.0)
    begun_s = time.monotonic()
    status, answer = stack.ask("POST", "/v1/deployments", {"service": "playback", "build": "N5"})
    assert (status, answer["error"]["code"]) == (502, "not_declared")
    assert time.monotonic() - begun_s > 1.0  # it was asked more than once
    assert arms_of(stack) == []
    (known,) = stack.ask("GET", "/v1/deployments")[1]["deployments"]
    assert (known["state"], known["first_canary_request_unix_nano"]) == ("refused", None)
