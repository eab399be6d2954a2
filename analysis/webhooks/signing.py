"""Signing a request: Standard Webhooks 1.0.0, HMAC-SHA256 (``v1``), one signature per secret."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from analysis.errors import SecretError

PREFIX: Final = "whsec_"
#: Live secrets of one endpoint: the newest, and those being rotated out.
MAX_SECRETS: Final = 4
#: Sizes Standard Webhooks accepts.
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The keys of a secret file, newest (first line) first. Raises SecretError."""
    try:
        words = path.read_text("ascii").split()
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not ASCII text") from None
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}") from None
    if not 1 <= len(words) <= MAX_SECRETS:
        raise SecretError(f"{path} holds {len(words)} secrets, accepted: 1 to {MAX_SECRETS}")
    return tuple(parse_secret(word) for word in words)


def parse_secret(secret: str) -> bytes:
    """The key of ``whsec_`` + base64. Raises SecretError, which never shows the secret."""
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise SecretError("a webhook secret is not base64 after whsec_") from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise SecretError(
            f"a webhook secret has {len(key)} bytes, accepted: {MIN_KEY_BYTES} to {MAX_KEY_BYTES}"
        )
    return key


def sign(keys: Sequence[bytes], webhook_id: str, timestamp_unix_s: int, body: bytes) -> str:
    """The ``webhook-signature`` header: ``v1,<base64>`` for each key, newest first."""
    base = f"{webhook_id}.{timestamp_unix_s}.".encode() + body
    digests = [hmac.digest(key, base, "sha256") for key in keys]
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def headers(
    keys: Sequence[bytes], webhook_id: str, timestamp_unix_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt; the timestamp is the attempt's own."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_unix_s),
        "webhook-signature": sign(keys, webhook_id, timestamp_unix_s, body),
    }
