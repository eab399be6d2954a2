"""Settings of access. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who must show a token, and where the tokens are."""

    #: Everybody shows one. False: on loopback whoever sends and reads needs none.
    required: bool
    #: The file ``davylamp tokens`` writes.
    tokens_file: Path
    #: The installation's own token, one line; it may do everything.
    owner_file: Path
