"""Settings: ``defaults.toml``, then files, then ``DAVYLAMP_<SECTION>__<KEY>``; later ones win.

A section's keys are the fields of its package's Config; a nested table is a nested Config. Paths
and addresses that follow from other settings are filled in here, so that no package needs to know
another. The only reader of the environment besides the telemetry library.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from davylamp.errors import ConfigError

if TYPE_CHECKING:
    from analysis.config import AnalysisConfig
    from collector.access.config import AccessConfig
    from collector.config import CollectorConfig
    from dashboards.config import DashboardsConfig
    from sample_services.config import SamplesConfig

ENV_PREFIX: Final = "DAVYLAMP_"
#: Never a setting: settings are shown in errors.
_SEALING_KEYS: Final = "DAVYLAMP_SECRET_KEY"
_NOT_SETTINGS: Final = frozenset({"DAVYLAMP_REFERENCE_DATA", "DAVYLAMP_CHROMIUM", _SEALING_KEYS})

#: Where a program on this machine finds what listens on every address.
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound

Tree = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured, merged; sections are turned into Configs on demand."""

    tree: Tree

    @property
    def state_dir(self) -> Path:
        """Folder for everything that is kept."""
        return Path(self.text("davylamp", "state_dir"))

    @property
    def api_token_file(self) -> Path:
        """The token that writers to the analysis API present."""
        return self.state_dir / "secrets" / "api.token"

    @property
    def tokens_file(self) -> Path:
        """The tokens that `davylamp tokens` made."""
        return self.state_dir / "secrets" / "tokens.json"

    @property
    def session_key_file(self) -> Path:
        """The key that seals the sessions of people who have signed in."""
        return self.state_dir / "secrets" / "session.key"

    @property
    def webhook_secret_file(self) -> Path:
        """The key that signs commands to the deployer."""
        return self.state_dir / "secrets" / "webhook.secret"

    def section(self, name: str) -> Tree:
        """One section as it was written."""
        found = self.tree.get(name)
        if not isinstance(found, dict):
            raise ConfigError(name, found, f"a table [{name}]")
        return found

    def text(self, section: str, key: str) -> str:
        """A text value."""
        value = self.section(section).get(key)
        if not isinstance(value, str):
            raise ConfigError(f"{section}.{key}", value, "text")
        return value

    def port(self, section: str, key: str) -> int:
        """A port, 0 = any free one."""
        value = self.section(section).get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
            raise ConfigError(f"{section}.{key}", value, "a port from 0 to 65535")
        return value

    def url(self, section: str, key: str) -> str:
        """``http://host:port`` at which this machine reaches a listener."""
        host = self.text(section, "host")
        host = _REACHED_AT.get(host, host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port(section, key)}"

    def with_values(self, values: Mapping[str, Mapping[str, Any]]) -> Settings:
        """A copy in which some keys of some sections are replaced."""
        tree = {name: dict(section) for name, section in self.tree.items()}
        for name, section in values.items():
            tree.setdefault(name, {}).update(section)
        return Settings(tree)


def load_settings(files: Sequence[Path] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Merge defaults, ``files`` in order, and the environment. Raises ConfigError."""
    tree = _parse(
        "defaults.toml", resources.files("davylamp").joinpath("defaults.toml").read_text()
    )
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(str(path), error.strerror, "a readable TOML file") from None
        _merge(tree, _parse(str(path), text), str(path))
    _merge_environment(tree, os.environ if environ is None else environ)
    return Settings(tree)


def environment_of(values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The variables that make a child process see ``values``."""
    return {
        f"{ENV_PREFIX}{section.upper()}__{key.upper()}": str(value)
        for section, keys in values.items()
        for key, value in keys.items()
    }


def _parse(where: str, text: str) -> Tree:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(where, str(error), "TOML") from None


def _merge(base: Tree, new: Tree, where: str) -> None:
    """Replace known keys; a key that no default has is a typing error, not a setting."""
    for key, value in new.items():
        place = f"{where}: {key}"
        if key not in base:
            raise ConfigError(place, value, "one of " + ", ".join(sorted(base)))
        if isinstance(base[key], dict):
            if not isinstance(value, dict):
                raise ConfigError(place, value, "a table")
            _merge(base[key], value, place)
        else:
            base[key] = value


def _merge_environment(tree: Tree, environ: Mapping[str, str]) -> None:
    for name, text in sorted(environ.items()):
        if not name.startswith(ENV_PREFIX) or name in _NOT_SETTINGS:
            continue
        *tables, key = name.removeprefix(ENV_PREFIX).lower().split("__")
        place: Any = tree
        for table in tables:
            place = place.get(table) if isinstance(place, dict) else None
        if not isinstance(place, dict) or not tables or isinstance(place.get(key, {}), dict):
            raise ConfigError(name, text, "DAVYLAMP_<SECTION>__<KEY> of a setting in defaults.toml")
        place[key] = _like(name, text, place[key])


def _like(name: str, text: str, default: object) -> object:
    """``text`` read as a value of the default's type."""
    if isinstance(default, str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(name, text, f"a value like {default!r}") from None


def build(kind: type[_T], section: Tree, where: str, derived: Mapping[str, Any]) -> _T:
    """A Config dataclass from a table plus ``derived`` fields, every type checked.

    Raises ConfigError for unknown, missing and wrongly typed keys.
    """
    hints = get_type_hints(kind)
    wanted = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(section) - set(wanted))
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}", section[unknown[0]], f"one of {wanted}")
    values: Tree = {}
    for name in wanted:
        place = f"{where}.{name}"
        if is_dataclass(hints[name]):
            nested = section.get(name, {}), place, derived.get(name, {})
            values[name] = build(hints[name], *nested)
        elif name in derived:
            values[name] = derived[name]
        elif name not in section:
            raise ConfigError(place, None, f"a value of type {hints[name]}")
        else:
            values[name] = _typed(place, section[name], hints[name])
    return kind(**values)


