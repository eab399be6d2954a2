"""The deployer's receiver: what is not genuine, fresh and addressed moves nothing.

Commands are rendered and signed by the analysis' own code and travel over a real socket.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from analysis.webhooks.conformance import Audience, Messages, checks
from analysis.webhooks.conformance_run import run_checks
from analysis.webhooks.signing import parse_secret
from telemetry.clock import SystemClock


@pytest.fixture(scope="module")
def deployed(start_stack, analysis):
    """A canary under observation that no test of this module may end."""
    stack = start_stack(analysis_url=analysis.url, plays_per_s=0.0, browse_per_s=0.0)
    deployment = stack.deploy("N5")
    sender = stack.commander(deployment, analysis.url)
    return SimpleNamespace(stack=stack, sender=sender, deployment=deployment)


@pytest.fixture(autouse=True)
def _unmoved(deployed):
    """After every test the canary is where it was."""
    yield
    now = deployed.stack.deployment(deployed.deployment["deployment_id"])
    assert now["state"] == "observing"
    assert deployed.stack.ask("GET", "/v1/routes")[1]["deployment"] is not None


def refused(deployed, body, headers):
    status, answer = deployed.sender.post(body, headers)
    return status, answer["error"]["code"]


def test_a_forged_signature_is_refused(deployed, another_secret):
    """Right form, wrong key."""
    body = deployed.sender.body()
    forged = deployed.sender.headers(body, secret=another_secret)
    assert refused(deployed, body, forged) == (401, "bad_signature")


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_an_unsigned_command_is_refused(deployed, missing):
    """Each of the three headers is needed."""
    body = deployed.sender.body()
    headers = deployed.sender.headers(body)
    del headers[missing]
    assert refused(deployed, body, headers) == (401, "bad_signature")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"rollback", b"promotion"),
        (b'"sequence":1', b'"sequence":2'),
        (b'"act"', b'"Act"'),
        (b"}", b"} "),
    ],
)
def test_an_altered_body_is_refused(deployed, before, after):
    """One byte is enough."""
    body = deployed.sender.body()
    altered = body.replace(before, after, 1)
    assert altered != body
    headers = deployed.sender.headers(body)
    assert refused(deployed, altered, headers) == (401, "bad_signature")


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_altered_headers_are_refused(deployed, header):
    """The id and the time are signed too: a replay cannot get itself a new id."""
    body = deployed.sender.body()
    headers = deployed.sender.headers(body)
    other = deployed.sender.headers(body, age_s=7)
    headers[header] = other[header]
    assert refused(deployed, body, headers) == (401, "bad_signature")


def test_an_old_signature_is_refused(deployed):
    """Recorded and sent ten minutes later."""
    body = deployed.sender.body(lifetime_s=3600.0)
    headers = deployed.sender.headers(body, age_s=600)
    assert refused(deployed, body, headers) == (401, "bad_signature")


def test_an_expired_command_is_gone(deployed):
    """Signed just now, but its time is over."""
    body = deployed.sender.body(lifetime_s=0.0)
    assert refused(deployed, body, deployed.sender.headers(body)) == (410, "expired")


def test_an_oversized_body_is_refused(deployed):
    """Also with a right signature: nothing of that size is a command."""
    body = deployed.sender.body() + b" " * 70_000
    assert refused(deployed, body, deployed.sender.headers(body)) == (413, "too_large")


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        ("audience", {"endpoint_id": "another", "environment": "demo"}, "wrong_audience"),
        ("audience", {"endpoint_id": "deploy-controller", "environment": "x"}, "wrong_audience"),
        ("mode", "advise", "not_act"),
        ("mode", "observe", "not_act"),
        ("confirm_url", "http://127.0.0.1:1/api/v1/decisions/x/status", "foreign_confirm_url"),
        ("confirm_url", "https://collect.example/", "foreign_confirm_url"),
    ],
)
def test_a_genuine_command_for_others_is_refused(deployed, place, value, code):
    """Signed with our key, meant for somebody else, or not meant to be acted on."""
    event = json.loads(deployed.sender.body())
    event["data"][place] = value
    body = json.dumps(event).encode()
    assert refused(deployed, body, deployed.sender.headers(body)) == (422, code)


def test_a_foreign_subject_is_refused(deployed):
    """The lane must be our environment and the release's service."""
    event = json.loads(deployed.sender.body())
    for subject in ("production/playback", "demo/edge", ""):
        event["subject"] = subject
        body = json.dumps(event).encode()
        assert refused(deployed, body, deployed.sender.headers(body)) == (422, "wrong_subject")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("release", "version"), "9.9.9"),
        (("release", "digest"), "sha256:0"),
        (("target", "version"), "9.9.9"),
        (("target", "digest"), "sha256:0"),
    ],
)
def test_a_release_that_is_not_ours_is_refused(deployed, path, value):
    """What goes and what stays must be what this deployment is about."""
    event = json.loads(deployed.sender.body())
    event["data"][path[0]][path[1]] = value
    body = json.dumps(event).encode()
    assert refused(deployed, body, deployed.sender.headers(body)) == (422, "wrong_release")


