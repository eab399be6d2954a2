"""Sloth's published examples and fixtures: rules, factors, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from analysis.slo.openslo.errors import ConversionError
from analysis.slo.openslo.promql_text import normalised
from analysis.slo.openslo.rule_groups import Rule
from analysis.slo.openslo.rule_text import prometheus_seconds
from analysis.slo.openslo.sloth.catalogue import (
    BUILT_IN,
    DAY_S,
    Catalogue,
    WindowPair,
    catalogue_for,
)
from analysis.slo.openslo.sloth.checks import first_problem
from analysis.slo.openslo.sloth.generate import Options, rule_groups
from analysis.slo.openslo.sloth.spec import AlertMeta, PluginCall, SlothSlo, read
from analysis.slo.openslo.sloth.steps import info_labels
from bench.slo.burn_cases import differs

_TERM = re.compile(r"ratio_rate(\w+){[^}]*} > \(([0-9.e+-]+) \* ([0-9.e+-]+)\)")
#: Windows of the examples that come in files of their own, by a word of the path.
_WINDOW_FILES = {"custom-30d": (30, ((2, 30, 1), (15, 180, 2), (60, 720, 5), (180, 2160, 5)))}
_WEEK = (7, ((5, 60, 8), (30, 360, 12.5), (120, 1440, 20), (360, 4320, 42)))


def rules(case: dict[str, Any]) -> list[str]:
    """A spec -> every rule, expressions compared as PromQL; annotations are not in the cases."""
    text = "\n---\n".join(json.dumps(one) for one in case["input"])
    groups = rule_groups(read("case", text), _options(case))
    ours = {group.name: [_plain(rule) for rule in group.rules] for group in groups}
    expected = {
        group["name"]: [_expected(rule) for rule in group["rules"]] for group in case["groups"]
    }
    wrong = [] if list(ours) == list(expected) else [f"groups {list(ours)} not {list(expected)}"]
    for name, wanted_rules in expected.items():
        made = ours.get(name, [])
        if len(made) != len(wanted_rules):
            wrong.append(f"{name}: {len(made)} rules, not {len(wanted_rules)}")
        pairs = zip(made, wanted_rules, strict=False)
        wrong += [f"{name}: {mine} not {theirs}" for mine, theirs in pairs if mine != theirs]
    thresholds = [_threshold(rule) for group in groups for rule in group.rules if rule.alert]
    wanted = case.get("alert_thresholds", thresholds)
    return wrong if thresholds == wanted else [*wrong, f"{thresholds} not {wanted}"]


def _plain(rule: Rule) -> dict[str, Any]:
    kept = {key: value for key, value in rule.plain().items() if key != "annotations"}
    return {**kept, "expr": normalised(rule.expr)}


def _expected(rule: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in rule.items() if value and key != "annotations"}
    return {**kept, "expr": normalised(rule["expr"])}


def _threshold(rule: Rule) -> dict[str, Any]:
    terms = [
        {"window": window, "factor": float(factor), "error_budget_ratio": float(budget)}
        for window, factor, budget in _TERM.findall(rule.expr)
    ]
    severity = rule.labels.get("sloth_severity", "")
    return {"alert": rule.alert, "severity": severity, "terms": terms}


def _options(case: dict[str, Any]) -> Options:
    """Flags of the command line, as far as the cases use any."""
    text = case["args"]
    is_example = "added by the example script" in text
    words = shlex.split(text.split("(")[0].replace("=", " ", text.count("-period")))
    labels = {"cmd": "examplesgen.sh"} if is_example else {}
    period_s, catalogues = 30 * DAY_S, []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in ("-l", "--extra-labels"):
            name, _, value = following.partition("=")
            labels[name] = value
        elif word == "--default-slo-period":
            period_s = round(prometheus_seconds(following) or 0)
        elif word == "--slo-period-windows-path":
            catalogues = [_catalogue(*_WINDOW_FILES.get(following.split("/")[-1], _WEEK))]
    return Options(
        version="dev" if is_example else _version(case),
        default_period_s=period_s,
        extra_labels=labels,
        recordings="--disable-recordings" not in words,
        alerts="--disable-alerts" not in words,
        catalogues=tuple(catalogues),
        sli_plugins={
            "getting_started_availability": _availability("http_request_duration_seconds_count"),
            "integration_test": _availability("integration_test"),
        },
        steps={"integration-tests/plugin1": info_labels},
    )


def _version(case: dict[str, Any]) -> str:
    """What the fixtures have in place of the program's version."""
    versions = {
        rule["labels"]["sloth_version"]
        for group in case["groups"]
        for rule in group["rules"]
        if "sloth_version" in rule.get("labels", {})
    }
    return min(versions, default="")


