"""One canary from its first look to its last: read, judge, say how it stands.

The watch holds the judge and the books of what was read; both are saved with every look, so a
killed process goes on with the very next step. Nothing is taken from an answer unless all answers
of the round came: a half-read second is read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analysis.blocks import Block
from analysis.canary.config import CanaryConfig, MetricKind
from analysis.canary.errors import CanaryStateError
from analysis.canary.evidence import Look, Reason
from analysis.canary.judge import CanaryJudge
from analysis.canary.tape import TapeEntry, written
from analysis.decisions.records import CanaryRecord, Declaration
from analysis.decisions.states import CanaryState
from analysis.reading.answers import BlocksAnswer, SeriesAnswer
from analysis.reading.canary_blocks import baseline_blocks, blocks_of, newest_by_arm
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.reading.roster import ARM_NAMES, ArmName, DeclaredArm, Roster
from analysis.reading.sources import Source, prime_matches, sources_of
from analysis.reading.steps import SECOND_NS, StepBook, Tile, aligned_up, closed_until
from analysis.runner import holds
from analysis.runner.config import RunnerConfig

logger = logging.getLogger("analysis.canary")

#: Version of the saved form around the judge's own.
STATE_VERSION: Final = 1
#: Rounds of catching up within one look.
MAX_ROUNDS: Final = 20
#: Steps of one question at most, however long nobody was heard; the collector answers 11,000.
MAX_QUESTION_STEPS: Final = 10_000
#: A canary that shows nothing yet is warming; these reasons say so.
_WARMING_REASONS: Final = frozenset({Reason.WARMING, Reason.NO_DATA})

_ENDS: Final = {
    "pass": CanaryState.PASSED,
    "fail": CanaryState.FAILED,
    "inconclusive": CanaryState.INCONCLUSIVE,
    "invalid": CanaryState.INVALID,
}

Blocks = dict[str, list[Block]]


@dataclass(frozen=True, slots=True)
class LookResult:
    """A look with what has to be stored beside it."""

    look: Look
    judge_state: Mapping[str, Any]
    next_state: CanaryState
    #: What the judge was given for it (:mod:`analysis.canary.tape`).
    tape: bytes


def roster_of(declaration: Declaration) -> Roster:
    """Who belongs to which arm."""
    return Roster(
        declaration.deployment_id,
        declaration.service,
        DeclaredArm(declaration.baseline.version, frozenset(declaration.baseline.instances)),
        DeclaredArm(declaration.canary.version, frozenset(declaration.canary.instances)),
    )


class CanaryWatch:
    """One open canary. Not shared between tasks."""

    def __init__(
        self,
        record: CanaryRecord,
        rule: CanaryConfig,
        client: CollectorClient,
        config: RunnerConfig,
    ) -> None:
        self.declaration = record.declaration
        self.roster = roster_of(record.declaration)
        self.state = record.state
        self._rule = rule
        self._client = client
        self._config = config
        self._sources = sources_of(rule, self.roster)
        self._judge = CanaryJudge(rule, record.declaration.started_unix_nano)
        start = aligned_up(record.declaration.started_unix_nano, config.reading.step_s * SECOND_NS)
        self._books = {source.name: StepBook.starting(start) for source in self._sources}
        #: Source -> doublings of its window: nothing could be closed in the last one.
        self._doublings = dict.fromkeys(self._books, 0)
        self._looks = 0
        self._summary = record.summary
        self._newest_unix_nano = 0
        self._is_primed = False
        self._is_new_judge = True
        self._primers: Blocks = {}

    # --- saved state ------------------------------------------------------------------------

    def resume(self, state: Mapping[str, Any]) -> bool:
        """Go on from a saved state; False when it is of other code, then all is read anew.

        Judging the same blocks again from the first is as good: no verdict came of them.
        """
        self._looks = int(state["looks"])
        if state.get("version") != STATE_VERSION:
            return False
        try:
            self._judge = CanaryJudge.from_state(self._rule, state["judge"])
        except CanaryStateError as error:
            logger.warning("%s is judged anew: %s", self.roster.deployment_id, error)
            return False
        self._books = {
            source.name: StepBook.from_state(state["books"][source.name])
            for source in self._sources
        }
        self._newest_unix_nano = int(state["newest_unix_nano"])
        self._is_primed = bool(state["is_primed"])
        self._is_new_judge = False
        return True

    def _to_state(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "looks": self._looks,
            "judge": self._judge.to_state(),
            "books": {name: book.to_state() for name, book in self._books.items()},
            "newest_unix_nano": self._newest_unix_nano,
            "is_primed": self._is_primed,
        }

    # --- looking ----------------------------------------------------------------------------

    async def look(self, now_unix_nano: int, take_back: str | None = None) -> LookResult:
        """Read what is new and judge it; never raises ReadingError, it holds instead.

        ``take_back``: why a policy ends the canary now, whatever the evidence.
        """
        index, self._looks = self._looks, self._looks + 1
        if take_back is not None:
            return self._held(holds.taken_back(self._judge, index, now_unix_nano, take_back))
        if now_unix_nano >= self.declaration.expires_unix_nano:
            return self._held(holds.at_the_end(self._judge, index, now_unix_nano, self._summary))
        try:
            blocks = await self._read(now_unix_nano)
        except ReadingError as error:
            return self._held(
                holds.on_hold(self._judge, index, now_unix_nano, error.name, str(error))
            )
        stale_s = (now_unix_nano - self._newest_unix_nano) * 1e-9
        if self._newest_unix_nano and not blocks and stale_s > self._config.stale_after_s:
            text = f"the newest of either arm is {stale_s:.0f} s old."
            return self._held(holds.on_hold(self._judge, index, now_unix_nano, "stale", text))
        look = self._judge.look(blocks, now_unix_nano)
        return self._result(
            holds.numbered(look, index, self._reading_facts()), is_look=True, blocks=blocks
        )

    def _held(self, look: Look) -> LookResult:
        """A look that the judge did not make."""
        return self._result(look, is_look=False, blocks={})

    def _result(self, look: Look, *, is_look: bool, blocks: Blocks) -> LookResult:
        self._summary = look.summary
        if look.verdict is not None and look.verdict.final:
            self.state = _ENDS[look.verdict.kind]
        elif self.state is not CanaryState.OBSERVING:
            is_warming = look.reason in _WARMING_REASONS
            self.state = CanaryState.WARMING if is_warming else CanaryState.OBSERVING
        entry = TapeEntry(self._is_new_judge, is_look, look.unix_nano, blocks, self._primers)
        self._is_new_judge, self._primers = False, {}
        return LookResult(look, self._to_state(), self.state, written(entry))

    def _reading_facts(self) -> dict[str, Any]:
        books = self._books.values()
        return {
            "stray_events": sum(book.stray_events for book in books),
            "late_events": sum(book.late_events for book in books),
            "tiles_unaudited": sum(book.tiles_unaudited for book in books),
            "taken_until_unix_nano": min(book.taken_until_unix_nano for book in books),
        }

    # --- reading ----------------------------------------------------------------------------

    async def _read(self, now: int) -> Blocks:
        """All closed steps not taken yet, of all sources. Raises ReadingError.

        Once a round was taken, a later one's failure only ends catching up.
        """
        if not self._is_primed:
            await self._prime()
        blocks: Blocks = {}
        for number in range(MAX_ROUNDS):
            try:
                answers = await asyncio.gather(
                    *(self._ask(source, now) for source in self._sources)
                )
            except ReadingError:
                if number == 0:
                    raise
                break
            pairs = list(zip(self._sources, answers, strict=True))
            for source, answer in pairs:
                self._take(source, answer, now, blocks)
            if all(answer.to_unix_nano >= now for _, answer in pairs):
                await self._audit(now)
                break
        return blocks

    async def _ask(self, source: Source, now: int) -> BlocksAnswer:
        book, reading = self._books[source.name], self._config.reading
        longest_s = self._rule.silence_s - reading.settle_max_s
        step_ns = book.step_s(reading, longest_s) * SECOND_NS
        start = book.taken_until_unix_nano
        steps = reading.catch_up_max_steps << self._doublings[source.name]
        end = start + min(steps, MAX_QUESTION_STEPS) * step_ns
        return await self._client.blocks(
            source.metric,
            from_unix_nano=start,
            to_unix_nano=max(min(now, end), start + 1),
            step_ns=step_ns,
            matches=source.matches,
            group_by=source.group_by,
        )

    def _take(self, source: Source, answer: BlocksAnswer, now: int, blocks: Blocks) -> None:
        """Hand on the closed steps of one answer and note them in the book."""
        book = self._books[source.name]
        newest = newest_by_arm(source, answer, self.roster)
        self._newest_unix_nano = max(self._newest_unix_nano, *newest.values(), 0)
        until = closed_until(
            book.taken_until_unix_nano,
            answer.step_ns,
            newest_unix_nano=newest,
            now_unix_nano=now,
            upto_unix_nano=answer.to_unix_nano,
            config=self._config.reading,
        )
        # A silence longer than a window hides what came after it: look further next time.
        is_stuck = until == book.taken_until_unix_nano and answer.to_unix_nano < now
        self._doublings[source.name] = self._doublings[source.name] + 1 if is_stuck else 0
        taken = blocks_of(source, answer, self.roster, until)
        for key, new in taken.blocks.items():
            if new:  # a key without blocks would make a round without data look like one with
                blocks.setdefault(key, []).extend(new)
        tile_ns = self._config.reading.audit_tile_s * SECOND_NS
        for start in range(answer.from_unix_nano, until, answer.step_ns):
            events: dict[ArmName, int] = {
                arm: taken.events.get((arm, start), 0) for arm in ARM_NAMES
            }
            book.take(start, start + answer.step_ns, events, tile_ns)
        book.stray_events += taken.stray_events

    async def _prime(self) -> None:
        """Let the judge learn the baseline's shape from before the canary, once."""
        reading = self._config.reading
        end = self._books[self._sources[0].name].first_unix_nano
        primers: Blocks = {}
        for source in self._sources:
            for metric in source.feeds:
                if metric.kind is not MetricKind.HISTOGRAM:
                    continue
                answer = await self._client.blocks(
                    metric.source_metric,
                    from_unix_nano=end - reading.prime_s * SECOND_NS,
                    to_unix_nano=end,
                    step_ns=10 * SECOND_NS,
                    matches=prime_matches(metric, self.roster),
                    group_by=(),
                )
                if answer.groups:
                    primers[metric.name] = baseline_blocks(metric, answer)
        self._judge.prime(primers)
        self._primers = primers
        self._is_primed = True

    # --- counting again ---------------------------------------------------------------------

    async def _audit(self, now: int) -> None:
        """Count one old tile of one source again, if one is due; a failure waits for next time."""
        for source in self._sources:
            book = self._books[source.name]
            tile = book.due_tile(now, self._config.reading)
            if tile is None:
                continue
            try:
                answer = await self._count(source, tile)
            except ReadingError:
                return
            events = sum(
                sum(points.values())
                for attributes, points in answer.groups
                if self.roster.arm_of(attributes, scoped=source.is_scoped) is not None
            )
            late = book.audited(tile, events, self._config.reading.audit_tile_s * SECOND_NS)
            if late:
                logger.info(
                    "%s: %d events of %s were late", self.roster.deployment_id, late, source.name
                )
            return

    async def _count(self, source: Source, tile: Tile) -> SeriesAnswer:
        """Events of the tile in one step; ``/series`` aligns steps, tiles are aligned already."""
        return await self._client.increase(
            source.metric,
            from_unix_nano=tile.start_unix_nano,
            to_unix_nano=tile.end_unix_nano,
            step_ns=self._config.reading.step_s * SECOND_NS,
            matches=source.matches,
            group_by=source.identity,
        )
