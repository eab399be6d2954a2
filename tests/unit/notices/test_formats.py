"""Notices in other tools' words: their required fields, one key from opening to closing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analysis.alerts.labels import fingerprint
from analysis.notices.formats import (
    PROPOSALS,
    SEVERITIES,
    CanaryNotice,
    Format,
    ProposalNotice,
    Sender,
    render,
)

DECIDED = CanaryNotice(
    event_id=7,
    unix_nano=1_735_689_600_000_000_000,
    kind="decision",
    title="Decided: rollback of playback 1.1.0",
    detail="The canary is worse.",
    deployment_id="playback-1",
    environment="prod",
    service="playback",
    version="1.1.0",
    digest="sha256:bbbb",
)
CONFIRMED = replace(DECIDED, event_id=9, kind="confirmed", title="Rollback confirmed", detail="")
SENDER = Sender("pager", "http://127.0.0.1:4320")


def told(notice, form):
    return json.loads(render(notice, form, SENDER))


def test_alertmanagers_body_has_every_field_of_version_4():
    """prometheus/alertmanager docs/configuration.md, webhook_config."""
    body = told(DECIDED, Format.ALERTMANAGER)
    assert set(body) == {
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels",
        "commonLabels", "commonAnnotations", "externalURL", "alerts",
    }  # fmt: skip
    (alert,) = body["alerts"]
    assert set(alert) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint",
    }  # fmt: skip
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "pager")
    assert (alert["startsAt"], alert["endsAt"]) == (
        "2025-01-01T00:00:00.000000Z",
        "0001-01-01T00:00:00Z",
    )
    assert body["groupKey"] == '{}:{alertname="DavylampDecision", deployment_id="playback-1"}'
    assert all(body["commonLabels"][name] == value for name, value in body["groupLabels"].items())


def test_what_was_opened_is_closed():
    """The same group, fingerprint and key, however severe it became meanwhile."""
    dead = replace(DECIDED, event_id=8, kind="dead_letter")
    alerts = [told(one, Format.ALERTMANAGER) for one in (DECIDED, dead, CONFIRMED)]
    assert len({one["groupKey"] for one in alerts}) == 1
    assert len({one["alerts"][0]["fingerprint"] for one in alerts}) == 1
    assert [one["status"] for one in alerts] == ["firing", "firing", "resolved"]
    pages = [told(one, Format.PAGERDUTY) for one in (DECIDED, dead, CONFIRMED)]
    assert len({one["dedup_key"] for one in pages}) == 1
    assert [one["event_action"] for one in pages] == ["trigger", "trigger", "resolve"]
    assert [one["payload"]["severity"] for one in pages] == ["warning", "critical", "info"]


def test_fingerprints_are_prometheus_own():
    """Values of prometheus/common's FNV-1a: the empty set, and one label by hand."""
    assert fingerprint({}) == "cbf29ce484222325"
    by_hand = 0xCBF29CE484222325
    for byte in b"a\xffb\xff":
        by_hand = (by_hand ^ byte) * 0x100000001B3 % 2**64
    assert fingerprint({"a": "b"}) == f"{by_hand:016x}"
    assert fingerprint({"a": "b", "c": "d"}) == fingerprint({"c": "d", "a": "b"})


def test_pagerdutys_body_holds_no_key():
    """Required: action, payload.summary, .source, .severity; the key is added when it is sent."""
    body = told(replace(DECIDED, detail="x" * 5_000), Format.PAGERDUTY)
    assert "routing_key" not in body
    assert len(body["payload"]["summary"]) == 1_000
    assert {"summary", "source", "severity"} <= set(body["payload"])
    assert body["payload"]["severity"] in ("critical", "error", "warning", "info")
    long = replace(DECIDED, deployment_id="d" * 128, service="s" * 64, environment="e" * 64)
    assert len(told(long, Format.PAGERDUTY)["dedup_key"]) <= 255


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("decision", "dev.cdeventsx.davylamp-decision.made.0.1.0"),
        ("dead_letter", "dev.cdevents.incident.detected.0.3.0"),
        ("unconfirmed", "dev.cdevents.incident.detected.0.3.0"),
        ("confirmed", "dev.cdevents.incident.resolved.0.3.0"),
    ],
)
def test_cdevents_travel_in_a_cloud_event(kind, type_):
    """id, source, type and time are the CDEvent's own; its subject is the CloudEvent's."""
    body = told(replace(DECIDED, kind=kind), Format.CDEVENTS)
    context = body["data"]["context"]
    assert (body["type"], context["type"]) == (type_, type_)
    assert (body["id"], body["source"], body["time"]) == (
        context["id"],
        context["source"],
        context["timestamp"],
    )
    subject = body["data"]["subject"]
    assert body["subject"] == subject["id"]
    assert subject["content"]["environment"] == {"id": "prod"}
    assert subject["content"]["artifactId"] == "pkg:oci/playback@sha256%3Abbbb"


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("kind", SEVERITIES)
def test_every_kind_has_a_body_in_every_format(kind, form):
    """And the same notice the same bytes."""
    notice = replace(DECIDED, kind=kind)
    assert render(notice, form, SENDER) == render(notice, form, SENDER)
    assert kind in render(notice, form, SENDER).decode()


@pytest.mark.parametrize("kind", sorted(PROPOSALS))
def test_a_proposal_is_a_kind_of_our_own_and_keeps_its_key(kind):
    """CDEvents has approvals only in a draft."""
    words = (7, 1_735_689_600_000_000_000, kind, "Ada proposes", "false alarm")
    notice = ProposalNotice(*words, "prod", "playback", "prp_1")
    event = told(notice, Format.CDEVENTS)["data"]
    assert event["context"]["type"].startswith("dev.cdeventsx.davylamp-proposal.")
    assert event["subject"]["id"] == "davylamp/proposal/prp_1"
    assert told(notice, Format.STANDARD)["data"]["proposal_id"] == "prp_1"
    assert notice.is_resolving == (kind != "proposal")
    assert set(notice.group) <= set(notice.labels)
