"""A canary's story as steps with the seconds between them, from declaration to confirmation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.answers.analysis import Canary
from dashboards.answers.looks import Look


@dataclass(frozen=True, slots=True)
class Step:
    """``unix_nano`` None = not happened yet (or not known); ``since_s`` since the step before."""

    name: str
    unix_nano: int | None
    since_s: float | None


def first_request_unix_nano(looks: Sequence[Look]) -> int | None:
    """Time of the first look that counted a request on the canary."""
    return next((look.unix_nano for look in looks if look.traffic.canary_requests > 0), None)


def steps(canary: Canary, looks: Sequence[Look]) -> list[Step]:
    """All steps in order; those of a decision only when a final verdict leads to one."""
    verdict = canary.verdict if canary.verdict and canary.verdict.final else None
    times: list[tuple[str, int | None]] = [
        ("declared", canary.declared_unix_nano),
        ("first request seen", first_request_unix_nano(looks)),
        (
            f"verdict: {verdict.kind.upper()}" if verdict else "verdict",
            verdict.unix_nano if verdict else None,
        ),
    ]
    decision = canary.decision
    if decision is not None:
        times += [
            (f"decided: {decision.action}", decision.created_unix_nano),
            ("delivered", decision.delivered_unix_nano),
            ("acknowledged", decision.acknowledged_unix_nano),
            ("completed", decision.completed_unix_nano),
            ("confirmed by telemetry", decision.confirmed_unix_nano),
        ]
    elif verdict is None or verdict.kind in {"pass", "fail"}:
        times += [
            ("decided", None),
            ("delivered", None),
            ("acknowledged", None),
            ("completed", None),
            ("confirmed by telemetry", None),
        ]
    return _with_gaps(times)


def _with_gaps(times: Sequence[tuple[str, int | None]]) -> list[Step]:
    """Seconds since the newest known step before; out-of-order clocks show as negative."""
    result: list[Step] = []
    before: int | None = None
    for name, at in times:
        since = None if at is None or before is None else (at - before) / 1e9
        result.append(Step(name, at, since))
        before = before if at is None else at
    return result
