"""Which processes make the platform, and their common start: preflight, credentials, supervisor."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from collector.access.own import own_headers
from davylamp.config import Settings, access_config, environment_of
from davylamp.credentials import ensure_credentials
from davylamp.preflight import LISTENERS, choose_ports
from davylamp.supervisor import ProcessSpec, Supervisor
from telemetry.clock import Clock

PLATFORM: Final = ("collector", "analysis", "dashboards")
WITH_SAMPLES: Final = (*PLATFORM, "samples")
#: Where OpenTelemetry's exporters look for headers, percent-encoded.
HEADERS_VARIABLE: Final = "OTEL_EXPORTER_OTLP_HEADERS"


def settle_ports(settings: Settings) -> Settings:
    """Settings in which every port 0 became a number. Raises PreflightError."""
    return settings.with_values(choose_ports(settings))


def prepare(
    settings: Settings,
    files: Sequence[Path],
    names: Sequence[str],
    clock: Clock,
    tell: Callable[[str, str], None],
    overrides: Mapping[str, Mapping[str, Any]],
) -> Supervisor:
    """A supervisor for the processes ``names``; ``settings`` must have settled ports.

    ``overrides`` are the values that neither the files nor the environment hold. Children read the
    same files and a copy of our environment plus what we know better: ports and the state folder.
    """
    ensure_credentials(settings)
    known: dict[str, dict[str, Any]] = {name: dict(keys) for name, keys in overrides.items()}
    for section, keys in _ports_of(settings).items():
        known.setdefault(section, {}).update(keys)
    known.setdefault("davylamp", {})["state_dir"] = str(settings.state_dir)
    flags = [word for path in files for word in ("--config", str(path))]
    command = [sys.executable, "-m", "davylamp", *flags, "run"]
    return Supervisor(
        [ProcessSpec(name, [*command, name]) for name in names],
        environ=_for_senders(settings) | os.environ | environment_of(known),
        log_dir=settings.state_dir / "logs",
        clock=clock,
        tell=tell,
    )


def _for_senders(settings: Settings) -> dict[str, str]:
    """How our own processes send telemetry where everybody shows a token."""
    shown = own_headers(access_config(settings)).get("Authorization")
    return {} if shown is None else {HEADERS_VARIABLE: f"authorization={quote(shown)}"}


def _ports_of(settings: Settings) -> Mapping[str, Mapping[str, int]]:
    """The ports as settings hold them."""
    known: dict[str, dict[str, int]] = {}
    for section, key, _ in LISTENERS:
        known.setdefault(section, {})[key] = settings.port(section, key)
    return known
