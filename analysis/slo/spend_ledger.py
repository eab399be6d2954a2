"""Where a budget went: every bad event of a period booked to one cause, or to nothing known. Pure.

Causes are spans of the timeline: chaos and other things that somebody told, canaries while they
ran, releases and rollbacks for a while after they were done, incidents while an alert or an anomaly
lasted. Spans overlap; a slice is booked once, to the most particular cause that touches it, so the
bookings add up to the whole. That two things happened at once is no proof that one caused the
other: the ledger says where to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import numpy as np

from analysis.slo.looking_back import Past
from analysis.slo.objectives import Objective
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import touched
from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_alerts import SHARE_UNITS, counts_for_alerts

#: A release or rollback is looked at so long after it was done.
RELEASE_S: Final = 1_800
MAX_BOOKINGS: Final = 500
_S: Final = 1_000_000_000


class CauseKind(StrEnum):
    """The most particular first: of several that touch a slice, the first is booked."""

    CHAOS = "chaos"
    MAINTENANCE = "maintenance"
    CANARY = "canary"
    ROLLBACK = "rollback"
    DEPLOY = "deploy"
    INCIDENT = "incident"


#: What people and programs may tell of beside what is known here.
TOLD: Final = (CauseKind.CHAOS, CauseKind.MAINTENANCE, CauseKind.DEPLOY, CauseKind.INCIDENT)
_ORDER: Final = {kind: place for place, kind in enumerate(CauseKind)}


@dataclass(frozen=True, slots=True)
class Cause:
    """``[start, end)``; for a canary its id."""

    kind: CauseKind
    title: str
    start_unix_s: int
    end_unix_s: int
    deployment_id: str | None = None


class Line(Protocol):
    """A line of the timeline, as far as it matters here."""

    @property
    def unix_nano(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def deployment_id(self) -> str | None: ...
    @property
    def title(self) -> str: ...
    @property
    def about(self) -> Mapping[str, Any] | None: ...


#: Kinds of lines that begin, end or are a cause.
KINDS: Final = (
    *("canary_declared", "verdict", "completed", "confirmed", "decision"),
    *("slo_page", "slo_ticket", "anomaly", "cause"),
)


def causes_of(lines: Iterable[Line], objective: Objective, period: Period) -> list[Cause]:
    """Causes that touch the period. ``lines``: oldest first, of the objective's service or of any.

    What began before the lines is known from its end on only; what has not ended lasts to the
    period's end.
    """
    book = _Book(period)
    for line in lines:
        if line.service not in (objective.service, "", "*"):
            continue
        at = line.unix_nano // _S
        if line.kind == "canary_declared":
            book.begin(CauseKind.CANARY, str(line.deployment_id), at, line.title)
        elif line.kind == "verdict":
            book.end(CauseKind.CANARY, str(line.deployment_id), at)
        elif line.kind in ("completed", "confirmed"):
            book.released(line, at)
        elif line.kind == "decision":
            book.decided(line)
        elif line.kind in ("slo_page", "slo_ticket"):
            book.alert(line, objective.name, at)
        elif line.kind == "anomaly":
            book.anomaly(line, at)
        elif line.kind == "cause":
            book.told(line)
    return book.closed()


class _Book:
    def __init__(self, period: Period) -> None:
        self._period = period
        self._open: dict[tuple[CauseKind, str], Cause] = {}
        self._done: list[Cause] = []
        self._rollbacks: set[str] = set()
        self._released: set[str] = set()

    def begin(self, kind: CauseKind, key: str, at: int, title: str) -> None:
        deployment_id = key if kind is CauseKind.CANARY else None
        self._open.setdefault(
            (kind, key), Cause(kind, title, at, self._period.end_unix_s, deployment_id)
        )

    def end(self, kind: CauseKind, key: str, at: int) -> None:
        began = self._open.pop((kind, key), None)
        if began is not None:
            self._done.append(Cause(kind, began.title, began.start_unix_s, at, began.deployment_id))

    def decided(self, line: Line) -> None:
        if (line.about or {}).get("action") == "rollback":
            self._rollbacks.add(str(line.deployment_id))

    def released(self, line: Line, at: int) -> None:
        name = str(line.deployment_id)
        if name in self._released:
            return
        self._released.add(name)
        kind = CauseKind.ROLLBACK if name in self._rollbacks else CauseKind.DEPLOY
        self._done.append(Cause(kind, line.title, at, at + RELEASE_S, name))

    def alert(self, line: Line, objective: str, at: int) -> None:
        about = line.about or {}
        labels = about.get("labels", {})
        if labels.get("slo") != objective or "policy" in labels:
            return
        key = f"{line.kind}"
        if about["is_firing"]:
            self.begin(CauseKind.INCIDENT, key, at, line.title)
        else:
            self.end(CauseKind.INCIDENT, key, at)

    def anomaly(self, line: Line, at: int) -> None:
        about = line.about or {}
        if about.get("is_anomalous"):
            self.begin(CauseKind.INCIDENT, about["series"], at, line.title)
        elif "series" in about:
            self.end(CauseKind.INCIDENT, about["series"], at)

    def told(self, line: Line) -> None:
        about = line.about or {}
        start, end = about["from_unix_s"], about["to_unix_s"]
        self._done.append(Cause(CauseKind(about["cause"]), line.title, start, end))

    def closed(self) -> list[Cause]:
        """Those that touch the period, the oldest first."""
        first, last = self._period.start_unix_s, self._period.end_unix_s
        found = [*self._done, *self._open.values()]
        found = [one for one in found if one.start_unix_s < last and one.end_unix_s > first]
        return sorted(found, key=lambda one: (one.start_unix_s, _ORDER[one.kind]))


def booked(
    objective: Objective, past: Past, period: Period, causes: Sequence[Cause]
) -> dict[str, Any]:
    """Bad events, or time slices, and shares of the budget by cause; nothing excluded is booked."""
    counts = counts_for_alerts(objective, past.seen_by_alerts().over(period)).rates
    unit = SHARE_UNITS if objective.method is BudgetingMethod.RATIO_TIMESLICES else 1
    total = int(counts.good.sum() + counts.bad.sum()) // unit
    allowed = (1 - exact(objective.target_ratio)) * total
    is_free = np.ones(len(counts.bad), dtype=np.bool_)
    rows = []
    for cause in sorted(causes, key=lambda one: (_ORDER[one.kind], one.start_unix_s)):
        span = Period(cause.start_unix_s, max(cause.end_unix_s, cause.start_unix_s + 1))
        own = touched(counts, [span]) & is_free
        is_free &= ~own
        rows.append({**_row(cause), **_spent(int(counts.bad[own].sum()), unit, allowed)})
    rows.sort(key=lambda row: -row["bad"])
    bad = int(counts.bad.sum())
    return {
        "name": objective.name,
        "display_name": objective.display_name,
        "service": objective.service,
        "objective_ratio": objective.target_ratio,
        "from_unix_nano": period.start_unix_s * _S,
        "to_unix_nano": period.end_unix_s * _S,
        "slice_s": counts.slice_s,
        "total": total,
        **_spent(bad, unit, allowed),
        "causes": rows[:MAX_BOOKINGS],
        "causes_left_out": max(len(rows) - MAX_BOOKINGS, 0),
        "nothing_known": _spent(int(counts.bad[is_free].sum()), unit, allowed),
    }


def _row(cause: Cause) -> dict[str, Any]:
    return {
        "kind": str(cause.kind),
        "title": cause.title,
        "deployment_id": cause.deployment_id,
        "from_unix_nano": cause.start_unix_s * _S,
        "to_unix_nano": cause.end_unix_s * _S,
    }


def _spent(bad_units: int, unit: int, allowed: Any) -> dict[str, Any]:
    bad = bad_units if unit == 1 else bad_units / unit
    return {"bad": bad, "budget_spent_ratio": float(bad / allowed) if allowed else None}
