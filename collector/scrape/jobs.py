"""The configuration file: ``global`` and ``scrape_configs`` in Prometheus' own shape.

What is not supported is an error that says so, never a key that is skipped: a target that is
scraped otherwise than its file says is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.promql.durations import parse_duration_ms
from collector.scrape.config import ScrapeConfig
from collector.scrape.document import Value, read_document
from collector.scrape.errors import BadScrapeFile
from collector.scrape.relabel import Rule, read_rules

DEFAULT_INTERVAL_S: Final = 60.0
DEFAULT_TIMEOUT_S: Final = 10.0
DURATIONS: Final = "durations such as 15s or 1m30s"
SIZES: Final = "bytes such as 500000, 512KB or 10MB"

_GLOBAL_KEYS: Final = ("scrape_interval", "scrape_timeout", "body_size_limit", "sample_limit")
_JOB_KEYS: Final = (
    *("job_name", "scrape_interval", "scrape_timeout", "metrics_path", "scheme", "params"),
    *("honor_labels", "honor_timestamps", "follow_redirects", "enable_compression"),
    *("fallback_scrape_protocol", "basic_auth", "authorization"),
    *("body_size_limit", "sample_limit", "label_limit"),
    *("label_name_length_limit", "label_value_length_limit"),
    *("static_configs", "file_sd_configs", "relabel_configs", "metric_relabel_configs"),
)
_FORMATS: Final = {
    "PrometheusText0.0.4": "text/plain",
    "PrometheusText1.0.0": "text/plain",
    "OpenMetricsText0.0.1": "application/openmetrics-text",
    "OpenMetricsText1.0.0": "application/openmetrics-text",
}
_SIZE: Final = re.compile(r"([0-9]+)([KMGT]?)(i?)B?", re.ASCII)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one scrape of a target may hold; more fails it."""

    body_bytes: int
    samples: int
    labels: int
    label_name_bytes: int
    label_value_bytes: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """The Authorization header; a file is read anew for every scrape, so that it can be rotated."""

    kind: str
    user: str
    secret: str
    secret_file: Path | None

    def __repr__(self) -> str:
        return f"Credentials({self.kind})"


@dataclass(frozen=True, slots=True)
class StaticGroup:
    """Addresses (``host:port``) that share labels."""

    addresses: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """One element of ``scrape_configs``."""

    name: str
    interval_s: float
    timeout_s: float
    metrics_path: str
    scheme: str
    params: tuple[tuple[str, str], ...]
    honor_labels: bool
    honor_timestamps: bool
    follow_redirects: bool
    is_compressed: bool
    #: Content type assumed where the target names none or an unknown one; "" = fail.
    fallback_content_type: str
    credentials: Credentials | None
    limits: Limits
    #: Not part of what a target is: another address in the file changes nothing for the others.
    static_groups: tuple[StaticGroup, ...] = field(compare=False)
    #: Patterns of discovery files; ``*`` only in the last part of the path.
    discovery_files: tuple[Path, ...] = field(compare=False)
    target_rules: tuple[Rule, ...]
    sample_rules: tuple[Rule, ...]


def read_jobs(path: Path, config: ScrapeConfig) -> tuple[Job, ...]:
    """The jobs of the file; raises BadScrapeFile."""
    root = read_document(path)
    if root is None:
        return ()
    given = root.mapping(("global", "scrape_configs"))
    defaults = given["global"].mapping(_GLOBAL_KEYS) if "global" in given else {}
    jobs: dict[str, Job] = {}
    for item in given["scrape_configs"].items() if "scrape_configs" in given else ():
        job = _job(item, defaults, config)
        if job.name in jobs:
            raise item.wrong(f"two jobs are called {job.name!r}")
        jobs[job.name] = job
    return tuple(jobs.values())


def duration_s(text: str) -> float:
    """Seconds of ``1m30s``; raises ValueError, also for none at all."""
    milliseconds = parse_duration_ms(text)
    if milliseconds <= 0:
        raise ValueError("must be longer than nothing")
    return milliseconds / 1000.0


def size_bytes(text: str) -> int:
    """Bytes of ``10MB``; Prometheus' units are powers of 1024. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("not a size")
    return int(found[1]) * int(1024 ** _POWERS[found[2]])


def _job(value: Value, defaults: Mapping[str, Value], config: ScrapeConfig) -> Job:
    given = value.mapping(_JOB_KEYS)
    merged = {**defaults, **given}
    interval_s, timeout_s = _times(given, merged)

    def flag(name: str, *, default: bool) -> bool:
        return given[name].boolean() if name in given else default

    return Job(
        name=_name(value, given),
        interval_s=interval_s,
        timeout_s=timeout_s,
        metrics_path=given["metrics_path"].text() if "metrics_path" in given else "/metrics",
        scheme=_one_of(given.get("scheme"), {"http": "http", "https": "https"}, "http"),
        params=_params(given.get("params")),
        honor_labels=flag("honor_labels", default=False),
        honor_timestamps=flag("honor_timestamps", default=True),
        follow_redirects=flag("follow_redirects", default=True),
        is_compressed=flag("enable_compression", default=True),
        fallback_content_type=_one_of(given.get("fallback_scrape_protocol"), _FORMATS, ""),
        credentials=_credentials(given),
        limits=_limits(merged, config),
        static_groups=_static_groups(given.get("static_configs")),
        discovery_files=_discovery_files(given.get("file_sd_configs")),
        target_rules=read_rules(given.get("relabel_configs")),
        sample_rules=read_rules(given.get("metric_relabel_configs")),
    )


def _name(value: Value, given: Mapping[str, Value]) -> str:
    name = given["job_name"].text() if "job_name" in given else ""
    if not name:
        raise value.wrong("a job needs a job_name")
    return name


def _times(given: Mapping[str, Value], merged: Mapping[str, Value]) -> tuple[float, float]:
    """Interval and timeout; a timeout that is not the job's own is cut down to the interval."""

    def seconds(name: str, default_s: float) -> float:
        return merged[name].parsed(duration_s, DURATIONS) if name in merged else default_s

    interval_s = seconds("scrape_interval", DEFAULT_INTERVAL_S)
    timeout_s = seconds("scrape_timeout", DEFAULT_TIMEOUT_S)
    if timeout_s > interval_s:
        if "scrape_timeout" in given:
            raise given["scrape_timeout"].wrong(
                f"{timeout_s:g} s is longer than the scrape_interval", f"at most {interval_s:g}s"
            )
        timeout_s = interval_s
    return interval_s, timeout_s


