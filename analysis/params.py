"""Strict reading of query strings; the same words as the collector's read API.

Times: Unix seconds with decimals, RFC 3339, ``now``, ``now-15m`` (ms, s, m, h, d).
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from analysis.decisions.states import CanaryState, DeliveryState
from analysis.errors import BadRequestError
from analysis.proposals.policy import ProposalState

TIME_ACCEPTED: Final = "Unix seconds (1700000000.5), RFC 3339 with zone, now, now-15m"
DEFAULT_WINDOW_S: Final = 86_400
#: 1970 to 2200: beyond it the time was surely given in another unit.
LATEST_UNIX_NANO: Final = 7_258_118_400_000_000_000

_RELATIVE: Final = re.compile(r"now(?:([+-])([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d))?")
_UNIT_NS: Final = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}


def window(from_text: str | None, to_text: str | None, now_unix_nano: int) -> tuple[int, int]:
    """[from, to) in Unix nanoseconds; the default is the last day up to and including now."""
    # One more: what happens at this very nanosecond is part of "until now".
    to = now_unix_nano + 1 if to_text is None else time_unix_nano("to", to_text, now_unix_nano)
    if from_text is None:
        start = max(0, to - DEFAULT_WINDOW_S * 1_000_000_000)
    else:
        start = time_unix_nano("from", from_text, now_unix_nano)
    if start >= to:
        raise BadRequestError(f"from ({start}) is not before to ({to})", accepted="from < to")
    return start, to


def time_unix_nano(name: str, text: str, now_unix_nano: int) -> int:
    """One time as Unix nanoseconds. Raises BadRequestError."""
    relative = _RELATIVE.fullmatch(text)
    if relative:
        sign, number, unit = relative.groups()
        shift_ns = 0 if number is None else int(Decimal(number) * _UNIT_NS[unit])
        result = now_unix_nano - shift_ns if sign == "-" else now_unix_nano + shift_ns
    else:
        result = _absolute(name, text)
    if not 0 <= result <= LATEST_UNIX_NANO:
        raise BadRequestError(
            f"{name}={text[:100]!r} is outside 1970 to 2200", accepted=TIME_ACCEPTED
        )
    return result


def _absolute(name: str, text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        pass
    else:
        if number.is_finite() and abs(number) < 10**15:
            return int(number * 1_000_000_000)
        raise BadRequestError(f"{name}={text[:100]!r} is not a time", accepted=TIME_ACCEPTED)
    try:
        # A plus sign of a zone arrives as a space when the client forgot to encode it.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequestError(f"{name}={text[:100]!r} is not a time", accepted=TIME_ACCEPTED)
    return round(Decimal(moment.timestamp()) * 1_000_000) * 1_000


def integer(name: str, text: str | None, *, default: int, low: int, high: int) -> int:
    """A whole number within [low, high]. Raises BadRequestError."""
    if text is None:
        return default
    if re.fullmatch(r"-?[0-9]{1,18}", text) and low <= int(text) <= high:
        return int(text)
    raise BadRequestError(
        f"{name}={text[:100]!r} is out of range", accepted=f"a whole number, {low} to {high}"
    )


def canary_state(text: str | None) -> CanaryState | None:
    """A state by name. Raises BadRequestError."""
    if text is None:
        return None
    try:
        return CanaryState(text)
    except ValueError:
        raise BadRequestError(
            f"state={text[:100]!r} is unknown", accepted=", ".join(CanaryState)
        ) from None


def delivery_state(text: str | None, default: DeliveryState) -> DeliveryState | None:
    """A state by name; ``any`` is None. Raises BadRequestError."""
    if text is None:
        return default
    if text == "any":
        return None
    try:
        return DeliveryState(text)
    except ValueError:
        raise BadRequestError(
            f"state={text[:100]!r} is unknown", accepted=", ".join((*DeliveryState, "any"))
        ) from None


def proposal_state(text: str | None) -> ProposalState | None:
    """A state by name, open by default; ``any`` is None. Raises BadRequestError."""
    if text == "any":
        return None
    try:
        return ProposalState(text or ProposalState.OPEN)
    except ValueError:
        raise BadRequestError(
            f"state={text!r:.100} is unknown", accepted=", ".join((*ProposalState, "any"))
        ) from None
