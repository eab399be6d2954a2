"""Settings of the dashboards. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass

from collector.access.config import AccessConfig
from dashboards.signin.config import OidcConfig


@dataclass(frozen=True, slots=True)
class DashboardsConfig:
    """Where the pages are served, where their numbers come from, and what a page may cost."""

    host: str
    #: 0 = any free port.
    port: int
    #: Base addresses of the two APIs the pages read, such as http://127.0.0.1:4319.
    collector_url: str
    analysis_url: str
    #: Seconds between two updates of an open, visible page.
    refresh_s: float
    #: An API that has not answered after this long counts as not answering.
    request_timeout_s: float
    #: Questions to both APIs at once; more wait for their turn within their own timeout.
    max_concurrent_reads: int
    #: Largest answer that is read; a larger one counts as unreadable.
    max_answer_bytes: int
    #: Answers kept for other open pages; the oldest makes room.
    max_cached_answers: int
    #: Canaries whose looks are kept between updates; the least recently opened makes room.
    max_cached_canaries: int
    #: The newest steps of a chart wait this long for late data before they are drawn.
    settle_s: float
    #: Width of the charts when the address does not say.
    window_s: int
    #: Names, beside loopback's and ``host``, by which people's browsers reach the pages.
    allowed_hosts: tuple[str, ...]
    access: AccessConfig
    oidc: OidcConfig
