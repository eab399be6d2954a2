"""From a webhook to a command: everything is checked before anything is believed.

The order matters: the signature covers the bytes, so nothing in them is read before it holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from sample_services.errors import CommandRefusedError

Action = Literal["rollback", "promotion"]

ACTIONS: Final[Mapping[str, Action]] = {
    "davylamp.rollback.requested": "rollback",
    "davylamp.promotion.requested": "promotion",
}

#: Commands for this environment are rehearsals: taken like others, and nothing is done.
REHEARSAL: Final = "conformance"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a command says is to go or to stay."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Command:
    """A genuine, fresh and addressed command."""

    webhook_id: str
    decision_id: str
    subject: str
    sequence: int
    action: Action
    deployment_id: str
    service: str
    release: Artifact
    target: Artifact
    summary: str
    confirm_url: str
    expires_unix_nano: int


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who we are, to be compared with whom a command is for."""

    endpoint_id: str
    environment: str
    #: Base address of the analysis; confirmations, which carry a token, go nowhere else.
    analysis_url: str

    def is_rehearsal(self, command: Command) -> bool:
        """Whether a command that is addressed to us only asks whether we would obey."""
        return command.subject.startswith(f"{REHEARSAL}/") and self.environment != REHEARSAL


def read_command(webhook_id: str, body: bytes) -> Command:
    """The command in a body whose signature holds. Raises CommandRefusedError (422)."""
    try:
        event = json.loads(body)
        data = event["data"]
        if event["specversion"] != "1.0" or event["id"] != data["decision_id"]:
            raise CommandRefusedError(422, "malformed", "not a CloudEvents 1.0 decision")
        action = ACTIONS.get(event["type"])
        if action is None:
            raise CommandRefusedError(422, "unknown_type", f"cannot do {event['type']!r}")
        return Command(
            webhook_id=webhook_id,
            decision_id=str(data["decision_id"]),
            subject=str(event["subject"]),
            sequence=_integer(data["sequence"]),
            action=action,
            deployment_id=str(data["release"]["deployment_id"]),
            service=str(data["release"]["service"]),
            release=_artifact(data["release"]),
            target=_artifact(data["target"]),
            summary=str(data["reason"]["summary"]),
            confirm_url=str(data["confirm_url"]),
            expires_unix_nano=_unix_nano(data["expires_at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CommandRefusedError(
            422, "malformed", f"not a command: {type(error).__name__} {error}"
        ) from None


def check_address(body: bytes, command: Command, addressee: Addressee) -> None:
    """Refuse what is meant for others or not to be acted on. Raises CommandRefusedError (422)."""
    data = json.loads(body)["data"]
    audience = data.get("audience")
    expected = {"endpoint_id": addressee.endpoint_id, "environment": addressee.environment}
    if audience not in (expected, {**expected, "environment": REHEARSAL}):
        raise CommandRefusedError(422, "wrong_audience", f"addressed to {audience}, not {expected}")
    if command.subject != f"{audience['environment']}/{command.service}":
        raise CommandRefusedError(422, "wrong_subject", f"subject is {command.subject!r}")
    if data.get("mode") != "act":
        raise CommandRefusedError(422, "not_act", f"mode is {data.get('mode')!r}, not 'act'")
    if not _same_origin(command.confirm_url, addressee.analysis_url):
        raise CommandRefusedError(
            422, "foreign_confirm_url", f"confirmations go to {addressee.analysis_url} only"
        )


def check_fresh(command: Command, last_sequence: int, now_unix_nano: int) -> None:
    """Refuse what is late (410) or overtaken (409); ``last_sequence`` is the newest one accepted
    for the command's subject. Raises CommandRefusedError.
    """
    if now_unix_nano >= command.expires_unix_nano:
        raise CommandRefusedError(410, "expired", "the command's time is over")
    if command.sequence <= last_sequence:
        raise CommandRefusedError(
            409, "old_sequence", f"sequence {command.sequence} is not newer than {last_sequence}"
        )


def _artifact(data: Mapping[str, Any]) -> Artifact:
    return Artifact(version=str(data["version"]), digest=str(data["digest"]))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer")
    return value


def _unix_nano(text: str) -> int:
    """RFC 3339 with a zone, to microseconds."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return round(moment.timestamp() * 1e6) * 1000


def _same_origin(url: str, known: str) -> bool:
    """Scheme, host and port agree; never when there is no ``known`` address."""
    try:
        asked, ours = urlsplit(url), urlsplit(known)
        return bool(ours.hostname) and (
            (asked.scheme, asked.hostname, asked.port) == (ours.scheme, ours.hostname, ours.port)
        )
    except ValueError:  # a port that is none
        return False
