"""Identifiers: a prefix and a ULID (time first, so that they sort by age)."""

from __future__ import annotations

from typing import Final

ENTROPY_BYTES: Final = 10
#: Crockford's base 32.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str, unix_nano: int, entropy: bytes) -> str:
    """``prefix_`` + 26 characters: 48 bits of milliseconds, 80 random bits."""
    assert len(entropy) == ENTROPY_BYTES
    number = ((unix_nano // 1_000_000) & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy)
    return f"{prefix}_" + "".join(_ALPHABET[(number >> 5 * i) & 31] for i in range(25, -1, -1))
