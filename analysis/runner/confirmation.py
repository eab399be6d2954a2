"""Was it done? What the receiver reports is a claim; here telemetry is asked for proof."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from analysis.canary.config import CanaryConfig, MetricKind, load_canary_config
from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Decision
from analysis.decisions.states import Action
from analysis.errors import IllegalMoveError
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.reading.proof import Proof, canary_is_silent, canary_is_stable
from analysis.reading.roster import Roster
from analysis.reading.sources import Source, sources_of
from analysis.reading.steps import SECOND_NS
from analysis.runner.canary_watch import roster_of
from analysis.runner.config import RunnerConfig
from telemetry import semconv
from telemetry.clock import Clock

logger = logging.getLogger("analysis.confirmation")

#: Decisions looked after at once; the oldest first.
MAX_DECISIONS: Final = 16


class Confirmer:
    """Looks after every delivered decision until it is confirmed or its time is over."""

    def __init__(
        self,
        client: CollectorClient,
        ledger: Ledger,
        clock: Clock,
        config: RunnerConfig,
        confirm_timeout_s: float,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._config = config
        self._timeout_ns = round(confirm_timeout_s * SECOND_NS)

    async def tick(self) -> None:
        """One attempt for each. Raises LedgerUnavailableError."""
        decisions = await asyncio.to_thread(self._ledger.awaiting_confirmation)
        for decision in decisions[:MAX_DECISIONS]:
            try:
                await self._attend(decision)
            except IllegalMoveError as error:
                logger.info("overtaken: %s", error)

    async def _attend(self, decision: Decision) -> None:
        since = _claimed_unix_nano(decision)
        try:
            proof = await self._prove(decision, since)
        except ReadingError as error:
            proof = Proof(False, f"the collector could not be read: {error}")
        now = self._clock.wall_unix_nano()
        if proof.is_proven:
            await asyncio.to_thread(self._ledger.confirm, decision.decision_id, now, proof.detail)
        elif now - since > self._timeout_ns:
            detail = f"No proof within {self._timeout_ns / SECOND_NS:.0f} s: {proof.detail}."
            await asyncio.to_thread(self._ledger.unconfirmed, decision.decision_id, now, detail)

    async def _prove(self, decision: Decision, since: int) -> Proof:
        record = await asyncio.to_thread(self._ledger.canary, decision.deployment_id)
        roster = roster_of(record.declaration)
        rule = load_canary_config(record.config_text)
        now = self._clock.wall_unix_nano()
        heard = await self._client.instances(from_unix_nano=since - SECOND_NS, to_unix_nano=now)
        silent_s = self._config.confirm_silent_s
        if decision.action is Action.ROLLBACK:
            witness = _witness_of(rule, roster)
            starts = None
            if witness is not None:
                starts = await self._client.increase(
                    witness.metric,
                    from_unix_nano=since // SECOND_NS * SECOND_NS,
                    to_unix_nano=now,
                    step_ns=SECOND_NS,
                    matches=(*witness.matches, f"{semconv.CANARY_COHORT}={semconv.COHORT_CANARY}"),
                    group_by=witness.identity,
                )
            return canary_is_silent(roster, heard, starts, since_unix_nano=since, silent_s=silent_s)
        requests = await self._client.increase(
            _served_metric(rule),
            from_unix_nano=since // SECOND_NS * SECOND_NS,
            to_unix_nano=now,
            step_ns=SECOND_NS,
            matches=(
                f"{semconv.SERVICE_NAME}={roster.service}",
                f"{semconv.SERVICE_VERSION}={roster.canary.version}",
                f"{semconv.DEPLOYMENT_ID}=",
            ),
            group_by=(semconv.SERVICE_INSTANCE_ID,),
        )
        return canary_is_stable(roster, heard, requests, since_unix_nano=since, silent_s=silent_s)


def _claimed_unix_nano(decision: Decision) -> int:
    """From when on it is claimed to be done, or to have begun."""
    return (
        decision.completed_unix_nano
        or decision.acknowledged_unix_nano
        or decision.delivered_unix_nano
        or decision.created_unix_nano
    )


def _witness_of(rule: CanaryConfig, roster: Roster) -> Source | None:
    """A source outside the service that counts what the canary's viewers do."""
    for source in sources_of(rule, roster):
        if not source.is_scoped and any(f.kind is MetricKind.COUNT for f in source.feeds):
            return source
    return None


def _served_metric(rule: CanaryConfig) -> str:
    """The metric by which an instance of the service shows that it serves."""
    scoped = [metric.source_metric for metric in rule.metrics if metric.service_scoped]
    return scoped[0] if scoped else semconv.HTTP_SERVER_REQUEST_DURATION.name
