"""For receivers: is this webhook genuine? Standard Webhooks 1.0.0, strict, standard library only.

    verify(request.headers, raw_body, ["whsec_..."], int(time.time()))

raises VerificationError, or returns and the bytes may be believed to come from the holder of a
secret. It does not say that they are new: keep the ``webhook-id`` of what you acted on, and look
at ``expires_at`` in the body. Copy this file if you like; it imports nothing of ours.

Strictness: the text of the timestamp header is what is signed, ASCII digits only; an id has no
full stop (it would make ``id.timestamp.body`` ambiguous); base64 has only its alphabet; malformed
entries are skipped, never raised; every entry is compared in constant time.
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
    expected = [hmac.digest(_key(secret), base, "sha256") for secret in secrets[:MAX_SECRETS]]
    if not expected:
        raise VerificationError("no secret to verify with")
    if not _any_matches(signatures, expected):
        raise VerificationError("no signature matches")


def _header(headers: Mapping[str, str], wanted: str) -> str:
    """The one value of a header, whatever its case. Two different ones are refused."""
    values = {value for name, value in headers.items() if name.lower() == wanted}
    if len(values) != 1:
        raise VerificationError(f"{wanted} is {'missing' if not values else 'ambiguous'}")
    return values.pop()


def _key(secret: str) -> bytes:
    """The key's bytes; padding may be missing, as the reference library allows."""
    text = secret.strip().removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise VerificationError("a secret is not base64") from None
    if not key:
        raise VerificationError("a secret is empty")
    return key


def _any_matches(header: str, expected: Sequence[bytes]) -> bool:
    """Compares every entry with every key, so that the time taken names none of them."""
    found = False
    for entry in [part for part in header.split(" ") if part][:MAX_SIGNATURES]:
        version, _, text = entry.partition(",")
        if version != "v1":
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            continue
        if len(signature) != hashlib.sha256().digest_size:
            continue
        for digest in expected:
            found |= hmac.compare_digest(signature, digest)
    return found