def test_an_unknown_deployment_is_a_conflict(deployed):
    """A command about a canary this deployer does not have."""
    body = deployed.sender.body(deployment_id="playback-1-000000")
    assert refused(deployed, body, deployed.sender.headers(body)) == (409, "unknown_deployment")


def test_refusals_are_written_down(deployed):
    """With their reason, where an auditor looks."""
    body = deployed.sender.body(lifetime_s=0.0)
    refused(deployed, body, deployed.sender.headers(body))
    assert ("command_refused", "expired") in {
        (line["what"], line.get("code")) for line in deployed.stack.journal()
    }


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"service": "playback", "build": "F99"}, 422, "unknown_build"),
        ({"service": "edge", "build": "N5"}, 409, "conflict"),
        ({"service": "playback", "build": "N5"}, 409, "conflict"),
    ],
)
def test_deployments_that_cannot_be_are_refused(deployed, wish, status, code):
    """Unknown release, undeployable service, or one canary already under way."""
    found, answer = deployed.stack.ask("POST", "/v1/deployments", wish)
    assert (found, answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "wish",
    [
        {"build": "N5"},
        {"service": "playback", "build": "N5", "share_ratio": 0.6},
        {"service": "playback", "build": "N5", "share_ratio": 0.0},
        {"service": "playback", "build": "N5", "canary_otlp_endpoint": "file:///etc"},
    ],
)
def test_malformed_wishes_are_refused(deployed, wish):
    """Before anything is started."""
    assert deployed.stack.ask("POST", "/v1/deployments", wish)[0] == 422


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": "b"}', b'{"a": 1.5}'])
def test_a_traffic_report_is_counts(deployed, body):
    """Anything else is refused, and the last good report stays."""
    deployed.stack.ask("POST", "/v1/traffic", {"plays_sent": 3})
    assert deployed.stack.ask("POST", "/v1/traffic", body)[0] == 422
    assert deployed.stack.ask("POST", "/v1/traffic", b'{"a":' + b" " * 70_000 + b"1}")[0] == 413


def test_the_declaration_came_before_the_viewers(deployed, analysis):
    """Who is compared with whom, with instances, digests and the token."""
    (declared,) = analysis.told("/api/v1/canaries")
    deployment = deployed.deployment
    assert declared["deployment_id"] == deployment["deployment_id"]
    assert (declared["environment"], declared["service"]) == ("demo", "playback")
    for arm in ("baseline", "canary"):
        running = {
            one["instance_id"]
            for one in deployed.stack.instances().values()
            if one["spec"]["arm"] == arm
        }
        assert set(declared[arm]["instances"]) == running
        assert declared[arm]["digest"] == deployment[arm]["digest"]
    assert declared["expires_unix_nano"] > time.time_ns() > declared["started_unix_nano"]
    (_, headers, _) = next(post for post in analysis.posts if post[0] == "/api/v1/canaries")
    assert headers["authorization"] == "Bearer token-of-this-test"


async def test_it_passes_the_conformance_checks(deployed, analysis):
    """Every one of them, and the canary stays where it is."""
    fields = deployed.stack.fields
    audience = Audience(fields["endpoint_id"], analysis_url=analysis.url)
    messages = Messages(audience, SystemClock().wall_unix_nano(), os.urandom)
    sent = checks(messages, [parse_secret(deployed.stack.secret)])
    url = f"http://127.0.0.1:{deployed.stack.ports['controller_port']}/webhooks/davylamp"
    async with aclosing(run_checks(url, sent, SystemClock())) as found:
        assert [(one.check.name, one.status) async for one in found if not one.passed] == []
