"""PagerDuty's routing key, which stands in the body and not in a signature."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from analysis.errors import SecretError
from collector.access.errors import SealedError
from collector.access.secret_files import SecretFiles, SecretKind

_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")


def read_routing_key(path: Path, files: SecretFiles) -> str:
    """The key in a file. Raises SecretError, which never shows it."""
    try:
        text = files.read(path, SecretKind.ROUTING_KEY)
    except SealedError as error:
        raise SecretError(f"cannot be read as a routing key: {error}") from None
    try:
        return parse_routing_key(text)
    except SecretError:
        raise SecretError(f"{path} does not hold a routing key of 32 characters") from None


def parse_routing_key(text: str) -> str:
    """Raises SecretError, which never shows it."""
    key = text.strip()
    if not _ROUTING_KEY.fullmatch(key):
        raise SecretError("a routing key has 32 letters and digits")
    return key