def _one_of(value: Value | None, known: Mapping[str, str], default: str) -> str:
    if value is None:
        return default
    found = known.get(value.text())
    if found is None:
        raise value.wrong(f"{value.text()[:100]!r}", ", ".join(known))
    return found


def _params(value: Value | None) -> tuple[tuple[str, str], ...]:
    """Query parameters in the order of the file; one may have several values."""
    if value is None:
        return ()
    return tuple(
        (name, item.text()) for name, items in value.mapping().items() for item in items.items()
    )


def _credentials(given: Mapping[str, Value]) -> Credentials | None:
    if "basic_auth" in given and "authorization" in given:
        raise given["authorization"].wrong("basic_auth is given too", "one of both")
    if "basic_auth" in given:
        value = given["basic_auth"]
        parts = value.mapping(("username", "password", "password_file"))
        user = parts["username"].text() if "username" in parts else ""
        if ":" in user:
            raise parts["username"].wrong("a user's name cannot hold a colon")
        return _secret(value, parts, "password", "Basic", user)
    if "authorization" in given:
        value = given["authorization"]
        parts = value.mapping(("type", "credentials", "credentials_file"))
        kind = parts["type"].text() if "type" in parts else "Bearer"
        if not kind.isalnum() or kind.lower() == "basic":
            raise parts["type"].wrong(f"{kind[:40]!r}", "Bearer or another word, not Basic")
        return _secret(value, parts, "credentials", kind, "")
    return None


def _secret(
    value: Value, parts: Mapping[str, Value], name: str, kind: str, user: str
) -> Credentials:
    plain, path = parts.get(name), parts.get(f"{name}_file")
    if (plain is None) == (path is None):
        raise value.wrong(f"give {name} or {name}_file, one of both")
    secret = plain.text() if plain is not None else ""
    if not secret.isprintable():
        raise value.wrong(f"{name} holds characters a header cannot")
    return Credentials(kind, user, secret, None if path is None else _beside(path))


def _limits(merged: Mapping[str, Value], config: ScrapeConfig) -> Limits:
    """The job's own limits, none of them above the collector's."""

    def lowered(name: str, ceiling: int) -> int:
        value = merged.get(name)
        number = 0 if value is None else value.integer()
        return min(number or ceiling, ceiling)

    size = merged.get("body_size_limit")
    body_bytes = 0 if size is None else size.parsed(size_bytes, SIZES)
    return Limits(
        body_bytes=min(body_bytes or config.max_body_bytes, config.max_body_bytes),
        samples=lowered("sample_limit", config.max_samples),
        labels=lowered("label_limit", config.max_labels),
        label_name_bytes=lowered("label_name_length_limit", config.max_label_name_bytes),
        label_value_bytes=lowered("label_value_length_limit", config.max_label_value_bytes),
    )


def _static_groups(value: Value | None) -> tuple[StaticGroup, ...]:
    return () if value is None else tuple(read_group(item) for item in value.items())


def read_group(value: Value) -> StaticGroup:
    """``{targets: [...], labels: {...}}``, in the file or in a discovery file."""
    given = value.mapping(("targets", "labels"))
    if "targets" not in given:
        raise value.wrong("a group needs targets")
    labels = {}
    for name, item in given["labels"].mapping().items() if "labels" in given else ():
        if not (name.isascii() and name.isidentifier()):
            raise item.wrong(f"{name[:100]!r} is no label name", "letters, digits, _")
        labels[name] = item.text()
    return StaticGroup(tuple(_address(item) for item in given["targets"].items()), labels)


def _address(value: Value) -> str:
    text = value.text()
    if not text or "/" in text or any(one.isspace() for one in text):
        raise value.wrong(f"{text[:100]!r} is no address", "host:port, without scheme and path")
    return text


def _discovery_files(value: Value | None) -> tuple[Path, ...]:
    if value is None:
        return ()
    found = []
    for item in value.items():
        # An upper bound: we look more often anyway.
        given = item.mapping(("files", "refresh_interval"))
        if "refresh_interval" in given:
            given["refresh_interval"].parsed(duration_s, DURATIONS)
        if "files" not in given:
            raise item.wrong("file_sd_configs needs files")
        found += [_pattern(one) for one in given["files"].items()]
    return tuple(found)


def _pattern(value: Value) -> Path:
    path = _beside(value)
    if path.suffix not in {".json", ".yml", ".yaml"} or "*" in str(path.parent):
        raise value.wrong(
            f"{value.text()[:200]!r}", "*.json, *.yml or *.yaml, * only in the file's name"
        )
    return path


def _beside(value: Value) -> Path:
    """A path; a relative one starts where the configuration file lies."""
    text = value.text()
    if not text or "\0" in text:
        raise BadScrapeFile(value.place, "no path")
    return value.file.parent / text
