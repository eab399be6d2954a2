"""Content encodings within bounds."""

from __future__ import annotations

import gzip
import zlib

import pytest

from collector.wire.compression import decompress
from collector.wire.errors import Malformed, TooLarge, UnsupportedEncoding

BODY = b"a body " * 20


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
    ],
)
def test_round_trip(encoding, sent):
    """What was encoded comes back, up to exactly the limit."""
    assert decompress(sent, encoding, max_bytes=len(BODY)) == BODY
    with pytest.raises(TooLarge):
        decompress(sent, encoding, max_bytes=len(BODY) - 1)


def test_an_empty_gzip_stream_is_an_empty_body():
    """Nothing, compressed, is still nothing."""
    assert decompress(gzip.compress(b""), "gzip", max_bytes=10) == b""


@pytest.mark.parametrize(
    ("encoding", "sent", "error"),
    [
        pytest.param("gzip", b"", Malformed, id="nothing at all"),
        pytest.param("gzip", BODY, Malformed, id="plain"),
        pytest.param("gzip", zlib.compress(BODY), Malformed, id="another container"),
        pytest.param("gzip", gzip.compress(BODY)[:-1], Malformed, id="cut"),
        pytest.param("gzip", gzip.compress(BODY) + b"x", Malformed, id="more behind"),
        pytest.param("gzip", gzip.compress(BODY) * 2, Malformed, id="two members"),
        pytest.param("deflate", zlib.compress(BODY)[:-2] + b"xx", Malformed, id="checksum"),
        pytest.param("br", BODY, UnsupportedEncoding, id="brotli"),
        pytest.param("gzip, gzip", gzip.compress(BODY), UnsupportedEncoding, id="stacked"),
    ],
)
def test_refusals(encoding, sent, error):
    """Each with its own error, and the accepted encodings named."""
    with pytest.raises(error) as caught:
        decompress(sent, encoding, max_bytes=1_000)
    if error is UnsupportedEncoding:
        assert "gzip" in str(caught.value)
