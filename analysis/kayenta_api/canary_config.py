"""Canary configurations: what Kayenta accepts, checked before anything is kept.

Source: kayenta/docs/canary-config.md, CanaryConfigUpdater.java.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from analysis.canary.kayenta.errors import KayentaInputError
from analysis.canary.kayenta.judge import metric_config
from analysis.kayenta_api.errors import KayentaApiError

# Kayenta's own pattern, which lets a comma through.
_NAME: Final = re.compile(r"[a-zA-Z0-9_,-]+")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_METRICS: Final = 500
PROMETHEUS: Final = "prometheus"


def checked(raw: Any) -> dict[str, Any]:
    """The configuration as it came. Raises KayentaApiError with every word Kayenta would miss."""
    if not isinstance(raw, dict):
        raise KayentaApiError("a canary config is a JSON object")
    name, applications = raw.get("name"), raw.get("applications")
    if not isinstance(name, str) or not name:
        raise KayentaApiError("Canary config must specify a name.")
    if not _NAME.fullmatch(name):
        raise KayentaApiError(
            f"Canary config cannot be named {name!r}. Names must contain only letters, numbers, "
            "dashes (-) and underscores (_)."
        )
    if (
        not isinstance(applications, list)
        or not applications
        or not all(isinstance(one, str) and one for one in applications)
    ):
        raise KayentaApiError(
            'Canary config must specify at least one application, such as ["ad-hoc"].'
        )
    given = raw.get("id")
    if given is not None and (not isinstance(given, str) or not _ID.fullmatch(given)):
        raise KayentaApiError("id: up to 100 letters, digits, dots, dashes and underscores")
    _check_metrics(raw.get("metrics"))
    _check_templates(raw.get("templates"))
    _check_classifier(raw.get("classifier"))
    return raw


def stamped(
    config: Mapping[str, Any], config_id: str, created_ms: int, now_ms: int
) -> dict[str, Any]:
    """With what the server fills in."""
    return {
        **config,
        "id": config_id,
        "createdTimestamp": created_ms,
        "createdTimestampIso": iso(created_ms),
        "updatedTimestamp": now_ms,
        "updatedTimestampIso": iso(now_ms),
    }


def summary(config: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of the list."""
    names = ("id", "name", "updatedTimestamp", "updatedTimestampIso", "applications")
    return {name: config[name] for name in names}


def iso(unix_ms: int) -> str:
    """As Java's Instant writes it."""
    moment = dt.datetime.fromtimestamp(unix_ms / 1000, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_metrics(metrics: Any) -> None:
    if metrics is None:
        return
    if not isinstance(metrics, list) or len(metrics) > MAX_METRICS:
        raise KayentaApiError(f"metrics: a list of at most {MAX_METRICS}")
    seen: set[str] = set()
    for place, metric in enumerate(metrics):
        where = f"metrics[{place}]"
        if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
            raise KayentaApiError(f"{where}: an object with a name")
        name = metric["name"]
        if name in seen:
            raise KayentaApiError(f"{where}: the name {name!r} is used twice")
        seen.add(name)
        try:
            metric_config(metric)
        except (KayentaInputError, TypeError, ValueError, AttributeError) as error:
            raise KayentaApiError(f"{where} ({name}): {error}") from None
        _check_query(metric.get("query"), f"{where}.query")


def _check_query(query: Any, where: str) -> None:
    if not isinstance(query, dict):
        raise KayentaApiError(f"{where}: an object with type {PROMETHEUS!r}")
    kind = query.get("type", query.get("serviceType"))
    if kind != PROMETHEUS:
        raise KayentaApiError(f"{where}.type {kind!r} is not known here; accepted: {PROMETHEUS!r}")
    if query.get("customFilter"):
        raise KayentaApiError(f"{where}.customFilter is deprecated; use customInlineTemplate")
    for name in ("labelBindings", "groupByFields"):
        entries = query.get(name) or []
        if not isinstance(entries, list) or not all(isinstance(one, str) for one in entries):
            raise KayentaApiError(f"{where}.{name}: a list of texts")
    for name in ("metricName", "resourceType", "customInlineTemplate", "customFilterTemplate"):
        if not isinstance(query.get(name) or "", str):
            raise KayentaApiError(f"{where}.{name}: a text")


def _check_templates(templates: Any) -> None:
    if templates is None:
        return
    if not isinstance(templates, dict) or not all(isinstance(t, str) for t in templates.values()):
        raise KayentaApiError("templates: an object of texts")


def _check_classifier(classifier: Any) -> None:
    if classifier is None:
        return
    weights = classifier.get("groupWeights") if isinstance(classifier, dict) else False
    if weights is None:
        return
    if not isinstance(weights, dict) or not all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in weights.values()
    ):
        raise KayentaApiError("classifier.groupWeights: an object of numbers")
