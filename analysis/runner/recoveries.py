"""Looks after delivered rollbacks until their signal is back, and puts that on the timeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Decision
from analysis.decisions.states import Action
from analysis.slo.recovery import GIVE_UP_S, Recovery, Signal, recovery
from analysis.slo.tracker import SpendView

KINDS: Final = ("recovered", "not_recovered")
_S: Final = 1_000_000_000


class Recoveries:
    """Not thread-safe; methods block. Raises LedgerUnavailableError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settled: set[tuple[str, str]] | None = None

    def look(self, views: Iterable[SpendView], now_unix_nano: int) -> None:
        """Tell what is new of rollbacks delivered lately."""
        since = now_unix_nano - 2 * GIVE_UP_S * _S
        if self._settled is None:
            known = self._ledger.events(since, now_unix_nano, kinds=KINDS)
            told = [one.about for one in known if one.about is not None]
            self._settled = {(one["decision_id"], one["objective"]) for one in told}
        recent = self._ledger.delivered_since(Action.ROLLBACK, since)
        for decision in recent:
            for view in views:
                key = (decision.decision_id, view.objective.name)
                if view.objective.service == decision.service and key not in self._settled:
                    self._settle(decision, view)
        ids = {one.decision_id for one in recent}
        self._settled = {key for key in self._settled if key[0] in ids}

    def _settle(self, decision: Decision, view: SpendView) -> None:
        assert decision.delivered_unix_nano is not None, "chosen by it"
        objective = view.objective
        found = recovery(
            view.counts.events, objective.budget_ratio, decision.delivered_unix_nano // _S
        )
        if found.signal is Signal.WAITING:
            return
        if found.signal is not Signal.NOT_HURT:
            self._tell(decision, objective.name, objective.display_name, found)
        assert self._settled is not None, "read before"
        self._settled.add((decision.decision_id, objective.name))

    def _tell(self, decision: Decision, name: str, display_name: str, found: Recovery) -> None:
        kind, title = "not_recovered", f"{display_name!r} is not back {GIVE_UP_S} s after"
        if found.signal is Signal.BACK:
            kind, title = "recovered", f"{display_name!r} is back {found.after_s} s after"
        self._ledger.record_event(
            kind,
            decision.service,
            f"{title} the rollback was delivered",
            detail=f"decision {decision.decision_id}",
            deployment_id=decision.deployment_id,
            about={
                "decision_id": decision.decision_id,
                "objective": name,
                "after_s": found.after_s,
            },
        )
