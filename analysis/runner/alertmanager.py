"""Burn-rate alerts to an Alertmanager, by its API v2. What it does not take stays due.

An alert Alertmanager does not hear of before its ``endsAt`` is resolved there, so firing ones are
sent well before that; one that froze for want of data goes on being sent. Silences there are its
own: ours hold our notices only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from analysis.alerts.book import Alert
from analysis.alerts.wire import postable

logger = logging.getLogger("analysis.alertmanager")

TIMEOUT_S: Final = 2.0
RESEND_S: Final = 60
_SECOND_NS: Final = 1_000_000_000


class AlertmanagerClient:
    """``base_url`` such as ``http://127.0.0.1:9093``."""

    def __init__(self, base_url: str) -> None:
        self._url = base_url.rstrip("/") + "/api/v2/alerts"
        self._taken: frozenset[tuple[str, bool]] = frozenset()
        self._due_unix_nano = 0
        self._is_failing = False

    async def tell(self, alerts: Sequence[Alert], now_unix_nano: int) -> bool:
        """Send what is due; whether nothing is due any more. A failure is logged once."""
        standing = frozenset((one.fingerprint, one.is_firing) for one in alerts)
        if not alerts or (standing <= self._taken and now_unix_nano < self._due_unix_nano):
            return True
        problem = await self._post([postable(one, now_unix_nano) for one in alerts])
        if problem and not self._is_failing:
            logger.warning("alerts are not taken by %s: %s", self._url, problem)
        self._is_failing = bool(problem)
        if not problem:
            self._taken = standing
            self._due_unix_nano = now_unix_nano + RESEND_S * _SECOND_NS
        return not problem

    async def _post(self, alerts: Sequence[Mapping[str, Any]]) -> str:
        """What went wrong; "" if they were taken."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self._url, json=alerts, allow_redirects=False) as reply,
            ):
                text = await reply.content.read(300)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return str(error) or type(error).__name__
        return "" if reply.status == 200 else f"status {reply.status}: {text!r}"
