"""What Sloth refuses, in its order and its words: the first reason, or none.

Bytes that are no UTF-8 are held in texts as surrogates (``surrogateescape``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from analysis.slo.openslo.promql_text import problem_of
from analysis.slo.openslo.sloth.spec import AlertMeta, SlothSlo

WINDOW: Final = re.compile(r"{{-?\s*\.window\s*-?}}")
_ACTION: Final = re.compile(r"{{.*?}}", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*[A-Za-z0-9]")
_NAME_RULE: Final = (
    "name must start and end with an alphanumeric and can only contain alphanumeric, "
    "'.', '_', and '-'"
)
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def first_problem(slo: SlothSlo, default_period_s: int | None = None) -> str | None:
    """Why Sloth would refuse an objective, or ``None``."""
    return next(_problems(slo, default_period_s), None)


def _problems(slo: SlothSlo, default_period_s: int | None) -> Iterator[str]:
    for what, name in (("ID", slo.slo_id), ("name", slo.name), ("service", slo.service)):
        if not name:
            yield f"invalid SLO {what}: required"
        elif not _NAME.fullmatch(name):
            yield f"invalid SLO {what}: {_NAME_RULE}"
    if not (slo.period_s or default_period_s):
        yield "time window is required"
    if not 0 < slo.objective_percent <= 100:
        yield "objective must >0 and <=100"
    yield from _labels("SLO", slo.labels)
    for problem in _indicator(slo):
        yield f"invalid SLI: {problem}"
    for severity, alert in (("page", slo.page), ("ticket", slo.ticket)):
        for problem in _alert(alert):
            yield f"invalid alert: {severity} alert: {problem}"
    if slo.override_plugins and not slo.plugins:
        yield "invalid plugins: override plugins is set but no plugins are defined"
    if any(not call.plugin_id for call in slo.plugins):
        yield "invalid plugins: plugin ID is required"


def _indicator(slo: SlothSlo) -> Iterator[str]:
    if slo.events is None and slo.raw is None:
        yield "at least one SLI type is required"
        return
    if slo.events is not None and slo.raw is not None:
        yield "only one SLI type is allowed"
    queries = {"raw": slo.raw or ""}
    if slo.events is not None:
        queries = dict(zip(("error", "total"), slo.events, strict=True))
        if slo.events[0] == slo.events[1]:
            yield "both error and total queries can't be the same"
    for kind, query in queries.items():
        if not query:
            yield f"sli {kind} query template: query template is required: required"
        elif not WINDOW.search(query):
            yield f"sli {kind} query template: template must contain the {{{{ .window }}}} variable"
    for kind, query in queries.items():
        problem = expression_problem(query)
        if problem is not None:
            yield f"sli {kind} query expression: {problem}"


def expression_problem(query: str) -> str | None:
    """What is wrong with a query once a window stands in it."""
    rendered = WINDOW.sub("1m", query)
    if _ACTION.search(rendered):
        return f"only {{{{ .window }}}} can be filled in, not {_ACTION.findall(rendered)[0]}"
    problem = problem_of(rendered)
    return None if problem is None else str(problem)


def _alert(alert: AlertMeta) -> Iterator[str]:
    if alert.disabled:
        return
    if not alert.name:
        yield "alert name is required"
    yield from _labels("alert", alert.labels)
    for key, value in alert.annotations.items():
        if not key or not _is_utf8(key):
            shown = quoted_as_go(key)
            yield f"invalid alert annotation key {shown}: the annotation key {shown} is not valid"
        if not value:
            yield 'invalid alert annotation value "": the annotation value is required'


def _labels(owner: str, labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        shown = quoted_as_go(key)
        if key == "__name__":
            yield f"invalid {owner} label key {shown}: the label key {shown} is not allowed"
        elif not key or not _is_utf8(key):
            yield f"invalid {owner} label key {shown}: the label key {shown} is not valid"
        shown = quoted_as_go(value)
        if not value:
            yield f"invalid {owner} label value {shown}: the label value is required"
        elif not _is_utf8(value):
            yield f"invalid {owner} label value {shown}: the label value {shown} is not valid"


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def quoted_as_go(text: str) -> str:
    """A text as Go quotes it in messages."""
    parts = []
    for char in text:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            parts.append(f"\\x{code - 0xDC00:02x}")  # a byte that is no UTF-8
        elif char in _ESCAPES:
            parts.append(_ESCAPES[char])
        elif char.isprintable():
            parts.append(char)
        else:
            parts.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")
    return '"' + "".join(parts) + '"'
