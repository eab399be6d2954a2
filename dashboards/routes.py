"""Addresses of the pages: parsed once here, for the 404 of the server and the page switch alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

#: Page kind -> pattern of its path; a group is the name the page is about.
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "fleet": re.compile(r"^/$"),
    "service": re.compile(r"^/service/([^/]{1,400})/?$"),
    "canaries": re.compile(r"^/canaries/?$"),
    "canary": re.compile(r"^/canary/([^/]{1,400})/?$"),
    "trace": re.compile(r"^/trace/([0-9a-fA-F]{32})/?$"),
}

#: Widths of the charts a reader can choose, by the word in the address.
WINDOWS_S: Final[Mapping[str, int]] = {"5m": 300, "15m": 900, "1h": 3600, "6h": 21600}
SPLITS: Final = ("none", "version", "cohort")
MAX_QUERY_CHARS: Final = 4_000


@dataclass(frozen=True, slots=True)
class Route:
    """One page: its kind, and the service, canary or trace it is about (empty when none)."""

    page: str
    name: str = ""


def parse_path(path: str) -> Route | None:
    """The page of a path; None = there is no such page.

    Names arrive percent-encoded from the browser and decoded from the server; both are read.
    """
    for page, pattern in _PATTERNS.items():
        found = pattern.match(path)
        if found:
            return Route(page, unquote(found.group(1)) if found.groups() else "")
    return None


def service_href(service: str) -> str:
    """Address of a service's page."""
    return f"/service/{quote(service, safe='')}"


def canary_href(deployment_id: str) -> str:
    """Address of a canary's report."""
    return f"/canary/{quote(deployment_id, safe='')}"


def trace_href(trace_id: str) -> str:
    """Address of a trace."""
    return f"/trace/{quote(trace_id, safe='')}"


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The state of a page as its address holds it. What is not understood takes the default."""

    window_s: int
    split: str
    #: Metric key of the canary report, such as ``http.server.errors`` or ``name{attribute=value}``.
    metric: str
    span: str

    @property
    def window_word(self) -> str:
        return next((word for word, s in WINDOWS_S.items() if s == self.window_s), "")


def parse_query(search: str | None, *, window_s: int) -> PageQuery:
    """Read ``?range=15m&by=version&metric=...&span=...``."""
    pairs = dict(parse_qsl((search or "")[:MAX_QUERY_CHARS].removeprefix("?")))
    split = pairs.get("by", "none")
    return PageQuery(
        window_s=WINDOWS_S.get(pairs.get("range", ""), window_s),
        split=split if split in SPLITS else "none",
        metric=pairs.get("metric", ""),
        span=pairs.get("span", ""),
    )


def with_param(search: str | None, name: str, value: str | None) -> str:
    """The query string with one parameter set, or without it when ``value`` is None."""
    raw = (search or "")[:MAX_QUERY_CHARS].removeprefix("?")
    pairs = [(key, old) for key, old in parse_qsl(raw) if key != name]
    if value is not None:
        pairs.append((name, value))
    return f"?{urlencode(pairs)}" if pairs else ""
