"""Signing a request: Standard Webhooks 1.0.0, one signature per secret.

``whsec_`` secrets sign with HMAC-SHA256 (``v1``): whoever can verify could also sign. ``whsk_``
secrets sign with Ed25519 (``v1a``): receivers hold only the ``whpk_`` key, which cannot.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from analysis.errors import SecretError
from collector.access.errors import SealedError
from collector.access.secret_files import PLAIN, SecretFiles, SecretKind

PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
#: An HMAC key is its bytes.
SigningKey: TypeAlias = bytes | Ed25519PrivateKey
#: Live secrets of one endpoint: the newest, and those being rotated out.
MAX_SECRETS: Final = 4
#: Sizes Standard Webhooks accepts.
MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64
SEED_BYTES: Final = 32


def read_secrets(path: Path, files: SecretFiles = PLAIN) -> tuple[SigningKey, ...]:
    """The keys of a secret file, newest (first line) first. Raises SecretError."""
    try:
        words = files.read(path, SecretKind.SIGNING).split()
    except SealedError as error:
        raise SecretError(str(error)) from None
    if not 1 <= len(words) <= MAX_SECRETS:
        raise SecretError(f"{path} holds {len(words)} secrets, accepted: 1 to {MAX_SECRETS}")
    return tuple(parse_secret(word) for word in words)


def parse_secret(secret: str) -> SigningKey:
    """The key of ``whsec_`` or ``whsk_`` + base64. Raises SecretError, which never shows it.

    The specification leaves open whether ``whsk_`` holds the 32-byte seed or seed and public key
    together; both are read, and the two halves of the long form must belong together.
    """
    if secret.startswith(PRIVATE_PREFIX):
        return _private_key(_decoded(secret.removeprefix(PRIVATE_PREFIX), PRIVATE_PREFIX))
    key = _decoded(secret.removeprefix(PREFIX), PREFIX)
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise SecretError(
            f"a webhook secret has {len(key)} bytes, accepted: {MIN_KEY_BYTES} to {MAX_KEY_BYTES}"
        )
    return key


def _decoded(text: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise SecretError(f"a webhook secret is not base64 after {prefix}") from None


def _private_key(raw: bytes) -> Ed25519PrivateKey:
    if len(raw) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise SecretError(
            f"a webhook secret has {len(raw)} bytes after {PRIVATE_PREFIX},"
            f" accepted: {SEED_BYTES} (seed) or {2 * SEED_BYTES} (seed and public key)"
        )
    key = Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES])
    if raw[SEED_BYTES:] not in (b"", key.public_key().public_bytes_raw()):
        raise SecretError("a webhook secret's public half does not belong to its seed")
    return key


def public_keys(keys: Sequence[SigningKey]) -> tuple[str, ...]:
    """``whpk_`` keys that verify what ``keys`` sign, newest first; HMAC keys have none."""
    return tuple(
        PUBLIC_PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()
        for key in keys
        if isinstance(key, Ed25519PrivateKey)
    )


def sign(keys: Sequence[SigningKey], webhook_id: str, timestamp_unix_s: int, body: bytes) -> str:
    """The ``webhook-signature`` header: ``v1,…`` or ``v1a,…`` for each key, newest first."""
    base = f"{webhook_id}.{timestamp_unix_s}.".encode() + body
    return " ".join(_entry(key, base) for key in keys)


def _entry(key: SigningKey, base: bytes) -> str:
    if isinstance(key, Ed25519PrivateKey):
        return "v1a," + base64.b64encode(key.sign(base)).decode()
    return "v1," + base64.b64encode(hmac.digest(key, base, "sha256")).decode()


def headers(
    keys: Sequence[SigningKey], webhook_id: str, timestamp_unix_s: int, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt; the timestamp is the attempt's own."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_unix_s),
        "webhook-signature": sign(keys, webhook_id, timestamp_unix_s, body),
    }
