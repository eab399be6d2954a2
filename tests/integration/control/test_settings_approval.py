"""Settings that two people approve before anything is commanded under them."""

from __future__ import annotations

import asyncio
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from sqlalchemy import update

from analysis.decisions.guard_store import Guarding
from analysis.decisions.guarded_settings import Destination, GuardedSettings
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.ledger import Ledger
from analysis.decisions.settings_store import SettingsWatch
from analysis.decisions.states import DecisionState, DeliveryState
from analysis.decisions.tables import approved_settings
from analysis.errors import ConflictError
from analysis.proposals.changes import Changes, settings
from analysis.proposals.desk import ProposalDesk
from analysis.proposals.policy import Person, TwoPersons
from analysis.webhooks.events import Addressing
from collector.access.token_file import TokenFile
from collector.access.tokens import Order, issue
from telemetry.clock import FixedClock

ADA, BOB = Person("ada", "ada"), Person("bob", "bob")
LIMITS = GuardLimits(1, 1, 9, 86_400.0, 9, 9, 600.0)
HOOK = Destination("deployer", "http://127.0.0.1:9/x", ("*/*",), ("127.0.0.0/8",), False)
OWN = GuardedSettings("act", {}, LIMITS, 900.0, (HOOK,))
ADDRESSING = Addressing("deployer", HOOK.url, "http://127.0.0.1:1", 900.0)


class Installation:
    """One ledger, opened again and again with other settings as a restart does."""

    def __init__(self, url, folder, helpers):
        self._url = url
        self._switch = KillSwitch(folder / "stop")
        self._helpers = helpers
        self._count = 0
        self.clock = FixedClock()
        self.ledger = None

    def start(self, own=OWN, *, is_required=True):
        if self.ledger is not None:
            self.ledger.close()
        self.own = own
        watch = SettingsWatch(own, is_required=is_required)
        guarding = Guarding(own.limits, self._switch, watch)
        self.ledger = Ledger.open(self._url, self.clock, ADDRESSING, guarding)
        changes = Changes(self.ledger.outbox)
        two = TwoPersons(is_required=is_required, lifetime_s=900.0)
        self.proposals = ProposalDesk(self.ledger.database, self.clock, changes, two)
        return self.ledger.guards.begin()

    def propose(self):
        change = settings(self.own, self.ledger.guards.looser())
        return self.proposals.propose(change, ADA, "as agreed").proposal_id

    def approve(self):
        self.proposals.approve(self.propose(), BOB, "yes")

    def decide(self):
        self._count += 1
        return self._helpers.decide(self.ledger, self.clock, self._count, f"s-{self._count}")

    def leased(self):
        now = self.clock.wall_unix_nano()
        return [one.decision_id for one in self.ledger.outbox.lease_due(now, 1.0, 9).leases]

    def kinds(self):
        return [event.kind for event in self.ledger.events(0, 2**62)]


@pytest.fixture
def installation(database_url, tmp_path, helpers):
    made = Installation(database_url, tmp_path, helpers)
    yield made
    made.ledger.close()


def test_a_fresh_installation_commands_when_two_have_approved(installation):
    why = installation.start()
    assert "no settings that this version reads were approved" in why
    held = installation.decide()
    assert (held.mode, held.state) == ("advise", DecisionState.ADVISED)
    assert "not approved by two people" in held.summary
    (event,) = [e for e in installation.ledger.events(0, 2**62) if e.kind == "guard_held"]
    assert "(settings_not_approved)" in event.title
    installation.approve()
    assert installation.decide().mode == "act", "without a restart"
    assert installation.start() is None
    assert installation.decide().mode == "act"


def test_tighter_settings_need_nobody_and_looser_ones_do(installation):
    installation.start()
    installation.approve()
    tight = replace(OWN, general_mode="advise")
    assert installation.start(tight) is None
    assert "the mode is act, it was advise" in installation.start(), "also back to what it was"
    assert installation.decide().mode == "advise"
    installation.approve()
    assert installation.decide().mode == "act"
    wider = replace(OWN, limits=replace(LIMITS, storm_services=99))
    assert "storm_services is 99, it was 9" in installation.start(wider)
    assert installation.kinds().count("settings_not_approved") == 3


