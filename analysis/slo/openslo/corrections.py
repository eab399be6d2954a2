"""Corrections: spans of time that do not count, with who said so and why.

Once (an incident that was somebody else's) or by a recurrence rule (RFC 5545; a weekly maintenance
window, in local time, so that it moves with the clocks). A correction is never deleted: it is
withdrawn by a later entry, and every budget can be had with and without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from analysis.slo.openslo.errors import OpenSloError
from analysis.slo.openslo.sliced_past import Flags, SlicedPast, touched
from analysis.slo.openslo.time_windows import Period

RULE_CHARS_MAX: Final = 500
#: Spans of one rule within one period; daily for ten years.
SPANS_MAX: Final = 3_660
DURATION_S_MAX: Final = 31 * 86_400
AUTHOR_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 2_000

# Only what every rule can meet in some month, so that looking for the next day always ends soon.
_PARTS: Final = {
    "FREQ": r"DAILY|WEEKLY|MONTHLY|YEARLY",
    "INTERVAL": r"[1-9][0-9]{0,2}",
    "COUNT": r"[1-9][0-9]{0,3}",
    "UNTIL": r"[0-9]{8}(T[0-9]{6})?",
    "WKST": r"MO|TU|WE|TH|FR|SA|SU",
    "BYDAY": r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)){0,6}",
    "BYMONTH": r"([1-9]|1[0-2])(,([1-9]|1[0-2])){0,11}",
    "BYMONTHDAY": r"-?([1-9]|1[0-9]|2[0-8])(,-?([1-9]|1[0-9]|2[0-8])){0,27}",
    "BYSETPOS": r"-?[1-4]",
}
_ACCEPTED: Final = f"FREQ=DAILY, WEEKLY, MONTHLY or YEARLY with {', '.join(list(_PARTS)[1:])}"


class CorrectionError(OpenSloError):
    """A correction that cannot be: what was given and what is accepted."""


@dataclass(frozen=True, slots=True)
class Once:
    """``[start, end)``."""

    start_unix_s: int
    end_unix_s: int

    def __post_init__(self) -> None:
        if self.end_unix_s <= self.start_unix_s:
            raise CorrectionError(f"ends at {self.end_unix_s}, not after {self.start_unix_s}")

    def spans(self, period: Period) -> Iterator[Period]:
        """The one span, if it meets the period."""
        if self.start_unix_s < period.end_unix_s and self.end_unix_s > period.start_unix_s:
            yield Period(self.start_unix_s, self.end_unix_s)


@dataclass(frozen=True, slots=True)
class Recurring:
    """Spans of ``duration_s`` that begin at ``start_time`` and again by ``rule``.

    ``start_time`` is what the clocks of the zone show, and so is every later beginning. A beginning
    the clocks skip is the moment after it; one they show twice is the earlier.
    """

    start_time: datetime  # without zone
    time_zone: str
    duration_s: int
    rule: str

    def __post_init__(self) -> None:
        if not 1 <= self.duration_s <= DURATION_S_MAX:
            raise CorrectionError(f"{self.duration_s} s long, accepted: 1 to {DURATION_S_MAX} s")
        if self.start_time.tzinfo is not None:
            raise CorrectionError("the start is local time, without an offset of its own")
        try:
            ZoneInfo(self.time_zone)
        except (OSError, ValueError, KeyError) as error:  # not found is a KeyError
            raise CorrectionError(f"time zone {self.time_zone!r}, accepted: IANA names") from error
        _check_rule(self.rule)

    def spans(self, period: Period) -> Iterator[Period]:
        """Spans that meet a period, in order. Raises CorrectionError above SPANS_MAX."""
        zone = ZoneInfo(self.time_zone)
        # A day to spare on both sides: local time may be half a day from UTC.
        first = _local(period.start_unix_s - self.duration_s - 86_400, zone)
        last = _local(period.end_unix_s + 86_400, zone)
        rule = rrulestr(self.rule, dtstart=self.start_time)
        for number, local in enumerate(rule.xafter(first, inc=True)):
            if local > last:
                return
            if number >= SPANS_MAX:
                raise CorrectionError(f"more than {SPANS_MAX} spans of {self.rule!r} in a period")
            start = round(local.replace(tzinfo=zone, fold=0).astimezone(UTC).timestamp())
            yield from Once(start, start + self.duration_s).spans(period)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who took a correction back, when and why."""

    author: str
    reason: str
    unix_s: int

    def __post_init__(self) -> None:
        _check_words(self.author, self.reason)


