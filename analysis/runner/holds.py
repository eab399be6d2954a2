"""Looks that the evidence did not make: holds while nothing can be read, and ends by the clock.

A look the judge made rests on blocks. When there are none to be had, the judge is not asked at
all: time passing without data must never complete a PASS. The look says so instead, by name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from analysis.canary.evidence import Look, Reason, Verdict, VerdictKind
from analysis.canary.judge import CanaryJudge

#: What a failed attempt to read means to whoever sees the canary on hold.
HOLD_TEXTS: Final = {
    "collector_unreachable": "The collector cannot be read",
    "question_refused": "The collector refuses the question",
    "answer_too_large": "The collector's answer is larger than allowed",
    "answer_unusable": "The collector's answer cannot be understood",
    "answer_truncated": "The collector's answer leaves out series",
    "stale": "No new telemetry arrives",
}


def on_hold(judge: CanaryJudge, index: int, now_unix_nano: int, name: str, detail: str) -> Look:
    """A look that holds: INCONCLUSIVE, no data; final only once the horizon is over."""
    text = f"{HOLD_TEXTS.get(name, 'Reading failed')} ({name}): {detail}"
    known = _known(judge, now_unix_nano)
    is_over = known.elapsed_s >= judge.config.horizon_s
    why = Reason.NO_DATA
    verdict = Verdict(VerdictKind.INCONCLUSIVE, why, text, now_unix_nano, is_over, None, None)
    return _under(known, index, verdict)


def at_the_end(judge: CanaryJudge, index: int, now_unix_nano: int, last_summary: str) -> Look:
    """The look that ends a canary nobody could decide about in time."""
    so_far = last_summary[:1].lower() + last_summary[1:]
    text = f"Undecided when the deployment expired: {so_far}"
    why = Reason.UNDECIDED_AT_HORIZON
    verdict = Verdict(VerdictKind.INCONCLUSIVE, why, text, now_unix_nano, True, None, None)
    return _under(_known(judge, now_unix_nano), index, verdict)


def taken_back(judge: CanaryJudge, index: int, now_unix_nano: int, why: str) -> Look:
    """The look that ends a canary because a policy says so, whatever the evidence."""
    text = f"Taken back by an error-budget policy, nothing is proven about the canary: {why}"
    reason = Reason.BUDGET_POLICY
    verdict = Verdict(VerdictKind.INCONCLUSIVE, reason, text, now_unix_nano, True, None, None)
    return _under(_known(judge, now_unix_nano), index, verdict)


def numbered(look: Look, index: int, reading: dict[str, Any]) -> Look:
    """A judge's look with its number among all looks and how its data came."""
    return replace(look, index=index, traffic={**look.traffic, "reading": reading})


def _known(judge: CanaryJudge, now_unix_nano: int) -> Look:
    """What is known so far, told by a copy of the judge, so that the judge has not looked."""
    copy = CanaryJudge.from_state(judge.config, judge.to_state())
    return copy.look({}, now_unix_nano, with_intervals=False)


def _under(known: Look, index: int, verdict: Verdict) -> Look:
    """The same evidence under a verdict that is not the judge's."""
    return replace(
        known, index=index, verdict=verdict, reason=verdict.reason, summary=verdict.summary
    )
