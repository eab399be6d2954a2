"""When to try again: a pure function of attempts made, time, hint and generator.

Commands: 0, 1, 2, 5, 10, 20, 30 s, then every 60 s, each with +-20 % jitter, never at or after
their end. A rollback delivered hours late would be an outage of its own; the 75 hours of Standard
Webhooks' example schedule are for notifications.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from numpy.random import Generator

#: Delay before the n-th attempt, in seconds; the last one repeats.
COMMAND_DELAYS_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
#: Of notices: the example schedule of Standard Webhooks 1.0.0, ten attempts over 75 hours.
NOTICE_DELAYS_S: Final = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER_RATIO: Final = 0.2
#: Longest a receiver's Retry-After is believed.
MAX_RETRY_AFTER_S: Final = 3600.0

_SECONDS: Final = re.compile(r"[0-9]+")


def next_due(
    attempts: int,
    now_unix_nano: int,
    expires_unix_nano: int,
    retry_after_s: float | None,
    rng: Generator,
) -> int:
    """When attempt ``attempts + 1`` is due, given that ``attempts`` failed.

    Never sooner than the base delay, whatever the receiver asks for. ``expires_unix_nano`` means
    that there is no further attempt.
    """
    delay_s = delay_before(attempts, rng)
    if retry_after_s is not None:
        delay_s = max(delay_s, min(retry_after_s, MAX_RETRY_AFTER_S))
    return min(now_unix_nano + round(delay_s * 1e9), expires_unix_nano)


def notice_delay_s(attempts: int, retry_after_s: float | None, rng: Generator) -> float | None:
    """Seconds until attempt ``attempts + 1`` of a notice, or None when there is none."""
    if attempts >= len(NOTICE_DELAYS_S):
        return None
    delay_s = NOTICE_DELAYS_S[attempts] * _jitter(rng)
    hint_s = 0.0 if retry_after_s is None else min(retry_after_s, MAX_RETRY_AFTER_S)
    return max(delay_s, hint_s)


def delay_before(attempts: int, rng: Generator) -> float:
    """Seconds between attempt number ``attempts`` and the next one, with jitter."""
    assert attempts >= 0
    base_s = COMMAND_DELAYS_S[min(attempts, len(COMMAND_DELAYS_S) - 1)]
    return base_s * _jitter(rng)


def _jitter(rng: Generator) -> float:
    return float(rng.uniform(1.0 - JITTER_RATIO, 1.0 + JITTER_RATIO))


def parse_retry_after(value: str | None, now_unix_nano: int) -> float | None:
    """Seconds asked for: a whole number, or an HTTP date in any of its three forms.

    None for what has no meaning; a date in the past is 0. Capped at MAX_RETRY_AFTER_S.
    """
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        # Capped before float(): a number of any length is legal.
        return MAX_RETRY_AFTER_S if len(value) > 9 else min(float(value), MAX_RETRY_AFTER_S)
    if not value[:1].isalpha():
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait_s = (moment - datetime.fromtimestamp(now_unix_nano / 1e9, UTC)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
