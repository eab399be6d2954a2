"""Burn-rate alerts to an Alertmanager, by its API v2. What it does not take stays due."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

from analysis.slo.alert_book import AlertBook
from analysis.slo.tracker import SloStatus

logger = logging.getLogger("analysis.alertmanager")

TIMEOUT_S: Final = 2.0


class AlertmanagerClient:
    """``base_url`` such as ``http://127.0.0.1:9093``."""

    def __init__(self, base_url: str) -> None:
        self._url = base_url.rstrip("/") + "/api/v2/alerts"
        self._book = AlertBook()
        self._is_failing = False

    async def tell(self, slos: Sequence[SloStatus], now_unix_nano: int) -> bool:
        """Send what is due; whether nothing is due any more. A failure is logged once."""
        self._book.take(slos, now_unix_nano)
        alerts = self._book.due(now_unix_nano)
        if not alerts:
            return True
        problem = await self._post(alerts)
        if problem and not self._is_failing:
            logger.warning("alerts are not taken by %s: %s", self._url, problem)
        self._is_failing = bool(problem)
        if not problem:
            self._book.sent(now_unix_nano)
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