def test_what_was_commanded_before_is_sent_where_it_was_meant_to(installation):
    """A raised limit delays no rollback that was decided; another receiver never gets it."""
    installation.start()
    installation.approve()
    first = installation.decide()
    installation.start(replace(OWN, limits=replace(LIMITS, storm_services=99)))
    assert installation.leased() == [first.decision_id]
    second_home = (replace(HOOK, url="http://127.0.0.1:9/elsewhere"),)
    installation.clock.advance(60.0)
    installation.start(replace(OWN, destinations=second_home))
    assert installation.leased() == []
    (delivery,) = installation.ledger.outbox.deliveries()
    assert delivery.state is DeliveryState.PENDING, "it stays queued"
    installation.approve()
    assert installation.leased() == [first.decision_id]


def test_an_approval_is_of_what_was_in_force_when_it_was_proposed(installation):
    installation.start()
    stale = installation.propose()
    wider = replace(OWN, limits=replace(LIMITS, storm_services=99))
    installation.start(wider)
    installation.approve()
    with pytest.raises(ConflictError, match="has changed since"):
        installation.proposals.approve(stale, BOB, "late")


def test_settings_of_another_version_are_approved_anew(installation):
    installation.start()
    installation.approve()
    with installation.ledger.database.write() as connection:
        connection.execute(update(approved_settings).values(settings_json='{"limits":{}}'))
    assert installation.start() is not None
    installation.approve()
    assert installation.start() is None


def test_where_one_is_enough_nothing_is_held_and_the_change_is_told(installation):
    assert installation.start(is_required=False) is None
    assert installation.decide().mode == "act"
    assert "settings_unguarded" not in installation.kinds()
    installation.start()
    installation.approve()
    assert installation.start(replace(OWN, decision_lifetime_s=9e9), is_required=False) is None
    assert "settings_unguarded" in installation.kinds()
    assert "decision_lifetime_s" in installation.start(replace(OWN, decision_lifetime_s=9e9))


async def test_a_process_holds_until_two_tokens_approved(start_process, tmp_path, helpers):
    """Seen in guards, health, metrics and on the timeline."""

    def token(name):
        kept, text = issue(Order(name, ("admin", "read")), time.time(), os.urandom)
        TokenFile(tmp_path / "tokens.json").add(kept)
        return text

    def asked(path, shown=None, body=None):
        request = urllib.request.Request(
            process.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {shown}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if text.startswith("{") else text
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    async def ask(*words):
        return await asyncio.to_thread(asked, *words)

    ada, bob = token("ada"), token("bob")
    process = start_process("http://127.0.0.1:9/x", guards={"two_persons": True})
    _, found = await ask("/api/v1/guards")
    assert found["settings"]["held"] == "settings_not_approved"
    assert (await ask("/readyz"))[1] == {"status": "ready", "held": "settings_not_approved"}
    assert "davylamp_guard_settings_not_approved 1.0" in (await ask("/metrics"))[1]
    _, events = await ask("/api/v1/events")
    assert [one["kind"] for one in events["events"]] == ["settings_not_approved"]
    assert "settings_not_approved" in process.stderr.read_text()
    words = {"who": "x", "reason": "as agreed"}
    path = "/api/v1/guards/settings"
    assert (await ask(path, ada, {"sha256": "0" * 64, **words}))[0] == 409
    sha256 = found["settings"]["sha256"]
    status, proposal = await ask(path, ada, {"sha256": sha256, **words})
    assert (status, proposal["what"]["settings"]["general_mode"]) == (202, "act")
    approve = f"/api/v1/proposals/{proposal['proposal_id']}/approve"
    assert (await ask(approve, ada, words))[0] == 403
    assert (await ask(approve, bob, words))[0] == 200
    assert (await ask("/readyz"))[1] == {"status": "ready"}
    assert (await ask("/api/v1/guards"))[1]["settings"]["is_approved"] is True
    assert (await ask(path, ada, {"sha256": sha256, **words}))[0] == 409
