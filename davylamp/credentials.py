"""The secrets of an installation, made once, readable by their owner only."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Final

from davylamp.config import Settings

WEBHOOK_KEY_BYTES: Final = 32
API_TOKEN_BYTES: Final = 32
SESSION_KEY_BYTES: Final = 32


def ensure_credentials(settings: Settings) -> None:
    """Create what is missing; what exists is left alone. Raises OSError."""
    key = base64.b64encode(secrets.token_bytes(WEBHOOK_KEY_BYTES)).decode()
    _write_once(settings.webhook_secret_file, f"whsec_{key}\n")
    session_key = base64.b64encode(secrets.token_bytes(SESSION_KEY_BYTES)).decode()
    _write_once(settings.session_key_file, f"{session_key}\n")
    _write_once(settings.api_token_file, f"{secrets.token_urlsafe(API_TOKEN_BYTES)}\n")


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
