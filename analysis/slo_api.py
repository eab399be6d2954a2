"""Objectives looked back upon, over HTTP: explained, with another target, and in reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response

from analysis import bodies, params
from analysis.api import Desk, require_own
from analysis.decisions.records import Event
from analysis.errors import (
    AnalysisError,
    BadRequestError,
    LedgerUnavailableError,
    UnknownRecordError,
)
from analysis.guards_api import signed_by
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.reading.steps import SECOND_NS
from analysis.runner.objective_past import MANY_SLICES, MAX_SLICES, STEPS_S, read_past
from analysis.slo import period_report
from analysis.slo.composite_past import explained_together, report_row_together
from analysis.slo.composites import Composite, composites_of
from analysis.slo.correction_book import excluded_spans
from analysis.slo.errors import SloFileError
from analysis.slo.looking_back import Past, explained, report_row, slices_that_fit, what_if
from analysis.slo.objectives import Objective
from analysis.slo.openslo.corrections import CorrectionError
from analysis.slo.openslo.errors import OpenSloError
from analysis.slo.openslo.time_windows import Period
from analysis.slo.other_terms import OtherTerms, both, read_alerts, read_duration, under
from analysis.slo.spend_ledger import KINDS, booked, causes_of
from collector.access.desk import Caller

Text = Annotated[str | None, Query()]
FromText = Annotated[str | None, Query(alias="from", description=params.TIME_ACCEPTED)]
ToText = Annotated[str | None, Query(alias="to", description=params.TIME_ACCEPTED)]
#: Seconds until everything of a moment has arrived, mostly; later ones come with the next answer.
SETTLE_S: Final = 5
#: Causes that began so long before a period are found; lines of the timeline that are read.
BEFORE_S: Final = 86_400
MAX_LINES: Final = 10_000
#: Between these a target says something.
_TARGETS: Final = "a number from 0.5 to 0.99999"


class Looker:
    """Reads the past of the objectives that run here."""

    def __init__(
        self, desk: Desk, client: CollectorClient, objectives: Sequence[Objective]
    ) -> None:
        self.desk = desk
        self.objectives = {one.name: one for one in objectives}
        self.composites = {one.objective.name: one for one in composites_of(objectives)}
        self._client = client

    def named(self, name: str) -> Objective:
        """Raises UnknownRecordError, and BadRequestError for a composite."""
        if name in self.composites:
            members = ", ".join(one.name for one in self.composites[name].members)
            raise BadRequestError(f"{name} is a composite", accepted=f"one of {members}")
        try:
            return self.objectives[name]
        except KeyError:
            raise UnknownRecordError(f"no objective {name!r}") from None

    def now_unix_s(self) -> int:
        """The present, whole seconds."""
        return self.desk.clock.wall_unix_nano() // SECOND_NS

    async def past(self, objective: Objective, period: Period) -> Past:
        """With as much before the period as its alerts look back. Raises AnalysisError."""
        windows = objective.policy.windows
        before_s = max((one.long_window_s for one in windows), default=0)
        length_s = period.length_s + before_s
        slice_s = None
        for most in (MAX_SLICES, MANY_SLICES):
            slice_s = slice_s or slices_that_fit(
                length_s, windows, STEPS_S, most, objective.slice_s
            )
        if slice_s is None:
            raise BadRequestError(
                f"{period.length_s} s are too long for the alert windows of {objective.name}",
                accepted=f"a period of at most {MANY_SLICES} of the slices that divide them",
            )
        end = min(period.end_unix_s, self.now_unix_s() - SETTLE_S)
        whole = Period(period.start_unix_s - before_s, end)
        corrections = self.desk.ledger.corrections
        known = await asyncio.to_thread(corrections.in_force, self.desk.clock.wall_unix_nano())
        try:
            counts = await read_past(self._client, objective, whole, slice_s)
            return Past(counts, excluded_spans(known, objective.name, whole))
        except ReadingError as error:
            raise LedgerUnavailableError(f"the collector cannot be read: {error}") from error
        except CorrectionError as error:
            raise BadRequestError(str(error), accepted="a shorter period") from error

    def timeline(self, period: Period) -> list[Event]:
        """Lines about causes, newest first, from a while before the period to now. Blocking.

        Told later than it happened is told as well.
        """
        since = (period.start_unix_s - BEFORE_S) * SECOND_NS
        now = self.desk.clock.wall_unix_nano() + 1
        return self.desk.ledger.events(since, now, MAX_LINES, KINDS)

    async def pasts(self, composite: Composite, now_unix_s: int) -> list[Past]:
        """That of each member's current period. Raises AnalysisError."""
        return [await self.past(one, _current(one, now_unix_s)) for one in composite.members]

    async def answer(
        self, request: Request, read: Callable[[], Awaitable[Callable[[], Any]]]
    ) -> Response:
        """``read`` asks the collector and gives what computes the answer on a thread."""
        try:
            compute = await read()
        except AnalysisError as error:
            problem = error

            def fail() -> tuple[int, Any]:
                raise problem

            return await self.desk.read(request, fail)

        def work() -> tuple[int, Any]:
            try:
                return 200, compute()
            except OpenSloError as error:
                raise BadRequestError(str(error), accepted="another target or period") from error

        return await self.desk.read(request, work)