def _typed(where: str, value: Any, hint: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(where, value, " or ".join(map(repr, args)))
    if origin is tuple and args[1:] == (...,) and isinstance(value, list):
        return tuple(_typed(where, item, args[0]) for item in value)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return build(hint, value, where, {})
    if origin in (Union, UnionType):
        hint = next(arg for arg in args if arg is not type(None))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if (
        isinstance(hint, type)
        and isinstance(value, hint)
        and (hint is bool) == isinstance(value, bool)
    ):
        return value
    raise ConfigError(where, value, f"a value of type {getattr(hint, '__name__', hint)}")


def access_config(settings: Settings) -> AccessConfig:
    """Who must show a token; the same for every process."""
    from collector.access.config import AccessConfig  # noqa: PLC0415

    files = {"tokens_file": settings.tokens_file, "owner_file": settings.api_token_file}
    return build(AccessConfig, settings.section("access"), "access", files)


def collector_config(settings: Settings) -> CollectorConfig:
    """What the collector needs."""
    from collector.config import CollectorConfig  # noqa: PLC0415 - each process loads its own

    state = settings.state_dir
    derived = {
        "store": {"path": state / "store"},
        "wal": {"path": state / "wal"},
        "access": asdict(access_config(settings)),
    }
    return build(CollectorConfig, settings.section("collector"), "collector", derived)


def analysis_config(settings: Settings) -> AnalysisConfig:
    """What the analysis needs."""
    from analysis.config import AnalysisConfig  # noqa: PLC0415

    sample_url = settings.url("samples", "controller_port") + "/webhooks/davylamp"
    endpoint = settings.section("analysis")["endpoint"]
    derived = {
        "collector_url": settings.url("collector", "api_port"),
        "otlp_endpoint": settings.url("collector", "otlp_http_port"),
        "database_url": settings.text("analysis", "database_url")
        or f"sqlite:///{(settings.state_dir / 'decisions.sqlite').resolve()}",
        "access": asdict(access_config(settings)),
        "environment_secret_key": os.environ.get(_SEALING_KEYS, ""),
        "guards": {"kill_switch_file": settings.state_dir / "stop"},
        "endpoint": {
            "endpoint_id": endpoint["endpoint_id"] or settings.text("samples", "endpoint_id"),
            "url": endpoint["url"] or sample_url,
            "secret_file": settings.webhook_secret_file,
        },
    }
    return build(AnalysisConfig, settings.section("analysis"), "analysis", derived)


def dashboards_config(settings: Settings) -> DashboardsConfig:
    """What the dashboards need."""
    from dashboards.config import DashboardsConfig  # noqa: PLC0415

    derived = {
        "collector_url": settings.url("collector", "api_port"),
        "analysis_url": settings.url("analysis", "api_port"),
        "access": asdict(access_config(settings)),
        "oidc": _sign_in(settings),
    }
    return build(DashboardsConfig, settings.section("dashboards"), "dashboards", derived)


def _sign_in(settings: Settings) -> Mapping[str, Any]:
    analysis, dashboards = settings.section("analysis"), settings.section("dashboards")
    return {
        "public_url": dashboards["oidc"]["public_url"] or settings.url("dashboards", "port"),
        "session_key_file": settings.session_key_file,
        "secret_key_file": analysis["secret_key_file"],
        "environment_secret_key": os.environ.get(_SEALING_KEYS, ""),
        "secrets_must_be_encrypted": analysis["secrets_must_be_encrypted"],
    }


def samples_config(settings: Settings) -> SamplesConfig:
    """What the sample stack needs."""
    from sample_services.config import SamplesConfig  # noqa: PLC0415

    derived = {
        "otlp_endpoint": settings.url("collector", "otlp_http_port"),
        "analysis_url": settings.url("analysis", "api_port"),
        "webhook_secret_file": settings.webhook_secret_file,
        "api_token_file": settings.api_token_file,
        "state_dir": settings.state_dir,
    }
    return build(SamplesConfig, settings.section("samples"), "samples", derived)
