"""Silences: nobody is told of alerts with these labels for a while, or again by a rule. Pure.

What is silenced goes on being watched, shown and written on the timeline. Fields and states are
Alertmanager's; the recurrence (RFC 5545, in local time) is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from analysis.alerts.labels import fits
from analysis.errors import BadRequestError
from analysis.slo.openslo.corrections import Recurring
from analysis.slo.openslo.time_windows import Period
from collector.promql.matchers import Matcher

MAX_MATCHERS: Final = 20
MAX_AUTHOR_CHARS: Final = 200
MAX_COMMENT_CHARS: Final = 2_000
_S: Final = 1_000_000_000


class SilenceState(StrEnum):
    """Alertmanager's words; between the spans of its rule a silence is pending."""

    ACTIVE = "active"
    PENDING = "pending"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Silence:
    """Holds in ``[starts, ends)``, and of that in the spans of ``recurring``, if it has a rule."""

    silence_id: str
    matchers: tuple[Matcher, ...]
    starts_unix_nano: int
    ends_unix_nano: int
    author: str
    comment: str
    updated_unix_nano: int
    recurring: Recurring | None = None

    def __post_init__(self) -> None:
        """Raises BadRequestError."""
        if not 1 <= len(self.matchers) <= MAX_MATCHERS:
            raise BadRequestError(
                f"{len(self.matchers)} matchers", accepted=f"1 to {MAX_MATCHERS} matchers"
            )
        if all(one.matches_empty() for one in self.matchers):
            raise BadRequestError(
                "every matcher fits an empty label: it would silence everything",
                accepted="at least one matcher that needs a value",
            )
        if self.ends_unix_nano <= self.starts_unix_nano:
            raise BadRequestError("ends before it starts", accepted="endsAt after startsAt")
        for name, text, most in (
            ("createdBy", self.author, MAX_AUTHOR_CHARS),
            ("comment", self.comment, MAX_COMMENT_CHARS),
        ):
            if not text.strip() or len(text) > most or "\0" in text:
                raise BadRequestError(
                    f"{name} is empty or too long", accepted=f"1 to {most} characters"
                )

    def state(self, now_unix_nano: int) -> SilenceState:
        """What it is now."""
        if now_unix_nano >= self.ends_unix_nano:
            return SilenceState.EXPIRED
        if now_unix_nano < self.starts_unix_nano or not self._recurs(now_unix_nano // _S):
            return SilenceState.PENDING
        return SilenceState.ACTIVE

    def holds(self, labels: Mapping[str, str], now_unix_nano: int) -> bool:
        """Whether nobody is to be told of an alert with these labels now."""
        return self.state(now_unix_nano) is SilenceState.ACTIVE and fits(self.matchers, labels)

    def _recurs(self, now_unix_s: int) -> bool:
        if self.recurring is None:
            return True
        return any(True for _ in self.recurring.spans(Period(now_unix_s, now_unix_s + 1)))


def silenced_by(
    silences: Iterable[Silence], labels: Mapping[str, str], now_unix_nano: int
) -> tuple[str, ...]:
    """Ids of the silences that hold, in order."""
    return tuple(sorted(one.silence_id for one in silences if one.holds(labels, now_unix_nano)))
