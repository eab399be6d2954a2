"""Settings of the analysis. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from analysis.decisions.guard_store import Guarding
from analysis.decisions.guarded_settings import Destination, GuardedSettings
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.decisions.policy import MODES, Mode, Modes
from analysis.decisions.settings_store import SettingsWatch
from analysis.errors import StartError
from analysis.notices.formats import PAGERS, PROPOSALS, SEVERITIES
from analysis.proposals.policy import TwoPersons
from analysis.runner.config import RunnerConfig
from analysis.webhooks.addresses import parse_networks
from analysis.webhooks.events import Route
from analysis.webhooks.targets import Rules, parse_target
from collector.access.config import AccessConfig
from collector.access.secret_files import SecretFiles

#: Addresses that need no authentication to be safe from strangers.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
#: Shorter ones would be lost to a slow disk.
MIN_LEADER_LEASE_S: Final = 5.0
#: What nobody approved within a day is not what people have in mind any more.
MAX_PROPOSAL_LIFETIME_S: Final = 86_400.0
#: Receivers of commands; each has a breaker and a client of its own.
MAX_ENDPOINTS: Final = 1_000
_ENDPOINT_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The receiver of commands."""

    #: Name in the commands' audience; the receiver refuses any other.
    endpoint_id: str
    #: Where commands are posted to; http or https.
    url: str
    #: One ``whsec_`` or ``whsk_`` secret a line, newest first; read at every attempt; all sign.
    #: Plain or encrypted.
    secret_file: Path
    #: Networks that are not public and may be reached all the same, such as 10.1.0.0/16.
    allowed_networks: tuple[str, ...]
    #: Whether http:// is accepted for names; to an address in ``allowed_networks`` it always is.
    plain_http: bool


@dataclass(frozen=True, slots=True)
class LaneEndpointConfig(EndpointConfig):
    """The receiver of the commands of some lanes."""

    #: Shell patterns of ``<environment>/<service>``; the first endpoint that matches takes it.
    lanes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoticeConfig(EndpointConfig):
    """Somebody who is told about decisions; ``secret_file`` holds PagerDuty's routing key."""

    format: Literal["standard", "cdevents", "alertmanager", "pagerduty"]
    #: Kinds of the timeline's events.
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """What may hold a command."""

    #: ``<service>=<mode>``: services whose mode is not the general one.
    service_modes: tuple[str, ...]
    #: The file that stops every command while it exists.
    kill_switch_file: Path
    #: Whether what loosens the guards over the API waits for a second person.
    two_persons: bool
    #: It waits this long.
    proposal_lifetime_s: float
    limits: GuardLimits

    @property
    def proposing(self) -> TwoPersons:
        """For proposals."""
        return TwoPersons(self.two_persons, self.proposal_lifetime_s)


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """Everything the analysis needs to know; port 0 means "any free port"."""

    host: str
    api_port: int
    #: Base address of the collector's read API, such as http://127.0.0.1:4319.
    collector_url: str
    #: OTLP/HTTP base address for the analysis' own telemetry, such as http://127.0.0.1:4318.
    otlp_endpoint: str
    #: SQLAlchemy URL of the ledger.
    database_url: str
    #: Of a shared ledger's leader: this long after it died another process judges and delivers.
    leader_lease_s: float
    #: The receiver of every command that none of ``endpoints`` takes.
    endpoint: EndpointConfig
    endpoints: tuple[LaneEndpointConfig, ...]
    notices: tuple[NoticeConfig, ...]
    #: File with the keys that encrypt secret files, newest first; empty = only the environment's.
    secret_key_file: str
    #: Keys from the environment.
    environment_secret_key: str = field(repr=False)
    #: Plain secret files are refused.
    secrets_must_be_encrypted: bool
    #: ``observe``: judge only. ``advise``: also tell people what to do. ``act``: also command.
    mode: Mode
    guards: GuardConfig
    #: A command not delivered this long after its decision is never sent again.
    decision_lifetime_s: float
    #: A delivered decision that telemetry does not show within this time is reported to people.
    confirm_timeout_s: float
    #: YAML file with the rule canaries are judged by; empty = the shipped rule.
    canary_config_path: str
    runner: RunnerConfig
    access: AccessConfig

    @property
    def routes(self) -> tuple[Route, ...]:
        """Who takes the commands of which lanes."""
        return tuple(Route(one.lanes, one.endpoint_id, one.url) for one in self.endpoints)

    @property
    def guarded(self) -> GuardedSettings:
        """How far commands go. Raises ValueError."""
        fallback = _destination(self.endpoint, ("*/*",))
        found = [_destination(one, one.lanes) for one in self.endpoints]
        modes = self.modes
        return GuardedSettings(
            modes.general,
            modes.services,
            self.guards.limits,
            self.decision_lifetime_s,
            (*found, fallback),
        )

    def guarding(self) -> Guarding:
        """For the ledger."""
        watch = SettingsWatch(self.guarded, is_required=self.guards.two_persons)
        return Guarding(self.guards.limits, KillSwitch(self.guards.kill_switch_file), watch)

    @property
    def secret_files(self) -> SecretFiles:
        """How secret files are opened."""
        return SecretFiles(
            Path(self.secret_key_file) if self.secret_key_file else None,
            self.environment_secret_key,
            must_be_encrypted=self.secrets_must_be_encrypted,
        )

    @property
    def modes(self) -> Modes:
        """The general mode and those of single services. Raises ValueError."""
        return Modes.parse(self.mode, self.guards.service_modes)


