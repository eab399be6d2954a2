"""Where a canary stands, in four words that every door translates from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from analysis.canary.evidence import Reason
from analysis.decisions.records import CanaryRecord
from analysis.decisions.states import CanaryState

#: Reasons of a running look that say nothing against more traffic.
CALM: Final = frozenset(
    {Reason.OBSERVING, Reason.NOT_CERTIFIED, Reason.BAKING, Reason.SMALL_EFFECT}
)


class Standing(StrEnum):
    """``NO_DATA``: nobody knows; not declared, not heard, not comparable, ended undecided."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    CONTINUE = "continue"
    NO_DATA = "nodata"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the canary that was asked about. ``look`` is its newest, as JSON."""

    standing: Standing
    is_calm: bool
    reason: str
    summary: str
    record: CanaryRecord | None
    look: Mapping[str, Any] | None


def standing_of(record: CanaryRecord | None, look: Mapping[str, Any] | None) -> Known:
    """``look``: the newest one, None before the first."""
    if record is None:
        return Known(
            Standing.NO_DATA, False, "not_declared", "No such canary was declared.", None, None
        )
    is_calm = False
    if record.state is CanaryState.PASSED:
        standing, is_calm = Standing.PASS, True
    elif record.state is CanaryState.FAILED:
        standing = Standing.FAIL
    elif record.is_over or look is None or look["verdict"] != "observing":
        # Undecided, not comparable, or on hold: silence of an arm, both arms bad.
        standing = Standing.NO_DATA
    else:
        standing, is_calm = Standing.CONTINUE, look["reason"] in CALM
    return Known(standing, is_calm, record.reason, record.summary, record, look)


def chosen(
    records: Sequence[CanaryRecord],
    *,
    deployment_id: str | None,
    service: str | None,
    environment: str | None,
    version: str | None = None,
) -> CanaryRecord | None:
    """The canary asked about: by its name, else the newest of a service. ``records`` newest first.

    ``version`` and ``environment`` narrow it down where they are given.
    """
    for record in records:
        told = record.declaration
        if deployment_id is not None:
            if record.deployment_id == deployment_id:
                return record
        elif (
            told.service == service
            and environment in (None, told.environment)
            and version in (None, told.canary.version, told.canary.digest)
        ):
            return record
    return None
