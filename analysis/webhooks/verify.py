"""For receivers: is this webhook genuine? Standard Webhooks 1.0.0, strict, standard library only.

    verify(request.headers, raw_body, ["whsec_..."], int(time.time()))

raises VerificationError, or returns and the bytes may be believed to come from the holder of a
secret. It does not say that they are new: keep the ``webhook-id`` of what you acted on, and look
at ``expires_at`` in the body. Copy this file if you like; it imports nothing of ours.

Strictness: the text of the timestamp header is what is signed, ASCII digits only; an id has no
full stop (it would make ``id.timestamp.body`` ambiguous); base64 has only its alphabet; malformed
entries are skipped, never raised; every entry is compared in constant time.

A key is a shared ``whsec_`` secret (``v1``, HMAC-SHA256) or a sender's public ``whpk_`` key
(``v1a``, Ed25519 by RFC 8032 section 5.1.7, a few milliseconds here; nothing in it is secret).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

#: Seconds a message may be old or ahead, inclusive.
TOLERANCE_S = 300
#: Entries of the signature header that are read.
MAX_SIGNATURES = 16
#: Secrets that are tried: one in use, and those being rotated out.
MAX_SECRETS = 16

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,14}")
_SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
_PUBLIC_PREFIX = "whpk_"


class VerificationError(ValueError):
    """The message is not genuine, or too old; the text says which, and holds no secret."""


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now_unix_s: int,
    tolerance_s: int = TOLERANCE_S,
) -> None:
    """Raise VerificationError unless one of ``secrets`` signed these very bytes just now."""
    message_id = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    signatures = _header(headers, "webhook-signature")
    if not _ID.fullmatch(message_id):
        raise VerificationError("webhook-id is not 1 to 64 letters, digits, _ or -")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise VerificationError("webhook-timestamp is not a decimal number of seconds")
    age_s = now_unix_s - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise VerificationError(f"webhook-timestamp is {age_s} s old, accepted: {tolerance_s}")
    base = f"{message_id}.{timestamp}.".encode("ascii") + body
    if not secrets:
        raise VerificationError("no secret to verify with")
    keys = [key.strip() for key in secrets[:MAX_SECRETS]]
    public = [_public_key(key) for key in keys if key.startswith(_PUBLIC_PREFIX)]
    shared = [_key(key) for key in keys if not key.startswith(_PUBLIC_PREFIX)]
    expected = [hmac.digest(key, base, "sha256") for key in shared]
    # Both are always tried, so that the time taken names no key.
    is_shared = _any_matches(signatures, expected)
    asymmetric = _entries(signatures, "v1a", 64)
    is_public = sum(_ed25519(key, base, one) for one in asymmetric for key in public) > 0
    if not (is_shared or is_public):
        raise VerificationError("no signature matches")


def _header(headers: Mapping[str, str], wanted: str) -> str:
    """The one value of a header, whatever its case. Two different ones are refused."""
    values = {value for name, value in headers.items() if name.lower() == wanted}
    if len(values) != 1:
        raise VerificationError(f"{wanted} is {'missing' if not values else 'ambiguous'}")
    return values.pop()


def _key(secret: str) -> bytes:
    """The key's bytes; padding may be missing, as the reference library allows."""
    key = _decoded(secret.removeprefix(_SECRET_PREFIX))
    if not key:
        raise VerificationError("a secret is empty")
    return key


def _public_key(text: str) -> bytes:
    key = _decoded(text.removeprefix(_PUBLIC_PREFIX))
    if len(key) != 32:
        raise VerificationError("a public key has not 32 bytes after whpk_")
    return key


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise VerificationError("a secret is not base64") from None


def _any_matches(header: str, expected: Sequence[bytes]) -> bool:
    """Compares every entry with every key, so that the time taken names none of them."""
    found = False
    for signature in _entries(header, "v1", hashlib.sha256().digest_size):
        for digest in expected:
            found |= hmac.compare_digest(signature, digest)
    return found


def _entries(header: str, version: str, size_bytes: int) -> list[bytes]:
    """Signatures of one version among the first entries; what is malformed is left out."""
    found = []
    for entry in [part for part in header.split(" ") if part][:MAX_SIGNATURES]:
        name, _, text = entry.partition(",")
        if name != version:
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            continue
        if len(signature) == size_bytes:
            found.append(signature)
    return found


# Ed25519 (RFC 8032 section 5.1): the curve's prime, group order, constant d, and base point.
_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, x y = T/Z


def _ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) of ``message`` is by the holder of ``public``'s secret."""
    key, nonce = _point(public), _point(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    # A key of small order would make signatures that fit many messages.
    if key is None or nonce is None or scalar >= _ORDER or _same(_times(8, key), _ZERO):
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    return _same(_times(scalar, _BASE), _plus(nonce, _times(challenge, key)))


def _point(encoded: bytes) -> _Point | None:
    """The point that 32 bytes stand for; None if they stand for none (RFC 8032 5.1.3)."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if x * x % _P != x_squared:
        x = x * _SQRT_MINUS_1 % _P
    if x * x % _P != x_squared or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _plus(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, point: _Point) -> _Point:
    total = _ZERO
    while factor:
        if factor & 1:
            total = _plus(total, point)
        point, factor = _plus(point, point), factor >> 1
    return total


def _same(one: _Point, other: _Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 and (
        one[1] * other[2] - other[1] * one[2]
    ) % _P == 0


_ZERO: _Point = (0, 1, 1, 0)
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