def check(config: AnalysisConfig) -> None:
    """Refuse what cannot work, before anything is started. Raises StartError."""
    if config.host not in LOOPBACK_HOSTS and not config.access.required:
        raise StartError(
            f"[analysis] host = {config.host!r}: without [access] required = true only loopback"
            " (127.0.0.1, ::1) is accepted, because readers are not authenticated"
        )
    if config.mode not in MODES:
        raise StartError(
            f"[analysis] mode = {config.mode!r} is unknown; accepted: {', '.join(MODES)}"
        )
    try:
        _ = config.modes
    except ValueError as error:
        raise StartError(f"[analysis.guards] {error}") from None
    for name, value in asdict(config.guards.limits).items():
        if not value > 0:
            raise StartError(f"[analysis.guards.limits] {name} = {value} must be above 0")
    lifetime_s = config.guards.proposal_lifetime_s
    if not 0 < lifetime_s <= MAX_PROPOSAL_LIFETIME_S:
        raise StartError(
            f"[analysis.guards] proposal_lifetime_s = {lifetime_s} must be above 0 and at most"
            f" {MAX_PROPOSAL_LIFETIME_S:g}"
        )
    if not config.leader_lease_s >= MIN_LEADER_LEASE_S:
        raise StartError(
            f"[analysis] leader_lease_s = {config.leader_lease_s} must be at least"
            f" {MIN_LEADER_LEASE_S:g}"
        )
    for name in ("decision_lifetime_s", "confirm_timeout_s"):
        if not getattr(config, name) > 0:
            raise StartError(f"[analysis] {name} = {getattr(config, name)} must be above 0")
    _check_endpoint("[analysis.endpoint]", config.endpoint)
    if len(config.endpoints) > MAX_ENDPOINTS:
        raise StartError(f"[[analysis.endpoints]]: at most {MAX_ENDPOINTS} are accepted")
    names = [config.endpoint.endpoint_id]
    for one in config.endpoints:
        where = f"[[analysis.endpoints]] {one.endpoint_id!r}:"
        _check_endpoint(where, one)
        if not one.lanes or not all("/" in pattern for pattern in one.lanes):
            raise StartError(f"{where} lanes = {list(one.lanes)}; accepted: such as ['prod/*']")
        names.append(one.endpoint_id)
    for told in config.notices:
        _check_notice(told)
        names.append(told.endpoint_id)
    if len(set(names)) < len(names):
        raise StartError(
            "[[analysis.endpoints]] and [[analysis.notices]]: every endpoint_id must be another: "
            f"{names}"
        )
    _check_url("collector_url", config.collector_url)


def _destination(endpoint: EndpointConfig, lanes: tuple[str, ...]) -> Destination:
    networks = tuple(sorted(endpoint.allowed_networks))
    return Destination(
        endpoint.endpoint_id, endpoint.url, tuple(lanes), networks, endpoint.plain_http
    )


def _check_notice(told: NoticeConfig) -> None:
    where = f"[[analysis.notices]] {told.endpoint_id!r}:"
    _check_endpoint(where, told)
    never = PROPOSALS if told.format in PAGERS else frozenset()
    known = [kind for kind in SEVERITIES if kind not in never]
    if not told.kinds or not set(told.kinds) <= set(known):
        raise StartError(f"{where} kinds = {list(told.kinds)}; accepted: {', '.join(known)}")


def _check_endpoint(where: str, endpoint: EndpointConfig) -> None:
    if not _ENDPOINT_ID.fullmatch(endpoint.endpoint_id):
        raise StartError(f"{where} endpoint_id must be 1 to 64 of A-Z a-z 0-9 . _ -")
    try:
        rules = Rules(parse_networks(endpoint.allowed_networks), plain_http=endpoint.plain_http)
        parse_target(endpoint.url, rules)
    except ValueError as error:  # TargetError is one
        raise StartError(f"{where} {error}") from None


def _check_url(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
        parts = urlsplit("")
    # A password in a URL would end in logs and pages.
    if not is_usable or "@" in parts.netloc:
        raise StartError(f"[analysis] {name} must be http(s)://host[:port]/path without user names")
