"""Alertmanager's API v2 in JSON, both ways: alerts, groups, silences. Pure.

Source: prometheus/alertmanager api/v2/openapi.yaml (0.25 to 0.34).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analysis.alerts.book import Alert
from analysis.alerts.labels import condition
from analysis.alerts.silences import MAX_MATCHERS, Silence
from analysis.bodies import RecurringBody
from analysis.errors import BadRequestError
from analysis.slo.correction_book import read_recurring, recurring_json
from analysis.slo.openslo.corrections import CorrectionError
from analysis.webhooks.events import rfc3339

#: Firing alerts end at a receiver this long after they were last sent; four times the interval.
ENDS_AFTER_S: Final = 240
_S: Final = 1_000_000_000
_OPERATORS: Final = {
    (True, False): "=",
    (False, False): "!=",
    (True, True): "=~",
    (False, True): "!~",
}


def postable(alert: Alert, now_unix_nano: int) -> dict[str, Any]:
    """As a client posts it. Without an end of its own it ends some time after it is last sent."""
    ends = alert.ended_unix_nano
    if ends is None:
        ends = now_unix_nano + ENDS_AFTER_S * _S
    return {
        "labels": dict(alert.labels),
        "annotations": {"summary": alert.summary},
        "startsAt": rfc3339(alert.started_unix_nano),
        "endsAt": rfc3339(ends),
    }


def gettable(alert: Alert, receivers: Sequence[str], analysis_url: str, now: int) -> dict[str, Any]:
    """As a server shows it."""
    return {
        **postable(alert, now),
        "fingerprint": alert.fingerprint,
        "generatorURL": f"{analysis_url}/api/v1/slos/{alert.labels['slo']}/explain",
        "receivers": [{"name": name} for name in receivers],
        "status": {
            "state": "suppressed" if alert.silenced_by else "active",
            "silencedBy": list(alert.silenced_by),
            "inhibitedBy": [],
        },
        "updatedAt": rfc3339(alert.updated_unix_nano),
    }


def groups(shown: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One group for each objective and receiver, in order."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in shown:
        for receiver in one["receivers"]:
            found.setdefault((one["labels"]["slo"], receiver["name"]), []).append(one)
    return [
        {"labels": {"slo": slo}, "receiver": {"name": receiver}, "alerts": alerts}
        for (slo, receiver), alerts in sorted(found.items())
    ]


def silence_json(silence: Silence, now_unix_nano: int) -> dict[str, Any]:
    """As a server shows it; ``recurring`` is ours."""
    return {
        "id": silence.silence_id,
        "status": {"state": str(silence.state(now_unix_nano))},
        "updatedAt": rfc3339(silence.updated_unix_nano),
        "startsAt": rfc3339(silence.starts_unix_nano),
        "endsAt": rfc3339(silence.ends_unix_nano),
        "createdBy": silence.author,
        "comment": silence.comment,
        "matchers": [
            {
                "name": one.name,
                "value": one.value,
                "isRegex": one.is_regex,
                "isEqual": not one.is_negated,
            }
            for one in silence.matchers
        ],
        "recurring": None if silence.recurring is None else recurring_json(silence.recurring),
    }


class _Matcher(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=128)]
    value: Annotated[str, Field(max_length=1_000)]
    isRegex: bool  # noqa: N815 - Alertmanager's word
    isEqual: bool = True  # noqa: N815


class _Posted(BaseModel):
    # What a server shows may be posted back: its status and times of change are passed over.
    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(max_length=64)] = ""
    matchers: Annotated[list[_Matcher], Field(min_length=1, max_length=MAX_MATCHERS)]
    startsAt: dt.datetime  # noqa: N815
    endsAt: dt.datetime  # noqa: N815
    createdBy: str  # noqa: N815
    comment: str
    recurring: RecurringBody | None = None


def read_silence(raw: bytes, silence_id: str, now_unix_nano: int) -> tuple[str, Silence]:
    """``(the id it replaces or "", the silence)``; begins now at the earliest.

    Raises BadRequestError.
    """
    try:
        posted = _Posted.model_validate_json(raw)
        recurring = None
        if posted.recurring is not None:
            recurring = read_recurring(posted.recurring.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequestError(
            f"{where}: {first['msg']}", accepted="Alertmanager's silence"
        ) from None
    except (CorrectionError, ValueError) as error:
        raise BadRequestError(f"recurring: {error}", accepted="an RRULE in local time") from None
    ends = _unix_nano("endsAt", posted.endsAt)
    if ends <= now_unix_nano:
        raise BadRequestError("endsAt is past", accepted="a later time")
    return posted.id, Silence(
        silence_id=silence_id,
        matchers=tuple(
            condition(one.name, _OPERATORS[one.isEqual, one.isRegex], one.value)
            for one in posted.matchers
        ),
        starts_unix_nano=max(_unix_nano("startsAt", posted.startsAt), now_unix_nano),
        ends_unix_nano=ends,
        author=posted.createdBy,
        comment=posted.comment,
        updated_unix_nano=now_unix_nano,
        recurring=recurring,
    )


def _unix_nano(name: str, at: dt.datetime) -> int:
    if at.tzinfo is None or not 1970 < at.year < 2200:
        raise BadRequestError(f"{name} {at.isoformat()}", accepted="RFC 3339 with an offset")
    return round(at.timestamp() * 1_000) * 1_000_000
