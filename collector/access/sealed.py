"""A secret as it lies on the disk: encrypted with AES-256-GCM, bound to what it is for.

``davylamp-secret:v1:`` + base64 of key id (4 bytes), nonce (12), ciphertext and tag (16). The
purpose and the key's id are authenticated beside it, so that a file that was put in another's
place does not open. Nothing here shows a key or a secret, in a message or in a repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from collector.access.errors import SealedError

PREFIX: Final = "davylamp-secret:v1:"
KEY_BYTES: Final = 32
#: Random nonces of one key may be used 2**32 times (NIST SP 800-38D, 8.3); we write a few files.
NONCE_BYTES: Final = 12
#: Keys that may be at hand while one takes over from another.
MAX_KEYS: Final = 4
_KEY_ID_BYTES: Final = 4
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class SealingKey:
    """256 random bits."""

    raw: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """Eight hex digits by which people tell keys apart; nothing follows from them."""
        return hashlib.sha256(b"davylamp-key-id:" + self.raw).digest()[:_KEY_ID_BYTES].hex()

    def to_text(self) -> str:
        """For a key file or the environment."""
        return base64.b64encode(self.raw).decode()


def parse_keys(text: str, where: str) -> tuple[SealingKey, ...]:
    """Keys between blanks, newest first. Raises SealedError, which names ``where``."""
    words = text.split()
    if not 1 <= len(words) <= MAX_KEYS:
        raise SealedError(f"{where} holds {len(words)} keys, accepted: 1 to {MAX_KEYS}")
    found = []
    for word in words:
        try:
            raw = base64.b64decode(word, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise SealedError(
                f"{where} holds what is no key; accepted: base64 of {KEY_BYTES} random bytes, "
                "as `davylamp secrets new-key` makes it"
            )
        found.append(SealingKey(raw))
    return tuple(found)


def is_sealed(text: str) -> bool:
    """Whether it says that it is encrypted, in any version."""
    return text.lstrip().startswith("davylamp-secret:")


def seal(text: str, key: SealingKey, purpose: str, nonce: bytes) -> str:
    """``text`` under ``key``; a nonce of NONCE_BYTES random bytes is used this once."""
    key_id = bytes.fromhex(key.key_id)
    hidden = AESGCM(key.raw).encrypt(nonce, text.encode(), _bound(key_id, purpose))
    return PREFIX + base64.b64encode(key_id + nonce + hidden).decode()


def unseal(sealed: str, keys: Sequence[SealingKey], purpose: str) -> tuple[str, SealingKey]:
    """The text and the key that opened it. Raises SealedError, which says why it does not open."""
    raw = _raw(sealed.strip())
    key_id, nonce = raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES : _KEY_ID_BYTES + NONCE_BYTES]
    hidden = raw[_KEY_ID_BYTES + NONCE_BYTES :]
    if not keys:
        raise SealedError(f"is encrypted under the key {key_id.hex()}, and there is no key")
    fitting = [key for key in keys if key.key_id == key_id.hex()]
    if not fitting:
        known = ", ".join(key.key_id for key in keys)
        raise SealedError(f"is encrypted under the key {key_id.hex()}; at hand: {known}")
    for key in fitting:
        try:
            shown = AESGCM(key.raw).decrypt(nonce, hidden, _bound(key_id, purpose))
            return shown.decode(), key
        except (InvalidTag, UnicodeDecodeError):
            continue
    raise SealedError("was changed, or was encrypted for another file or another use")


def _raw(sealed: str) -> bytes:
    if not sealed.startswith(PREFIX):
        raise SealedError(f"is not encrypted in a known way; accepted: {PREFIX}..")
    try:
        raw = base64.b64decode(sealed.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) < _KEY_ID_BYTES + NONCE_BYTES + _TAG_BYTES:
        raise SealedError(f"is cut off or is not base64 after {PREFIX}")
    return raw


def _bound(key_id: bytes, purpose: str) -> bytes:
    return b"\0".join((PREFIX.encode(), key_id, purpose.encode()))
