"""The one place that uses the receiver's verifier, shipped for programs like this one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analysis.webhooks.verify import VerificationError, verify
from sample_services.errors import CommandRefusedError


def verified_id(headers: Mapping[str, str], body: bytes, secret_file: Path, now_unix_s: int) -> str:
    """The message id of a webhook whose signature holds. Raises CommandRefusedError (401).

    The secret is read at every message, so that a rotated file takes effect at once.
    """
    try:
        secrets = secret_file.read_text().split()
    except (OSError, ValueError) as error:
        raise CommandRefusedError(401, "no_secret", f"no webhook secret: {error}") from None
    try:
        verify(headers, body, secrets, now_unix_s)
    except VerificationError as error:
        raise CommandRefusedError(401, "bad_signature", str(error)) from None
    return headers["webhook-id"]