@dataclass(frozen=True, slots=True)
class Correction:
    """Time that does not count against anybody's budget. ``category``: for reports, free text."""

    correction_id: str
    author: str
    reason: str
    category: str
    made_unix_s: int
    when: Once | Recurring
    withdrawn: Withdrawal | None = None

    def __post_init__(self) -> None:
        _check_words(self.author, self.reason)

    def is_in_force(self, as_of_unix_s: int) -> bool:
        """Whether it counted at a moment: made by then, and not withdrawn by then."""
        is_withdrawn = self.withdrawn is not None and self.withdrawn.unix_s <= as_of_unix_s
        return self.made_unix_s <= as_of_unix_s and not is_withdrawn


def excluded(
    past: SlicedPast, period: Period, corrections: Iterable[Correction], as_of_unix_s: int
) -> Flags:
    """Marks for the slices of ``past.over(period)``: those a correction in force touches.

    Raises CorrectionError.
    """
    spans = (
        span
        for correction in corrections
        if correction.is_in_force(as_of_unix_s)
        for span in correction.when.spans(period)
    )
    return touched(past.over(period), spans)


def _local(unix_s: int, zone: ZoneInfo) -> datetime:
    try:
        return datetime.fromtimestamp(unix_s, UTC).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError, OSError) as error:
        raise CorrectionError(f"{unix_s} is beyond the calendar") from error


def _check_words(author: str, reason: str) -> None:
    for what, text, chars_max in (
        ("author", author, AUTHOR_CHARS_MAX),
        ("reason", reason, REASON_CHARS_MAX),
    ):
        if not text.strip() or len(text) > chars_max:
            raise CorrectionError(
                f"{what} has {len(text.strip())} characters, accepted: 1 to {chars_max}"
            )


def _check_rule(rule: str) -> None:
    """Refuse what is no rule, what is finer than a day, and what may never come true."""
    if len(rule) > RULE_CHARS_MAX:
        raise CorrectionError(f"a rule of {len(rule)} characters, accepted: {RULE_CHARS_MAX}")
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name in parts or not re.fullmatch(_PARTS.get(name, r"(?!)"), value):
            raise CorrectionError(f"{part!r} in rule {rule!r}, accepted: {_ACCEPTED}")
        parts[name] = value
    if "FREQ" not in parts or ("COUNT" in parts and "UNTIL" in parts):
        raise CorrectionError(f"rule {rule!r}, accepted: {_ACCEPTED}, and COUNT or UNTIL, not both")
    has_number = any(char.isdigit() for char in parts.get("BYDAY", ""))
    is_short = parts["FREQ"] in ("DAILY", "WEEKLY")
    if is_short and (has_number or "BYMONTHDAY" in parts or "BYSETPOS" in parts):
        raise CorrectionError(f"rule {rule!r}: BYMONTHDAY, BYSETPOS, numbered days need MONTHLY")
    if has_number and "BYMONTHDAY" in parts:
        raise CorrectionError(f"rule {rule!r}: numbered days and BYMONTHDAY exclude each other")
    if "BYSETPOS" in parts and (has_number or "BYDAY" not in parts or "BYMONTHDAY" in parts):
        raise CorrectionError(f"rule {rule!r}: BYSETPOS goes with BYDAY without numbers only")
