"""Snappy's block format, undone within a bound that is checked before anything is allocated."""

from __future__ import annotations

from typing import Final

import cramjam

from collector.wire.errors import Malformed, TooLarge

#: First chunk of the framed format, which remote-write does not use.
_FRAMED: Final = b"\xff\x06\x00\x00sNaPpY"
#: Snappy's format holds lengths below 2^32: a varint of five bytes at most.
_MAX_LENGTH_BYTES: Final = 5


def decompress_block(body: bytes, *, max_bytes: int) -> bytes:
    """``body`` decompressed. Raises Malformed or TooLarge; the declared length is read first."""
    if body.startswith(_FRAMED):
        raise Malformed("the body is framed snappy; accepted: snappy's block format")
    length = _declared_length(body)
    if length > max_bytes:
        raise TooLarge(f"the body declares {length} bytes decompressed, the limit is {max_bytes}")
    try:
        plain = bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Malformed(f"the body is not snappy: {error}") from error
    if len(plain) != length:
        raise Malformed(f"the snappy body declares {length} bytes and holds {len(plain)}")
    return plain


def compress_block(plain: bytes) -> bytes:
    """``plain`` as a snappy block."""
    return bytes(cramjam.snappy.compress_raw(plain))


def _declared_length(body: bytes) -> int:
    length = 0
    for index, byte in enumerate(body[:_MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if length >= 1 << 32:
                break
            return length
    raise Malformed("the body is not snappy: it begins with no length")
