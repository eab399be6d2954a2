"""Content encodings of a request body, undone within a bound.

A bomb is stopped at the limit: memory never holds more than the limit and one chunk, whatever
the compressed bytes claim.
"""

from __future__ import annotations

import zlib
from typing import Final

from collector.wire.errors import Malformed, TooLarge, UnsupportedEncoding

#: zlib's ``wbits``: gzip container only, zlib container only (HTTP's "deflate").
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
ACCEPTED: Final = "identity, gzip, deflate"


def decompress(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """``body`` with its Content-Encoding undone; one stream, ended properly, nothing behind it."""
    if encoding in {"", "identity"}:
        if len(body) > max_bytes:
            raise TooLarge(f"the body has {len(body)} bytes, the limit is {max_bytes}")
        return body
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        raise UnsupportedEncoding(f"content encoding {encoding[:40]!r}; accepted: {ACCEPTED}")
    stream = zlib.decompressobj(wbits=bits)
    try:
        plain = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error
    if len(plain) > max_bytes:
        raise TooLarge(f"the body decompresses to more than {max_bytes} bytes")
    if not stream.eof:
        raise Malformed(f"the {encoding} body is cut short")
    if stream.unused_data:
        raise Malformed(f"{len(stream.unused_data)} bytes follow the {encoding} body")
    return plain