def _availability(metric: str) -> Any:
    """The two SLI plugins of the examples: HTTP requests of a job, 5xx and 429 are bad."""

    def query(
        about: Mapping[str, str], labels: Mapping[str, str], options: Mapping[str, str]
    ) -> str:
        del about
        if not (labels.get("owner") and labels.get("tier")):
            raise ConversionError("labels", "owner and tier are required")
        trimmed = options.get("filter", "").strip("{}").strip(",")
        start = f'{trimmed + "," if trimmed else ""}job="{options["job"]}"'
        return (
            f'sum(rate({metric}{{ {start},code=~"(5..|429)" }}[{{{{.window}}}}]))\n/\n'
            f"sum(rate({metric}{{ {start} }}[{{{{.window}}}}]))"
        )

    return query


def _catalogue(days: int, pairs: tuple[tuple[int, int, float], ...]) -> Catalogue:
    made = [WindowPair(short * 60, long * 60, percent) for short, long, percent in pairs]
    return Catalogue(days * DAY_S, *made)


def factors(case: dict[str, Any]) -> list[str]:
    """A catalogue of windows -> factors, or an error for a period without windows."""
    period_s = round(case["slo_period_days"] * DAY_S)
    catalogues = BUILT_IN
    if case.get("windows"):
        pairs = {name: _pair(*values) for name, values in case["windows"].items()}
        catalogues = (Catalogue(period_s, **pairs),)
    expected = case.get("expected") or {}
    try:
        found = catalogue_for(period_s, catalogues)
    except ConversionError as error:
        is_expected = "error" in case or "error" in expected or not expected
        return [] if is_expected else [str(error)]
    if "error" in expected or case.get("error") or not expected:
        return ["no error"]
    budget = 100 - case["objective_percent"]
    wrong = differs("error_budget_percent", budget, expected.get("error_budget_percent", budget))
    for name in ("page_quick", "page_slow", "ticket_quick", "ticket_slow"):
        if name in expected:
            wrong += differs(name, found.factor(getattr(found, name)), expected[name])
    return wrong


def _pair(short: str, long: str, percent: float) -> WindowPair:
    spans = [round(prometheus_seconds(one) or 0) for one in (short, long)]
    return WindowPair(spans[0], spans[1], percent)


def refusal(case: dict[str, Any]) -> list[str]:
    """An objective as Sloth holds it -> valid, or its words."""
    slo = _bytes(case["slo"])
    sli = slo.get("SLI") or {}
    events, raw = sli.get("Events"), sli.get("Raw")
    plugins = slo.get("Plugins") or {}
    problem = first_problem(
        SlothSlo(
            slo_id=slo.get("ID") or "",
            name=slo.get("Name") or "",
            service=slo.get("Service") or "",
            objective_percent=slo.get("Objective") or 0,
            period_s=round(slo.get("TimeWindow") or 0),
            events=None
            if events is None
            else (events.get("ErrorQuery") or "", events.get("TotalQuery") or ""),
            raw=None if raw is None else raw.get("ErrorRatioQuery") or "",
            labels=slo.get("Labels") or {},
            page=_meta(slo.get("PageAlertMeta") or {}),
            ticket=_meta(slo.get("TicketAlertMeta") or {}),
            plugins=tuple(PluginCall(one.get("ID", "")) for one in plugins.get("Plugins") or ()),
            override_plugins=bool(plugins.get("OverridePlugins")),
        )
    )
    expected = None if case["valid"] else case["error"]
    return [] if problem == expected else [f"{problem!r}, expected {expected!r}"]


def _meta(alert: Mapping[str, Any]) -> AlertMeta:
    return AlertMeta(
        disabled=bool(alert.get("Disable")),
        name=alert.get("Name") or "",
        labels=alert.get("Labels") or {},
        annotations=alert.get("Annotations") or {},
    )


def _bytes(value: Any) -> Any:
    """Texts of the cases hold one byte a character; some of these are no UTF-8."""
    if isinstance(value, str):
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {_bytes(key): _bytes(one) for key, one in value.items()}
    return [_bytes(one) for one in value] if isinstance(value, list) else value


SECTIONS = {
    "sloth_rules": rules,
    "sloth_burn_factors": factors,
    "sloth_validation": refusal,
}