def add_looking_back(app: FastAPI, looker: Looker) -> None:
    """Add the routes."""

    @app.get("/api/v1/slos/{name:path}/explain")
    async def explain(request: Request, name: str) -> Response:
        """Every number with its inputs, window, formula and what stands in it."""

        async def read() -> Callable[[], Any]:
            now, together = looker.now_unix_s(), looker.composites.get(name)
            if together is not None:
                pasts = await looker.pasts(together, now)
                return lambda: explained_together(together, pasts, now)
            objective = looker.named(name)
            past = await looker.past(objective, _current(objective, now))
            return lambda: explained(objective, past, now)

        return await looker.answer(request, read)

    @app.get("/api/v1/slos/{name:path}/whatif")
    async def other_terms(
        request: Request,
        name: str,
        objective: Text = None,
        window: Text = None,
        alerts: Text = None,
        from_text: FromText = None,
        to_text: ToText = None,
    ) -> Response:
        """Alerts and budget as they were, and under other terms; and a target that fits."""

        async def read() -> Callable[[], Any]:
            known, now = looker.named(name), looker.now_unix_s()
            changed = _changed(known, objective, window, alerts)
            # Without a period that is asked for, it is the other window's.
            period = _asked(looker, changed, from_text, to_text)
            past = await looker.past(both(known, changed), period)
            return lambda: what_if(known, past, period, changed, now)

        return await looker.answer(request, read)

    @app.get("/api/v1/slos/{name:path}/spend")
    async def spend(
        request: Request, name: str, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Every bad event booked to a cause of the timeline, or to nothing known."""

        async def read() -> Callable[[], Any]:
            known = looker.named(name)
            period = _asked(looker, known, from_text, to_text)
            past = await looker.past(known, period)

            def compute() -> dict[str, Any]:
                lines = looker.timeline(period)
                found = booked(known, past, period, causes_of(reversed(lines), known, period))
                return found | {"is_timeline_cut": len(lines) == MAX_LINES}

            return compute

        return await looker.answer(request, read)

    @app.post("/api/v1/slo-causes")
    async def tell(request: Request) -> Response:
        """Something that may have spent budgets: chaos, maintenance, a deploy, an incident."""
        desk = looker.desk

        def work(raw: bytes, caller: Caller) -> tuple[int, Any]:
            body = bodies.read_cause(raw)
            require_own(caller, body.service, "*")
            about = {
                "cause": body.kind,
                "from_unix_s": body.from_unix_s,
                "to_unix_s": body.to_unix_s,
            }
            who = signed_by(caller, body.who)
            desk.ledger.record_event(
                "cause", body.service, body.title, detail=f"told by {who}", about=about
            )
            return 201, {**about, "service": body.service, "title": body.title, "who": who}

        return await desk.write(request, work)

    @app.get("/api/v1/slo-report")
    async def report(
        request: Request, from_text: FromText = None, to_text: ToText = None
    ) -> Response:
        """Every objective over one period: budget, alerts, coverage."""

        async def read() -> Callable[[], Any]:
            now = looker.now_unix_s()
            period = _period(looker, 7 * 86_400, from_text, to_text)
            pasts = [
                (objective, await looker.past(objective, period))
                for objective in looker.objectives.values()
            ]
            by_name = {objective.name: past for objective, past in pasts}

            def compute() -> dict[str, Any]:
                rows = [report_row(objective, past, period, now) for objective, past in pasts]
                for one in looker.composites.values():
                    own = [by_name[member.name] for member in one.members]
                    rows.append(report_row_together(one, own, period, now))
                return period_report.as_json(period, rows)

            return compute

        return await looker.answer(request, read)


def _current(objective: Objective, now_unix_s: int) -> Period:
    """Raises BadRequestError before the first period of a calendar."""
    period = objective.period(now_unix_s)
    if period is None:
        raise BadRequestError(
            f"the first period of {objective.name} has not begun", accepted="a question after that"
        )
    return period


def _asked(
    looker: Looker, objective: Objective, from_text: str | None, to_text: str | None
) -> Period:
    """That of the budget when none is asked for."""
    if from_text is None and to_text is None:
        return _current(objective, looker.now_unix_s())
    return _period(looker, objective.window_s, from_text, to_text)


def _period(looker: Looker, default_s: int, from_text: str | None, to_text: str | None) -> Period:
    now = looker.desk.clock.wall_unix_nano()
    if from_text is None and to_text is None:
        end = now // SECOND_NS
        return Period(end - default_s, end)
    start, end = params.window(from_text, to_text, now)
    return Period(start // SECOND_NS, -(-end // SECOND_NS))


def _changed(
    known: Objective, target: str | None, window: str | None, alerts: str | None
) -> Objective:
    try:
        terms = OtherTerms(
            None if target is None else _target(target),
            None if window is None else read_duration("window", window),
            None if alerts is None else read_alerts(alerts),
        )
        return under(known, terms)
    except SloFileError as error:
        raise BadRequestError(f"{error.where} {error.value!r}", accepted=error.accepted) from error


def _target(text: str) -> float:
    try:
        target = float(text)
    except ValueError:
        target = -1.0
    if not 0.5 <= target <= 0.99999:
        raise BadRequestError(f"objective {text[:40]!r}", accepted=_TARGETS)
    return target
