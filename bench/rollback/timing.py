"""What an answer means and how long to wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.webhooks import outcome
from analysis.webhooks.attempt import MAX_ANSWER_BYTES
from analysis.webhooks.outcome import OutcomeKind
from analysis.webhooks.schedule import COMMAND_DELAYS_S, MAX_RETRY_AFTER_S, parse_retry_after

Case = Mapping[str, Any]
#: The vectors' clock, Wed, 01 Jan 2025 00:00:00 GMT, their base delay and their cap.
NOW_UNIX_NANO = 1_735_689_600_000_000_000
BASE_DELAY_S = 10


def judge_answer(case: Case) -> list[str]:
    """Delivered, again or never; whether the answer's hint counts."""
    if "status" not in case:
        return _judge_error(case)
    meaning = outcome.of_status(case["status"])
    kinds = {"success": OutcomeKind.DELIVERED, "endpoint-disabled": OutcomeKind.DEAD}
    otherwise = OutcomeKind.DEAD if case.get("dead_letter") else OutcomeKind.RETRY
    wanted = kinds.get(case["outcome"], otherwise)
    is_throttled = case["outcome"] == "throttled"
    return [
        *([] if meaning.kind is wanted else [f"{meaning.kind}, wanted {wanted}"]),
        *([] if meaning.wants_retry_after is is_throttled else ["the hint is read wrongly"]),
    ]


def _judge_error(case: Case) -> list[str]:
    """No status at all, or a body that does not matter."""
    if case.get("retry"):
        return [] if outcome.NO_ANSWER.kind is OutcomeKind.RETRY else ["not tried again"]
    if case["outcome"] == "success":
        return [] if outcome.of_status(200).kind is OutcomeKind.DELIVERED else ["not delivered"]
    return [] if MAX_ANSWER_BYTES == 16 * 1024 else [f"reading stops at {MAX_ANSWER_BYTES}"]


def judge_retry_after(case: Case) -> list[str]:
    """Seconds until the next attempt."""
    wait_s = max(BASE_DELAY_S, parse_retry_after(case["value"], NOW_UNIX_NANO) or 0)
    wait_s = min(wait_s, MAX_RETRY_AFTER_S)
    return [] if wait_s == case["wait_s"] else [f"{wait_s} s"]


def judge_attempt(case: Case) -> list[str]:
    """Delay after one attempt of a command, without jitter."""
    delay_s = COMMAND_DELAYS_S[min(case["attempt"] - 1, len(COMMAND_DELAYS_S) - 1)]
    return [] if delay_s == case["delay_s"] else [f"{delay_s} s"]
