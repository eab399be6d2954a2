"""Endpoints' secrets, changed by people and read back by nobody.

A new secret becomes the first line of the endpoint's file, the one before stays as the second:
both sign until the next change, so that a receiver can take its time. The file is encrypted, and
written after the audit log knows of the change: a change that nobody can look up does not happen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from analysis.config import EndpointConfig, NoticeConfig
from analysis.decisions.database import Transactions
from analysis.decisions.records import Event
from analysis.decisions.timeline import add_event
from analysis.errors import BadRequestError, ConflictError, SecretError, UnknownRecordError
from analysis.notices.routing_key import parse_routing_key
from analysis.webhooks.signing import parse_secret, public_keys
from collector.access.errors import SealedError
from collector.access.secret_files import ENVIRONMENT_KEY, SecretFiles, SecretKind, locked
from telemetry.clock import Clock

FINGERPRINT_CHARS: Final = 16
_ACCEPTED: Final = {
    SecretKind.SIGNING: "whsec_ or whsk_ and base64",
    SecretKind.ROUTING_KEY: "a routing key of 32 letters and digits",
}


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What somebody asks for."""

    secret: str = field(repr=False)
    #: Whether the secret before goes on signing beside it.
    keep_previous: bool


class SecretDesk:
    """Of one process, on whose machine the files are. Methods block; any thread may call."""

    def __init__(
        self,
        endpoints: Sequence[EndpointConfig],
        files: SecretFiles,
        database: Transactions,
        clock: Clock,
    ) -> None:
        self._endpoints = {one.endpoint_id: one for one in endpoints}
        self._files = files
        self._database = database
        self._clock = clock

    def shown(self, endpoint_id: str) -> dict[str, Any]:
        """Fingerprints and public keys, newest first. Raises UnknownRecordError, ConflictError."""
        endpoint = self._endpoint(endpoint_id)
        kind = kind_of(endpoint)
        try:
            text, key = self._files.opened(endpoint.secret_file, kind)
            keys = [_described(word, kind) for word in text.split()]
        except (SealedError, SecretError) as error:
            raise ConflictError(str(error)) from None
        return {
            "endpoint_id": endpoint_id,
            "kind": str(kind),
            "is_encrypted": key is not None,
            "key_id": None if key is None else key.key_id,
            "keys": keys,
        }

    def replace(self, endpoint_id: str, new: NewSecret, who: str) -> dict[str, Any]:
        """Set a secret; setting the present one again changes nothing.

        Raises UnknownRecordError, BadRequestError (no secret of this endpoint's kind),
        ConflictError (no key to encrypt with, a file that cannot be read or written).
        """
        endpoint = self._endpoint(endpoint_id)
        kind = kind_of(endpoint)
        try:
            fingerprint = _described(new.secret, kind)["fingerprint"]
        except SecretError as error:
            raise BadRequestError(str(error), accepted=_ACCEPTED[kind]) from None
        try:
            with locked(endpoint.secret_file):
                lines = self._lines(endpoint, new)
                self._say(endpoint_id, who, f"{fingerprint} signs, and {len(lines) - 1} before it")
                self._write(endpoint, lines, f"{fingerprint} does not sign", who)
        except SealedError as error:
            raise ConflictError(str(error)) from None
        return self.shown(endpoint_id)

    def _write(
        self, endpoint: EndpointConfig, lines: Sequence[str], not_done: str, who: str
    ) -> None:
        """Raises SealedError; then the audit log says that it was not done."""
        try:
            text = "".join(f"{line}\n" for line in lines)
            self._files.write(endpoint.secret_file, text, kind_of(endpoint))
        except SealedError as error:
            self._say(endpoint.endpoint_id, who, f"{not_done}: {error}")
            raise

    def _lines(self, endpoint: EndpointConfig, new: NewSecret) -> list[str]:
        """The file's next content; looks first whether it could be encrypted at all."""
        kind = kind_of(endpoint)
        if not self._files.keys():
            raise ConflictError(
                "there is no key to encrypt the secret with: set secret_key_file in [analysis] or "
                f"{ENVIRONMENT_KEY} in the environment of the analysis"
            )
        # PagerDuty takes one key. A file that was never there has no predecessor.
        is_alone = kind is SecretKind.ROUTING_KEY or not new.keep_previous
        if is_alone or not endpoint.secret_file.exists():
            return [new.secret]
        try:
            before = self._files.read(endpoint.secret_file, kind).split()
        except SealedError as error:
            raise ConflictError(
                f"the secret before cannot be kept: {error}; keep_previous false drops it unread"
            ) from None
        if before[:1] == [new.secret]:
            return before[:2]
        return [new.secret, *before[:1]]

    def _say(self, endpoint_id: str, who: str, what: str) -> None:
        title = f"The secret of endpoint {endpoint_id} was set by {who}"
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            add_event(connection, Event(now, "endpoint_secret", "", None, title, what), actor=who)

    def _endpoint(self, endpoint_id: str) -> EndpointConfig:
        found = self._endpoints.get(endpoint_id)
        if found is None:
            raise UnknownRecordError(f"there is no endpoint {endpoint_id!r} in the settings")
        return found


def kind_of(endpoint: EndpointConfig) -> SecretKind:
    """What the endpoint's secret file holds."""
    if isinstance(endpoint, NoticeConfig) and endpoint.format == "pagerduty":
        return SecretKind.ROUTING_KEY
    return SecretKind.SIGNING


def _described(secret: str, kind: SecretKind) -> dict[str, Any]:
    """What may be known of a secret. Raises SecretError."""
    if kind is SecretKind.ROUTING_KEY:
        return {"fingerprint": _fingerprint(parse_routing_key(secret).encode())}
    key = parse_secret(secret)
    if isinstance(key, Ed25519PrivateKey):
        (public,) = public_keys([key])
        fingerprint = _fingerprint(key.public_key().public_bytes_raw())
        return {"signature": "v1a", "fingerprint": fingerprint, "public_key": public}
    return {"signature": "v1", "fingerprint": _fingerprint(key)}


def _fingerprint(raw: bytes) -> str:
    """Tells keys apart. Of a random key nothing follows from it."""
    return hashlib.sha256(b"davylamp-fingerprint:" + raw).hexdigest()[:FINGERPRINT_CHARS]
