"""How our own processes show who they are to each other."""

from __future__ import annotations

from collections.abc import Mapping

from collector.access.config import AccessConfig


def own_headers(config: AccessConfig) -> Mapping[str, str]:
    """The installation's own token as a header, where tokens are required; read each time.

    Raises nothing: what cannot be read is not shown, and the other side says what is missing.
    """
    if not config.required:
        return {}
    try:
        return {"Authorization": f"Bearer {config.owner_file.read_text().strip()}"}
    except OSError:
        return {}
