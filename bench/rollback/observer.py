"""What must hold at every moment of the simulated loop, checked from outside it.

After each commit the rows themselves are read; at each request the wire tells; at the end of an
episode, when all faults are over, everything that began must have an end that people can see.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from analysis.decisions.guards import GuardLimits
from telemetry.clock import FixedClock

S = 1_000_000_000


class ViolationError(AssertionError):
    """A promise was broken."""


@dataclass
class Observer:
    """Of one episode. ``raw``: the ledger's own connection."""

    clock: FixedClock
    raw: sqlite3.Connection
    limits: GuardLimits
    counts: Counter[str] = field(default_factory=Counter)
    #: Everything that happened, in order, as one hash: equal seeds give equal ones.
    trace: Any = field(default_factory=hashlib.sha256)
    violations: list[str] = field(default_factory=list)
    commits: int = 0
    #: Lane -> requests of the living process under way.
    on_wire: Counter[str] = field(default_factory=Counter)
    #: Lane -> newest sequence ever sent.
    newest_sent: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    #: Decisions the ledger confirmed to have stored, and canaries.
    confirmed_stored: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    #: Decisions whose command the deployer truly carried out.
    carried_out: set[str] = field(default_factory=set)
    #: Canaries whose evidence, by construction, cannot carry a decision.
    without_evidence: set[str] = field(default_factory=set)
    _lapsed: set[str] = field(default_factory=set)
    _held: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, *about: object) -> None:
        """One thing that happened."""
        self.counts[what] += 1
        line = f"{self.clock.wall_unix_nano()} {what} {' '.join(map(str, about))}\n"
        self.trace.update(line.encode())

    def demand(self, holds: bool, sentence: str) -> None:
        """``sentence`` says what is broken if it does not hold."""
        if not holds:
            self.violations.append(f"after commit {self.commits}: {sentence}")

    # --- after every commit ------------------------------------------------------------------

    def committed(self) -> None:
        """One valid lease a lane; what is queued is the newest command; no decision without row."""
        self.commits += 1
        now = self.clock.wall_unix_nano()
        lanes: Counter[str] = Counter()
        held: dict[str, int] = {}
        rows = self.raw.execute(
            "SELECT lane, lease_token, lease_until_unix_nano FROM outbox"
            " WHERE lease_token IS NOT NULL"
        )
        for lane, token, until in rows:
            held[token] = until
            if until <= now:
                # It was over once: a clock set back gives it to nobody again.
                self._lapsed.add(token)
            lanes[lane] += token not in self._lapsed
        self._held = held
        for lane, count in lanes.items():
            self.demand(count <= 1, f"{count} valid leases on {lane}")
        old = self.raw.execute(
            "SELECT o.webhook_id FROM outbox o WHERE o.state = 'pending' AND EXISTS (SELECT 1"
            " FROM decisions d WHERE d.lane = o.lane AND d.mode = 'act'"
            " AND d.sequence > o.sequence)"
        ).fetchall()
        self.demand(not old, f"superseded and still queued: {old}")
        (bare,) = self.raw.execute(
            "SELECT (SELECT count(*) FROM decisions WHERE mode = 'act')"
            " - (SELECT count(*) FROM outbox)"
        ).fetchone()
        self.demand(bare == 0, f"{bare} commands without a row in the outbox")

    # --- at every request --------------------------------------------------------------------

    def sending(self, webhook_id: str, body: bytes, switch: str | None) -> str:
        """A request begins; returns its lane. Ends with :meth:`sent`."""
        event = orjson.loads(body)
        data, lane = event["data"], str(event["subject"])
        now = self.clock.wall_unix_nano()
        expires = datetime.fromisoformat(data["expires_at"]).timestamp()
        self.demand(now / 1e9 < expires, f"{webhook_id} sent {now / 1e9 - expires:.3f} s too late")
        self.demand(switch is None, f"{webhook_id} sent although the kill switch was thrown")
        known = self.bodies.setdefault(webhook_id, body)
        self.demand(known == body, f"{webhook_id} sent with other bytes")
        self.on_wire[lane] += 1
        self.demand(self.on_wire[lane] == 1, f"{self.on_wire[lane]} requests at once on {lane}")
        newest = self.newest_sent.get(lane, 0)
        sequence = int(data["sequence"])
        self.demand(sequence >= newest, f"{lane}: {sequence} sent after {newest}")
        self.newest_sent[lane] = max(newest, sequence)
        stored = self.raw.execute(
            "SELECT mode FROM decisions WHERE decision_id = ?", (data["decision_id"],)
        ).fetchone()
        self.demand(stored == ("act",), f"{webhook_id} sent for {stored}")
        self.note("requests", webhook_id)
        return lane

    def sent(self, lane: str) -> None:
        """The request ended, however."""
        self.on_wire[lane] -= 1

    def has_open_decisions(self) -> bool:
        """Whether a confirmer could have anything to do; asked here, it costs nothing."""
        query = (
            "SELECT 1 FROM decisions"
            " WHERE state IN ('requested', 'acknowledged', 'completed') LIMIT 1"
        )
        return self.raw.execute(query).fetchone() is not None

    # --- at the end --------------------------------------------------------------------------

    def healed(self) -> set[str]:
        """Faults are over: what is queued with 300 s left must arrive."""
        rows = self.raw.execute(
            "SELECT webhook_id FROM outbox WHERE state = 'pending' AND expires_unix_nano > ?",
            (self.clock.wall_unix_nano() + 300 * S,),
        )
        return {webhook_id for (webhook_id,) in rows}

    def ended(self, must_arrive: set[str]) -> None:
        """Everything has its end, told where people look."""
        self._nothing_is_lost()
        self._every_delivery_has_its_end(must_arrive)
        self._every_decision_has_evidence()
        self._no_limit_was_passed()

    def _nothing_is_lost(self) -> None:
        decisions = {row[0] for row in self.raw.execute("SELECT decision_id FROM decisions")}
        lost = self.confirmed_stored - decisions
        self.demand(not lost, f"stored, then lost: {lost}")
        canaries = {row[0] for row in self.raw.execute("SELECT deployment_id FROM canaries")}
        gone = self.declared - canaries
        self.demand(not gone, f"declared, then lost: {gone}")
        rows = self.raw.execute("SELECT lane, sequence FROM decisions ORDER BY lane, sequence")
        numbers: dict[str, list[int]] = {}
        for lane, sequence in rows:
            numbers.setdefault(lane, []).append(sequence)
        for lane, found in numbers.items():
            whole = list(range(1, len(found) + 1))
            self.demand(found == whole, f"sequences of {lane}: {found}")

    def _every_delivery_has_its_end(self, must_arrive: set[str]) -> None:
        rows = self.raw.execute(
            "SELECT o.webhook_id, o.decision_id, o.state, d.state, d.delivered_unix_nano,"
            " EXISTS (SELECT 1 FROM events e WHERE e.kind = 'dead_letter'"
            " AND e.deployment_id = d.deployment_id)"
            " FROM outbox o JOIN decisions d ON d.decision_id = o.decision_id"
        ).fetchall()
        for webhook_id, decision_id, state, decision, delivered, is_told in rows:
            self.counts[f"row {state}"] += 1
            self.counts[f"decision {decision}"] += 1
            self.demand(state != "pending", f"{webhook_id} is still queued at the end")
            if state == "delivered":
                is_true = webhook_id in self.accepted and delivered is not None
                self.demand(is_true, f"{webhook_id} is said to be delivered and was not")
            if state == "dead":
                self.demand(bool(is_told), f"{webhook_id} is dead and nobody was told")
            if webhook_id in must_arrive:
                self.demand(state == "delivered", f"{webhook_id} had time, and is {state}")
            is_open = decision in ("requested", "acknowledged", "completed")
            self.demand(not is_open, f"{decision_id} is still {decision} at the end")
            if decision == "confirmed":
                is_true = decision_id in self.carried_out
                self.demand(is_true, f"{decision_id} is confirmed and was not carried out")

    def _every_decision_has_evidence(self) -> None:
        rows = self.raw.execute(
            "SELECT d.decision_id, d.deployment_id, d.action, d.evidence_sha256, l.look_json"
            " FROM decisions d JOIN canaries c ON c.deployment_id = d.deployment_id"
            " LEFT JOIN looks l ON l.deployment_id = d.deployment_id"
            " AND l.look_index = c.looks - 1"
        )
        for decision_id, deployment_id, action, digest, text in rows:
            look = orjson.loads(text or "{}")
            wanted = "fail" if action == "rollback" else "pass"
            is_sound = (
                look.get("verdict") == wanted
                and look.get("final") is True
                and hashlib.sha256(text.encode()).hexdigest() == digest
            )
            self.demand(is_sound, f"{decision_id}: {action} without its evidence")
            is_bare = deployment_id in self.without_evidence
            self.demand(not is_bare, f"{decision_id}: {action} for lack of evidence")

    def _no_limit_was_passed(self) -> None:
        done = self.raw.execute(
            "SELECT d.lane, d.created_unix_nano, c.declaration_json FROM decisions d"
            " JOIN canaries c ON c.deployment_id = d.deployment_id"
            " WHERE d.mode = 'act' AND d.action = 'rollback' ORDER BY d.rowid"
        ).fetchall()
        releases: Counter[tuple[str, str]] = Counter()
        for number, (lane, last, text) in enumerate(done):
            before = done[: number + 1]
            service = round(self.limits.service_window_s * S)
            count = sum(row[0] == lane and row[1] > last - service for row in before)
            most = self.limits.rollbacks_per_service
            self.demand(count <= most, f"{count} rollbacks of {lane} within its window")
            storm = round(self.limits.storm_window_s * S)
            lanes = {row[0] for row in before if row[1] > last - storm}
            text_of = f"{len(lanes)} services rolled back within the storm window"
            self.demand(len(lanes) <= self.limits.storm_services, text_of)
            releases[lane, orjson.loads(text)["canary"]["digest"]] += 1
        most = self.limits.rollbacks_per_release
        for (lane, digest), count in releases.items():
            self.demand(count <= most, f"{digest} of {lane} rolled back {count} times")
