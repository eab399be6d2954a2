"""Alerts as Alertmanager's API v2 takes them: firing ones again and again, ended ones for a while.

An alert Alertmanager does not hear of before its ``endsAt`` is resolved there, so firing ones are
sent well before that; one that froze for want of data goes on being sent. Ended ones are sent for
``RESOLVED_FOR_S``, in case the first time did not arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from analysis.slo.tracker import SloStatus

#: Firing alerts end there this long after they were last sent; four times the resend interval.
ENDS_AFTER_S: Final = 240
RESEND_S: Final = 60
RESOLVED_FOR_S: Final = 300
ALERT_NAME: Final = "SloBurnRate"
_SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class _Entry:
    labels: dict[str, str]
    annotations: dict[str, str]
    started_unix_nano: int
    ended_unix_nano: int | None


class AlertBook:
    """What fires and what ended lately, by objective and severity."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._due_unix_nano = 0

    def take(self, slos: Sequence[SloStatus], now_unix_nano: int) -> None:
        """Note where everything stands; a change is due to be sent at once."""
        for status in slos:
            name = status.objective.name
            for severity in status.firing:
                entry = self._entries.get((name, severity))
                if entry is None or entry.ended_unix_nano is not None:
                    entry = _Entry(_labels(status, severity), {}, now_unix_nano, None)
                    self._entries[name, severity] = entry
                    self._due_unix_nano = 0
                entry.annotations = {"summary": status.summary}
            for (known, severity), entry in self._entries.items():
                is_over = known == name and severity not in status.firing
                if is_over and entry.ended_unix_nano is None:
                    entry.ended_unix_nano = now_unix_nano
                    self._due_unix_nano = 0
        old = now_unix_nano - RESOLVED_FOR_S * _SECOND_NS
        for key, entry in list(self._entries.items()):
            if entry.ended_unix_nano is not None and entry.ended_unix_nano < old:
                del self._entries[key]

    def due(self, now_unix_nano: int) -> list[dict[str, Any]]:
        """Everything there is to send, or nothing until it is time again."""
        if now_unix_nano < self._due_unix_nano:
            return []
        return [_alert(entry, now_unix_nano) for entry in self._entries.values()]

    def sent(self, now_unix_nano: int) -> None:
        """The last answer of ``due`` was taken; without this it stays due."""
        self._due_unix_nano = now_unix_nano + RESEND_S * _SECOND_NS


def _labels(status: SloStatus, severity: str) -> dict[str, str]:
    objective = status.objective
    return {
        "alertname": ALERT_NAME,
        "slo": objective.name,
        "service": objective.service,
        "severity": severity,
    }


def _alert(entry: _Entry, now_unix_nano: int) -> dict[str, Any]:
    ends = entry.ended_unix_nano
    if ends is None:
        ends = now_unix_nano + ENDS_AFTER_S * _SECOND_NS
    return {
        "labels": entry.labels,
        "annotations": entry.annotations,
        "startsAt": _rfc3339(entry.started_unix_nano),
        "endsAt": _rfc3339(ends),
    }


def _rfc3339(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano // _SECOND_NS, UTC).isoformat()
