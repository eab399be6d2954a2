"""Settings of the sample stack. Values live in the project's defaults file, never here."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Literal, get_args

from sample_services.errors import SettingError

Profile = Literal["demo", "tiny"]
Temporality = Literal["cumulative", "delta"]
SHARE_MAX_RATIO: Final = 0.5


@dataclass(frozen=True, slots=True)
class SamplesConfig:
    """Everything the stack needs to know; port 0 means "any free port"."""

    host: str
    controller_port: int
    #: Port of the first zone's edge; the other zone's edge takes any free port.
    edge_port: int
    #: ``demo``: every service in every zone. ``tiny``: one of each, playback in every zone.
    profile: Profile
    #: Seeds arrivals, devices and latencies; the same seed repeats the same audience.
    seed: int
    #: Value of deployment.environment.name and the environment commands must name.
    environment: str
    region: str
    plays_per_s: float
    browse_per_s: float
    #: Size of the audience; arms are sticky per account.
    accounts: int
    titles: int
    #: Share of the accounts each arm gets when a deployment does not say (0..0.5).
    share_ratio: float
    #: How long a retired instance may finish its requests before it is killed.
    drain_timeout_s: float
    #: A canary nobody decided about is taken back after this long.
    canary_lifetime_s: float
    #: The home page waits this long for its rows before it shows the stock ones.
    home_timeout_s: float
    #: Name by which commands address this deployer.
    endpoint_id: str
    export_interval_s: float
    temporality: Temporality
    #: OTLP/HTTP base address, such as http://127.0.0.1:4318.
    otlp_endpoint: str
    #: Base address of the analysis API; empty = canaries are not declared to anyone.
    analysis_url: str
    webhook_secret_file: Path
    api_token_file: Path
    state_dir: Path


def check(config: SamplesConfig) -> None:
    """Refuse what cannot work before anything starts. Raises SettingError."""
    if not _is_loopback(config.host):
        raise SettingError(
            f"host must be a loopback address such as 127.0.0.1, not {config.host!r}:"
            " the samples know no authentication"
        )
    for name, value, accepted in (
        ("profile", config.profile, get_args(Profile)),
        ("temporality", config.temporality, get_args(Temporality)),
    ):
        if value not in accepted:
            raise SettingError(f"{name} must be one of {', '.join(accepted)}, not {value!r}")
    for name in ("plays_per_s", "browse_per_s"):
        if not 0.0 <= getattr(config, name) < float("inf"):
            raise SettingError(f"{name} must be 0 or more, not {getattr(config, name)!r}")
    for name in (
        "accounts",
        "titles",
        "drain_timeout_s",
        "canary_lifetime_s",
        "home_timeout_s",
        "export_interval_s",
    ):
        if not 0.0 < getattr(config, name) < float("inf"):
            raise SettingError(f"{name} must be more than 0, not {getattr(config, name)!r}")
    if not 0.0 < config.share_ratio <= SHARE_MAX_RATIO:
        raise SettingError(
            f"share_ratio must be above 0 and at most {SHARE_MAX_RATIO}, not {config.share_ratio!r}"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or IPv4Address(host).is_loopback
    except ValueError:
        return False
