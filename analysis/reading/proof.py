"""Proof from telemetry that a decision was carried out. Silence counts only beside other voices.

Nobody is gone because nothing is heard: the collector may be down. So every proof needs a witness,
another instance whose points are newer than the silence it testifies to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.reading.answers import HeardInstance, SeriesAnswer
from analysis.reading.roster import Roster

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Proof:
    """``is_proven`` with the reason either way, in words."""

    is_proven: bool
    detail: str


def canary_is_silent(
    roster: Roster,
    heard: Sequence[HeardInstance],
    cohort_starts: SeriesAnswer | None,
    *,
    since_unix_nano: int,
    silent_s: float,
) -> Proof:
    """After a rollback: the canary's instances and its viewers have been silent for ``silent_s``.

    ``cohort_starts``: events of the canary's cohort as others see them, None when the rule has no
    such source. Silence begins at ``since_unix_nano`` at the earliest.
    """
    mine = [one for one in heard if _is_canary(one, roster)]
    last = max([since_unix_nano, *(one.last_seen_unix_nano for one in mine)])
    viewers = _last_event(cohort_starts)
    last = max(last, viewers)
    return _silence_after(
        f"version {roster.canary.version} of {roster.service}",
        last,
        [one for one in heard if not _is_canary(one, roster)],
        silent_s,
    )


def canary_is_stable(
    roster: Roster,
    heard: Sequence[HeardInstance],
    new_requests: SeriesAnswer,
    *,
    since_unix_nano: int,
    silent_s: float,
) -> Proof:
    """After a promotion: the new version serves outside the canary, all older instances are silent.

    ``new_requests``: requests of the new version that belong to no canary, by instance.
    """
    serving = (
        {
            attributes.get("service.instance.id", "")
            for attributes, points in new_requests.groups
            if any(points.values())
        }
        - roster.baseline.instances
        - roster.canary.instances
    )
    if not serving:
        return Proof(False, f"no stable instance of {roster.canary.version} serves yet")
    leaving = [
        one
        for one in heard
        if one.service == roster.service
        and (one.version != roster.canary.version or one.instance_id in roster.canary.instances)
    ]
    last = max([since_unix_nano, *(one.last_seen_unix_nano for one in leaving)])
    proof = _silence_after(
        f"every older instance of {roster.service}",
        last,
        [one for one in heard if one not in leaving],
        silent_s,
    )
    served = f"{len(serving)} stable instances of {roster.canary.version} serve; "
    return Proof(proof.is_proven, served + proof.detail)


def _is_canary(one: HeardInstance, roster: Roster) -> bool:
    """Declared instances, or, when none was declared, everybody of that version."""
    if one.service != roster.service:
        return False
    if roster.canary.instances:
        return one.instance_id in roster.canary.instances
    return one.version == roster.canary.version


def _last_event(answer: SeriesAnswer | None) -> int:
    """End of the last step in which anything was counted; 0 = never."""
    if answer is None:
        return 0
    ends = (
        start + answer.step_ns
        for _, points in answer.groups
        for start, count in points.items()
        if count
    )
    return max(ends, default=0)


def _silence_after(
    who: str, last_unix_nano: int, witnesses: Iterable[HeardInstance], silent_s: float
) -> Proof:
    newest = max((one.last_seen_unix_nano for one in witnesses), default=0)
    quiet_s = (newest - last_unix_nano) * _NS
    if quiet_s < silent_s:
        return Proof(False, f"{who} was heard, or others were not, in the last {silent_s:g} s")
    return Proof(True, f"{who} has been silent for {quiet_s:.1f} s while others report")
