"""Talking to the analysis: declare a canary, report what became of a decision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from sample_services.errors import DeclarationError

logger = logging.getLogger("samples.analysis")

#: Pauses between attempts in seconds: a declaration is wanted now, a status must arrive.
DECLARE_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
STATUS_PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 10.0, 10.0, 20.0)
REQUEST_TIMEOUT_S: Final = 5.0


class AnalysisClient:
    """``base_url`` empty = there is no analysis; then nothing is declared."""

    def __init__(self, base_url: str, token_file: Path) -> None:
        self._base_url = base_url
        self._token_file = token_file
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the connection pool; needs a running loop."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    async def declare(self, declaration: dict[str, Any]) -> None:
        """Tell the analysis about a canary before it gets traffic. Raises DeclarationError."""
        if not self._base_url:
            return
        url = f"{self._base_url}/api/v1/canaries"
        problem = await self._post(url, declaration, DECLARE_PAUSES_S)
        if problem:
            raise DeclarationError(f"the analysis did not take the declaration: {problem}")

    async def report(self, confirm_url: str, status: str, unix_nano: int, detail: str) -> bool:
        """Report what became of a decision; false when every attempt failed."""
        body = {"status": status, "unix_nano": unix_nano, "detail": detail}
        problem = await self._post(confirm_url, body, STATUS_PAUSES_S)
        if problem:
            logger.error("status %s not delivered: %s", status, problem)
        return not problem

    async def _post(self, url: str, body: dict[str, Any], pauses_s: Sequence[float]) -> str:
        """Empty when taken, else the last problem. Refusals (4xx) are not repeated."""
        assert self._session is not None, "AnalysisClient.open() comes first"
        problem = ""
        for pause_s in (*pauses_s, None):
            try:
                headers = {"authorization": f"Bearer {self._token_file.read_text().strip()}"}
                async with self._session.post(
                    url, json=body, headers=headers, allow_redirects=False
                ) as reply:
                    if reply.status < 300:
                        return ""
                    problem = f"{reply.status} {(await reply.text())[:300]}"
                    if 400 <= reply.status < 500 and reply.status not in (408, 429):
                        return problem
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = f"{type(error).__name__} {error}"
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        return problem
